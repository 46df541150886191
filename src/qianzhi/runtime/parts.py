"""What a supervisor watches: a process of ours, or a service that outlives us, such as PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from qianzhi.errors import OperatorError
from qianzhi.runtime.stopping import SUPERVISOR_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

STOP_SECONDS_MAX = 30.0
SERVICE_LOOK_SECONDS = 2.0
SERVICE_STOP_SECONDS_MAX = 600.0

_OWN_GROUP: dict[str, Any] = {"process_group": 0}
_STOP_SIGNAL = signal.SIGTERM
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    _STOP_SIGNAL = signal.CTRL_BREAK_EVENT

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger()


class Part(Protocol):
    """One thing under supervision. No method blocks."""

    @property
    def name(self) -> str:
        """A noun, unique among the parts."""

    @property
    def needs(self) -> Sequence[str]:
        """The names of parts that must be up before this one starts."""

    @property
    def stop_seconds_max(self) -> float:
        """How long it may take to stop before it is killed."""

    @property
    def pid(self) -> int | None:
        """Its process, if it is one of ours."""

    def start(self) -> None:
        """Begin to start it; OperatorError when that is impossible."""

    def is_ready(self) -> bool:
        """Tell whether what needs it may start."""

    def end(self) -> str | None:
        """Say how it ended; None while it runs."""

    def stop(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it without asking, as far as that does no harm."""


def _at_once() -> bool:
    return True


@dataclass(slots=True)
class Process:
    """
    A child process, in a process group of its own: a Ctrl-C at our console reaches it only through us, in order.

    `command` begins with a program; `ready` returns at once. The child should call `follow_supervisor`.
    """

    name: str
    command: Sequence[str]
    needs: Sequence[str] = ()
    ready: Callable[[], bool] = _at_once
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_seconds_max: float = STOP_SECONDS_MAX
    output: Path | None = None  # the file that gets what it prints; our own terminal when not set
    _child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process that runs now, or ran last."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the process."""
        environment = {**os.environ, **self.environment, SUPERVISOR_VARIABLE: str(os.getpid())}
        try:
            with ExitStack() as stack:
                told = stack.enter_context(self.output.open("ab")) if self.output else None
                self._child = subprocess.Popen(
                    list(self.command),
                    stdin=subprocess.DEVNULL,
                    stdout=told,
                    stderr=told,
                    env=environment,
                    **_OWN_GROUP,
                )
        except OSError as error:
            raise OperatorError(
                f"The process {self.name} cannot be started: {error.strerror}.",
                remedy="Repair the installation of qianzhi.",
            ) from error

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        return self.ready()

    def end(self) -> str | None:
        """Say how it ended; what it left running is killed, so that it does not stand beside its successor."""
        if self._child is None or (code := self._child.poll()) is None:
            return None
        self._kill_group()
        return f"signal {-code}" if code < 0 else f"exit {code}"

    def stop(self) -> None:
        """Ask it to end."""
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(_STOP_SIGNAL)

    def kill(self) -> None:
        """Kill it with all it started."""
        if self._child is not None and self._child.poll() is None:
            self._kill_group()
            self._child.kill()

    def _kill_group(self) -> None:
        if sys.platform == "win32" or self._child is None:
            return
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # nobody is left, or only zombies (macOS)
            return


class Service:
    """
    Something that is started and stopped by calls that may take long, and that outlives its supervisor.

    `starter` takes over what already runs; `runs` is asked now and then; `stopper` lets it end in order, so it is
    never killed. They are called in a thread of their own, one after the other.
    """

    pid: int | None = None

    def __init__(
        self,
        name: str,
        *,
        starter: Callable[[], None],
        runs: Callable[[], bool],
        stopper: Callable[[], None],
        needs: Sequence[str] = (),
        stop_seconds_max: float = SERVICE_STOP_SECONDS_MAX,
        look_seconds: float = SERVICE_LOOK_SECONDS,
    ) -> None:
        self.name = name
        self.needs = needs
        self.stop_seconds_max = stop_seconds_max
        self._starter, self._runs, self._stopper = starter, runs, stopper
        self._look_seconds = look_seconds
        self._started, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._end = ""

    def start(self) -> None:
        """Begin to start it or to take it over."""
        self._started, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._live, name=self.name, daemon=True)
        self._thread.start()

    def is_ready(self) -> bool:
        """Tell whether the start is over."""
        return self._started.is_set()

    def end(self) -> str | None:
        """Say how it ended."""
        return None if self._thread is None or self._thread.is_alive() else self._end

    def stop(self) -> None:
        """Ask it to end; a start that is under way is finished first."""
        self._stopping.set()

    def kill(self) -> None:
        """Leave it running: the next start takes it over."""

    def _live(self) -> None:
        try:
            self._starter()
            self._started.set()
            while not self._stopping.wait(self._look_seconds):
                if not self._runs():
                    self._end = "gone"
                    return
            self._stopper()
            self._end = "stopped"
        except Exception as error:  # whatever it is, the supervisor tries again
            self._end = type(error).__name__
            log.exception("supervisor:service:failed", part=self.name)
