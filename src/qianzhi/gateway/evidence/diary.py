"""The diary of questions: kept in memory for a moment, then put on record together, so that no answer waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qianzhi.ledger.evidence import Noted

WAITING_MAX: Final = 20_000
"""What came while the database was away beyond that is only counted."""

PAUSE_SECONDS: Final = 1.0

log = structlog.stdlib.get_logger()


class Diary:
    """Writes by `write`, in a thread; for one event loop."""

    def __init__(self, write: Callable[[Sequence[Noted]], None]) -> None:
        self._write = write
        self._waiting: deque[Noted] = deque()
        self._lost = 0
        self._task: asyncio.Task[None] | None = None

    def note(self, question: Noted) -> None:
        """Remember a question."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(question)
        else:
            self._lost += 1

    def begin(self) -> None:
        """Write now and then from now on."""
        self._task = asyncio.get_running_loop().create_task(self._keep_writing())

    async def close(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._write_all()

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            await self._write_all()

    async def _write_all(self) -> None:
        taken = list(self._waiting)
        if not taken:
            return
        try:
            await asyncio.to_thread(self._write, taken)
        except Exception:
            log.exception("evidence:diary:postponed", count=len(taken))
            return
        for _ in taken:
            self._waiting.popleft()
        if self._lost:
            log.warning("evidence:diary:lost", count=self._lost)
            self._lost = 0
