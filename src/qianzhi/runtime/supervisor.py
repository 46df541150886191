"""Keeps the parts of one end running until it is asked to stop, and says what they are doing."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import orjson
import structlog
from filelock import FileLock, Timeout

from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.runtime import clock, requests
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.lives import Backoff, Life, Phase, due

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from qianzhi.runtime.parts import Part
    from qianzhi.runtime.stopping import StopRequests

LOOK_SECONDS = 0.1
REQUEST_LOOK_SECONDS = 1.0  # how soon a request of another process is seen
LOCK_SECONDS_MAX = 1.0  # a reader of the states holds the lock for a moment
KILL_SECONDS_MAX = 5.0  # how long a killed part may take to be gone
_STATE_FILE = "supervisor.json"
_LOCK_FILE = "supervisor.lock"

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger()


class Ending(StrEnum):
    """Why supervising came to its end."""

    STOPPED = "stopped"
    AGAIN = "again"  # somebody asked that everything begin anew, with the settings as they are now


@dataclass(frozen=True, slots=True)
class PartState:
    """What a part is doing, as `status` and `doctor` show it."""

    name: str
    phase: Phase
    pid: int | None
    changed_at: datetime
    failures: int  # in a row
    last_end: str  # "exit 1", "signal 9", "gone", or empty


class Supervisor:
    """
    Starts parts in the order of their needs, starts again what ends by itself, and stops them in reverse.

    `run` is the folder for the lock, a `<name>.pid` for each process, and the state that `read_states` reads.
    `may_restart` is asked before anything is started anew: what would not come up again is better left as it is.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        run: Path,
        backoff: Backoff | None = None,
        may_restart: Callable[[], bool] = lambda: True,
    ) -> None:
        self._parts = {part.name: part for part in parts}
        self._needs = {part.name: tuple(part.needs) for part in parts}
        self._run = run
        self._backoff = backoff or Backoff()
        self._may_restart = may_restart
        self._lives = {name: Life() for name in self._parts}
        self._changed_at = dict.fromkeys(self._parts, clock.now())
        self._last_ends = dict.fromkeys(self._parts, "")

    def supervise(self, stop: StopRequests) -> Ending:
        """
        Run the parts until somebody asks to stop; a second request kills what has not stopped yet.

        Other processes ask by `ask`: a part is started anew with those that need it, and everything by ending here
        with AGAIN. To be called in the main thread. Raises OperatorError when another supervisor has the same folder.
        """
        with ExitStack() as closing:
            closing.enter_context(_exclusive(self._run))
            closing.callback((self._run / _STATE_FILE).unlink, missing_ok=True)
            closing.callback(self._stop_all, stop)
            requests.taken(self._run, self._known())  # of a supervisor before us, who did not live to see them
            self._write_states()
            look_at = clock.monotonic() + REQUEST_LOOK_SECONDS
            while not stop.requested:
                if (now := clock.monotonic()) >= look_at:
                    look_at = now + REQUEST_LOOK_SECONDS
                    if (ending := self._obey(requests.taken(self._run, self._known()), stop)) is not None:
                        return ending
                if self._step(clock.monotonic()):
                    self._write_states()
                stop.wait(LOOK_SECONDS)
        return Ending.STOPPED

    def _known(self) -> tuple[str, ...]:
        return (requests.STOP, requests.EVERYTHING, *self._parts)

    def _obey(self, asked: Sequence[str], stop: StopRequests) -> Ending | None:
        """Do what was asked for; an ending where that is the end of this supervisor."""
        if asked:
            log.info("supervisor:request:taken", names=asked)
        if requests.STOP in asked:
            return Ending.STOPPED
        if not asked or not self._may_restart():
            return None
        if requests.EVERYTHING in asked:
            return Ending.AGAIN
        again = set(asked)
        for name in TopologicalSorter(self._needs).static_order():  # what is needed stands before what needs it
            if again.intersection(self._needs[name]):
                again.add(name)
        self._stop_parts(again, stop)
        for name in again:
            self._lives[name] = Life()
            self._changed_at[name] = clock.now()
        self._write_states()
        return None

    def _step(self, now: float) -> bool:
        """Look at every part once, start what is due; tell whether anything changed."""
        before = dict(self._lives)
        for name in self._parts:
            self._look(name, now)
        for name in due(self._lives, self._needs, now):
            self._start(name, now)
        changed = {name for name, life in self._lives.items() if life is not before[name]}
        self._changed_at.update(dict.fromkeys(changed, clock.now()))
        return bool(changed)

    def _look(self, name: str, now: float) -> None:
        part, life = self._parts[name], self._lives[name]
        if life.phase is Phase.DOWN:
            return
        if (end := part.end()) is not None:
            self._note_end(name, end, now)
        elif life.phase is Phase.STARTING and part.is_ready():
            self._lives[name] = life.became_ready(now)
            log.info("supervisor:part:ready", part=name)

    def _start(self, name: str, now: float) -> None:
        try:
            self._parts[name].start()
        except OperatorError:
            log.exception("supervisor:part:unstartable", part=name)
            self._note_end(name, "not started", now)
            return
        self._lives[name] = self._lives[name].started(now)
        pid = self._parts[name].pid
        log.info("supervisor:part:started", part=name, pid=pid)
        if pid is not None:
            write_durably(self._pid_file(name), f"{pid}\n".encode())

    def _note_end(self, name: str, end: str, now: float) -> None:
        self._lives[name] = life = self._lives[name].ended(now, self._backoff)
        self._last_ends[name] = end
        self._pid_file(name).unlink(missing_ok=True)
        seconds = round(life.start_at - now, 1)
        log.warning("supervisor:part:ended", part=name, end=_name_of(end), failures=life.failures, seconds=seconds)

    def _stop_all(self, stop: StopRequests) -> None:
        log.info("supervisor:parts:stopping")
        self._stop_parts(self._parts, stop)
        for name in self._parts:
            self._lives[name] = self._lives[name].stopped(clock.monotonic())

    def _stop_parts(self, names: Collection[str], stop: StopRequests) -> None:
        """Stop in the reverse order of the needs, so that nothing loses what it still uses; the others at once."""
        for wave in _waves(self._needs):
            going = [name for name in wave if name in names]
            there = [self._parts[name] for name in going if self._lives[name].phase is not Phase.DOWN]
            self._stop_together(there, stop)
            for name in going:
                self._pid_file(name).unlink(missing_ok=True)

    def _stop_together(self, parts: Sequence[Part], stop: StopRequests) -> None:
        began = clock.monotonic()
        for part in parts:
            part.stop()
        for part in sorted(parts, key=lambda each: each.stop_seconds_max):
            if not _ends_by(part, began + part.stop_seconds_max, stop):
                if stop.count <= 1:
                    log.warning("supervisor:part:killed", part=part.name, seconds=part.stop_seconds_max)
                part.kill()
                _ends_by(part, clock.monotonic() + KILL_SECONDS_MAX, None)
            log.info("supervisor:part:stopped", part=part.name, end=_name_of(part.end()))

    def _pid_file(self, name: str) -> Path:
        return self._run / f"{name}.pid"

    def _write_states(self) -> None:
        states = [
            PartState(
                name=name,
                phase=life.phase,
                pid=self._parts[name].pid if life.phase in {Phase.STARTING, Phase.UP} else None,
                changed_at=self._changed_at[name],
                failures=life.failures,
                last_end=self._last_ends[name],
            )
            for name, life in self._lives.items()
        ]
        write_durably(self._run / _STATE_FILE, orjson.dumps(states))


def read_states(run: Path) -> list[PartState]:
    """Return what the parts of a running supervisor do; nothing when none runs with this folder."""
    if not (run / _STATE_FILE).exists() or not _is_taken(run):
        return []
    try:
        rows = orjson.loads((run / _STATE_FILE).read_bytes())
    except FileNotFoundError:  # it stopped in between
        return []
    return [
        PartState(**{**row, "phase": Phase(row["phase"]), "changed_at": datetime.fromisoformat(row["changed_at"])})
        for row in rows
    ]


def ask(run: Path, what: str) -> None:
    """
    Ask the supervisor of a folder to start a part anew, or `requests.EVERYTHING`, or `requests.STOP` to end.

    It looks every REQUEST_LOOK_SECONDS; `read_states` then tells how it goes. Asking twice is asking once.
    Raises OperatorError when no supervisor runs, ConfigurationError when it has no such part.
    """
    names = [part.name for part in read_states(run)]
    if not names:
        raise OperatorError(f"Nothing runs with {run.parent}.", remedy="Start it: `qianzhi <end> run`, or its service.")
    if what not in {requests.STOP, requests.EVERYTHING, *names}:
        raise ConfigurationError(
            f"There is no part {what!r}.", remedy=f"Name one of: {', '.join((*names, requests.EVERYTHING))}."
        )
    requests.put(run, what)


def _is_taken(run: Path) -> bool:
    try:
        with FileLock(run / _LOCK_FILE, timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def _exclusive(run: Path) -> Iterator[None]:
    """Keep every other supervisor away from a folder."""
    lock = FileLock(run / _LOCK_FILE)
    try:
        lock.acquire(timeout=LOCK_SECONDS_MAX)
    except Timeout as error:
        raise OperatorError(
            f"Something is already running with {run.parent}.",
            remedy="Stop it first, or choose another data directory.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _ends_by(part: Part, deadline: float, stop: StopRequests | None) -> bool:
    """Wait for a part to end; give up early when somebody asks a second time."""
    while part.end() is None:
        if clock.monotonic() > deadline or (stop is not None and stop.count > 1):
            return False
        clock.sleep(LOOK_SECONDS)
    return True


def _name_of(end: str | None) -> str | None:
    """Return how a part ended as logs take it: there a value is one word."""
    return end and end.replace(" ", "_")


def _waves(needs: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Return the parts in the order in which they may stop: at once what nothing needs that is not stopped yet."""
    users: dict[str, list[str]] = {name: [each for each in needs if name in needs[each]] for name in needs}
    sorter = TopologicalSorter(users)
    sorter.prepare()
    while wave := sorter.get_ready():
        yield wave
        sorter.done(*wave)
