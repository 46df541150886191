"""How much memory processes hold at most."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

LOOK_SECONDS = 0.05
MIB = 2**20


class Peak:
    """
    Looks at a process and all below it while it is entered, and remembers the most that they held together.

    Counts resident pages; a page that two of them share counts twice, so this is an upper bound.
    """

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    @property
    def mib(self) -> float:
        """The most that was seen, in MiB."""
        return self.bytes / MIB

    def _look(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            pid = self._pid()
            if pid is not None:
                self.bytes = max(self.bytes, _held(pid))


def _held(pid: int) -> int:
    try:
        parent = psutil.Process(pid)
        return sum(process.memory_info().rss for process in (parent, *parent.children(recursive=True)))
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # one of them has just ended
        return 0
