from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from tests.runtime.conftest import Entries

from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.runtime.lives import Backoff, Phase
from qianzhi.runtime.parts import Part, Process, Service
from qianzhi.runtime.requests import EVERYTHING, STOP, put
from qianzhi.runtime.stopping import StopRequests
from qianzhi.runtime.supervisor import Ending, PartState, Supervisor, ask, read_states

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("child.py")
SECONDS_MAX = 90.0
HASTY = Backoff(first_seconds=0.05, max_seconds=0.2, stable_seconds=60)


class Run:
    """A supervisor in a thread of the test."""

    def __init__(self, parts: Sequence[Part], folder: Path) -> None:
        self.stop = StopRequests()
        self.errors: list[BaseException] = []
        self.endings: list[Ending] = []
        self.folder = folder
        self._supervisor = Supervisor(parts, run=folder, backoff=HASTY)
        self._thread = threading.Thread(target=self._supervise)
        self._thread.start()

    def _supervise(self) -> None:
        try:
            self.endings.append(self._supervisor.supervise(self.stop))
        except OperatorError as error:
            self.errors.append(error)

    def end(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.stop.count += 1
        self._thread.join(SECONDS_MAX)
        assert not self._thread.is_alive()

    def state(self, name: str) -> PartState | None:
        """What a reader sees of a part."""
        return next((state for state in read_states(self.folder) if state.name == name), None)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[Sequence[Part]], Run]]:
    """Starts supervisors, and ends them after the test."""
    runs: list[Run] = []

    def start(parts: Sequence[Part]) -> Run:
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        runs.append(Run(parts, folder))
        return runs[-1]

    yield start
    for each in runs:
        each.end()


def test_what_ends_is_started_again(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """A process that exits comes back, and its state tells how it ended and how often."""
    notes = tmp_path / "notes"
    running = run([_process("worker", "ends", notes)])

    _wait_for(lambda: _lines(notes).count("started") >= 3)

    state = _seen(lambda: running.state("worker"))
    assert state.last_end == "exit 3"
    assert state.failures >= 2


def test_a_killed_process_is_replaced(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """After a SIGKILL another process of the same name runs, under another number."""
    notes = tmp_path / "notes"
    running = run([_process("worker", "waits", notes)])
    _wait_for(lambda: _lines(notes) == ["started"])
    first = int((running.folder / "worker.pid").read_text(encoding="utf-8"))

    os.kill(first, signal.SIGKILL)
    _wait_for(lambda: _lines(notes) == ["started", "started"])

    _wait_for(lambda: _seen(lambda: running.state("worker")).phase is Phase.UP)
    state = _seen(lambda: running.state("worker"))
    assert state.last_end == "signal 9"
    assert state.pid not in {None, first}


def test_parts_stop_in_the_reverse_order_of_their_needs(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """What is needed ends last, so that nothing loses what it still uses."""
    ended: list[str] = []
    notes = tmp_path / "worker"
    service = Service(
        "database", starter=lambda: None, runs=lambda: True, stopper=lambda: ended.extend(_lines(notes)[-1:])
    )
    running = run([_process("worker", "waits", notes, needs=["database"]), service])
    _wait_for(lambda: _lines(notes) == ["started"])

    running.end()

    assert ended == ["stopped worker"]
    assert read_states(running.folder) == []
    assert run([_process("other", "ends", tmp_path / "other")]).errors == []
    assert not (running.folder / "worker.pid").exists()


def test_parts_that_do_not_need_each_other_stop_at_once(
    run: Callable[[Sequence[Part]], Run], tmp_path: Path, entries: Entries
) -> None:
    """The time that a stop takes is that of the slowest, not of all; the log tells how each ended."""
    both = threading.Barrier(2, timeout=SECONDS_MAX)

    def stop() -> None:
        both.wait()

    pair = [Service(name, starter=lambda: None, runs=lambda: True, stopper=stop) for name in "ab"]
    running = run([*pair, _process("worker", "waits", tmp_path / "notes")])
    _wait_for(lambda: _lines(tmp_path / "notes") == ["started"])
    for each in pair:
        _wait_for(each.is_ready)

    running.end()

    assert [each.end() for each in pair] == ["stopped", "stopped"]
    ends = {each["part"]: each["end"] for each in entries() if each["event"] == "supervisor:part:stopped"}
    assert ends == {"a": "stopped", "b": "stopped", "worker": "exit_0"}


def test_what_does_not_stop_in_its_time_is_killed(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """A process that ignores the request is gone soon after its time is over."""
    notes = tmp_path / "notes"
    running = run([_process("worker", "stubborn", notes, stop_seconds_max=0.5)])
    _wait_for(lambda: _lines(notes) == ["started"])
    pid = _seen(lambda: running.state("worker")).pid
    assert pid is not None

    running.end()

    assert not psutil.pid_exists(pid)


def test_a_second_request_to_stop_waits_for_nothing(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """A second Ctrl-C kills what has not stopped."""
    notes = tmp_path / "notes"
    running = run([_process("worker", "stubborn", notes, stop_seconds_max=SECONDS_MAX * 10)])
    _wait_for(lambda: _lines(notes) == ["started"])

    began = time.monotonic()
    running.stop.count += 1
    running.end()

    assert time.monotonic() - began < SECONDS_MAX / 2


def test_what_a_killed_process_left_behind_is_ended(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """A grandchild does not stand beside the successor of its parent."""
    notes = tmp_path / "notes"
    running = run([_process("worker", "begets", notes)])
    _wait_for(lambda: _lines(notes).count("started") == 2)
    grandchild = psutil.Process(int(_lines(notes)[0]))
    parent = _seen(lambda: running.state("worker")).pid
    assert parent is not None

    os.kill(parent, signal.SIGKILL)

    _wait_for(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)


def test_children_end_soon_after_their_supervisor_was_killed(tmp_path: Path) -> None:
    """A supervisor that is killed leaves no process behind."""
    notes, folder = tmp_path / "notes", tmp_path / "run"
    folder.mkdir()
    program = f"""
import sys
from pathlib import Path
from qianzhi.runtime.parts import Process
from qianzhi.runtime.stopping import StopRequests
from qianzhi.runtime.supervisor import Supervisor

worker = Process("worker", [sys.executable, {str(CHILD)!r}, "waits", {str(notes)!r}])
with StopRequests() as stop:
    Supervisor([worker], run=Path({str(folder)!r})).supervise(stop)
"""
    supervisor = subprocess.Popen([sys.executable, "-c", program], env=_environment())
    _wait_for(lambda: _lines(notes) == ["started"])
    child = psutil.Process(int((folder / "worker.pid").read_text(encoding="utf-8")))

    supervisor.kill()
    supervisor.wait()

    _wait_for(lambda: not child.is_running())
    assert _lines(notes) == ["started", "stopped notes"]
    assert read_states(folder) == []


def test_a_signal_to_the_supervisor_stops_everything(tmp_path: Path) -> None:
    """SIGTERM ends the parts in order and then the supervisor, with exit code 0."""
    notes, folder = tmp_path / "notes", tmp_path / "run"
    folder.mkdir()
    program = f"""
import sys
from pathlib import Path
from qianzhi.runtime.parts import Process
from qianzhi.runtime.stopping import StopRequests
from qianzhi.runtime.supervisor import Supervisor

worker = Process("worker", [sys.executable, {str(CHILD)!r}, "waits", {str(notes)!r}])
with StopRequests() as stop:
    Supervisor([worker], run=Path({str(folder)!r})).supervise(stop)
"""
    supervisor = subprocess.Popen([sys.executable, "-c", program], env=_environment())
    _wait_for(lambda: _lines(notes) == ["started"])

    supervisor.terminate()

    assert supervisor.wait(SECONDS_MAX) == 0
    assert _lines(notes) == ["started", "stopped notes"]


def test_a_service_that_is_gone_is_started_again(run: Callable[[Sequence[Part]], Run]) -> None:
    """What outlives us is looked at now and then, and started when it is gone."""
    calls: list[str] = []
    alive = [False]

    def start() -> None:
        calls.append("start")
        alive[0] = True

    database = Service(
        "database",
        starter=start,
        runs=lambda: alive[0],
        stopper=lambda: calls.append("stop"),
        look_seconds=0.05,
    )
    running = run([database])
    _wait_for(lambda: calls == ["start"])

    alive[0] = False
    _wait_for(lambda: calls == ["start", "start"])

    assert _seen(lambda: running.state("database")).last_end == "gone"
    running.end()
    assert calls == ["start", "start", "stop"]


def test_a_service_that_does_not_start_is_tried_again_and_keeps_down_what_needs_it(
    run: Callable[[Sequence[Part]], Run], tmp_path: Path
) -> None:
    """An error of the start names its kind in the state; what needs the service waits."""
    failures = iter([OperatorError("No room.", remedy="Make room."), None])

    def start() -> None:
        if (error := next(failures, None)) is not None:
            assert not notes.exists()
            raise error

    notes = tmp_path / "notes"
    database = Service("database", starter=start, runs=lambda: True, stopper=lambda: None)
    running = run([_process("worker", "waits", notes, needs=["database"]), database])

    _wait_for(lambda: _lines(notes) == ["started"])

    assert _seen(lambda: running.state("database")).last_end == "OperatorError"


def test_a_second_supervisor_of_one_folder_is_refused(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """Two supervisors never run the same parts."""
    notes = tmp_path / "notes"
    first = run([_process("worker", "waits", notes)])
    _wait_for(lambda: _lines(notes) == ["started"])

    second = run([_process("worker", "waits", notes)])
    _wait_for(lambda: bool(second.errors))

    assert "already running" in str(second.errors[0])
    assert _lines(notes) == ["started"]
    assert first.errors == []


def test_a_program_that_is_missing_is_tried_again(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """A part that cannot be started does not stop its neighbours."""
    notes = tmp_path / "notes"
    running = run([Process("broken", [str(tmp_path / "missing")]), _process("worker", "waits", notes)])

    _wait_for(lambda: _lines(notes) == ["started"])
    _wait_for(lambda: _seen(lambda: running.state("broken")).failures >= 2)

    assert _seen(lambda: running.state("broken")).phase is Phase.DOWN


def _process(name: str, mode: str, notes: Path, *, needs: Sequence[str] = (), stop_seconds_max: float = 10) -> Process:
    return Process(
        name,
        [sys.executable, str(CHILD), mode, str(notes)],
        needs=needs,
        environment=_environment(),
        stop_seconds_max=stop_seconds_max,
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _seen(look: Callable[[], PartState | None]) -> PartState:
    _wait_for(lambda: look() is not None)
    state = look()
    assert state is not None
    return state


def _wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS_MAX
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_part_is_started_anew_when_somebody_asks(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """What needs it goes before it and comes after it; the others do not notice, and nobody counts it as a failure."""
    notes = {name: tmp_path / name for name in ("first", "second", "aside")}
    parts = [_process(name, "waits", notes[name]) for name in ("first", "aside")]
    running = run([*parts, _process("second", "waits", notes["second"], needs=["first"])])
    _wait_for(lambda: all(_lines(each) == ["started"] for each in notes.values()))
    aside = _seen(lambda: running.state("aside")).pid

    ask(running.folder, "first")

    _wait_for(lambda: all(_lines(notes[each]).count("started") == 2 for each in ("first", "second")))
    _wait_for(lambda: _seen(lambda: running.state("second")).phase is Phase.UP)
    assert (_seen(lambda: running.state("aside")).pid, _lines(notes["aside"])) == (aside, ["started"])
    assert _seen(lambda: running.state("first")).failures == 0


@pytest.mark.parametrize(("what", "ending"), [(STOP, Ending.STOPPED), (EVERYTHING, Ending.AGAIN)])
def test_who_asks_for_an_end_learns_of_it(
    run: Callable[[Sequence[Part]], Run], tmp_path: Path, what: str, ending: Ending
) -> None:
    """Both stop every part in order; what was asked before there was a supervisor is forgotten."""
    (tmp_path / "run").mkdir()
    put(tmp_path / "run", STOP)
    running = run([_process("worker", "waits", tmp_path / "notes")])
    _wait_for(lambda: _lines(tmp_path / "notes") == ["started"])

    ask(running.folder, what)

    _wait_for(lambda: running.endings == [ending])
    assert _lines(tmp_path / "notes")[-1].startswith("stopped")
    assert list(running.folder.glob("*.request")) == []


def test_only_known_parts_of_what_runs_can_be_asked_for(run: Callable[[Sequence[Part]], Run], tmp_path: Path) -> None:
    """A name leads nowhere else in the file system, and a request to nobody is refused."""
    running = run([_process("worker", "waits", tmp_path / "notes")])
    _wait_for(lambda: _lines(tmp_path / "notes") == ["started"])

    for name in ("../worker", "stranger", ""):
        with pytest.raises(ConfigurationError, match="There is no part"):
            ask(running.folder, name)
    with pytest.raises(OperatorError, match="Nothing runs"):
        ask(tmp_path, "worker")
