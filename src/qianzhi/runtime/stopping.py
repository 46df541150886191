"""How a process learns that it should stop: by a signal, or because the supervisor that started it is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

import psutil

from qianzhi.runtime import clock

if TYPE_CHECKING:
    from types import FrameType, TracebackType

SUPERVISOR_VARIABLE = "QIANZHI_SUPERVISOR_PID"
SUPERVISOR_LOOK_SECONDS = 0.5
ORPHAN_SECONDS_MAX = 30.0  # how long a process may take to stop once its supervisor is gone
ORPHAN_EXIT_CODE = 75
_SLICE_SECONDS = 0.2

SIGNALS = [signal.SIGTERM, signal.SIGINT]
if sys.platform == "win32":
    SIGNALS.append(signal.SIGBREAK)


class StopRequests:
    """
    Counts the requests to stop while it is entered; to be entered in the main thread.

    It is a plain counter, for a signal handler must not take a lock that the interrupted code may hold.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        """Whether anybody asked."""
        return self.count > 0

    def wait(self, seconds: float) -> bool:
        """Sleep until somebody asks, at most so long; tell whether anybody did."""
        end = clock.monotonic() + seconds
        while not self.requested and (left := end - clock.monotonic()) > 0:
            clock.sleep(min(left, _SLICE_SECONDS))
        return self.requested

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


def follow_supervisor() -> None:
    """
    End this process soon after its supervisor has ended, however that was; without a supervisor do nothing.

    Every process that a supervisor starts calls this first, and so does every process that such a one forks.
    """
    pid = os.environ.get(SUPERVISOR_VARIABLE)
    if pid is None:
        return
    try:
        supervisor = psutil.Process(int(pid))
    except psutil.NoSuchProcess:
        supervisor = None
    threading.Thread(target=_follow, args=(supervisor,), name="follow-supervisor", daemon=True).start()


def _follow(supervisor: psutil.Process | None) -> None:
    while supervisor is not None and _lives(supervisor):
        clock.sleep(SUPERVISOR_LOOK_SECONDS)
    signal.raise_signal(signal.SIGTERM)
    clock.sleep(ORPHAN_SECONDS_MAX)
    os._exit(ORPHAN_EXIT_CODE)


def _lives(process: psutil.Process) -> bool:
    """Tell whether a process has not ended, also where its parent never asks how it ended."""
    try:
        # The first compares the start time too: a number is used again.
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
