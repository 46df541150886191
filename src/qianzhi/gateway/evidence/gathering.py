"""Questions that come at once are answered by one query: each waits for the query under way, and goes with the next."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from qianzhi.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qianzhi.errors import QianzhiError

K = TypeVar("K")
V = TypeVar("V")

WAITING_MAX: Final = 10_000
AT_ONCE_MAX: Final = 500
"""Keys of one query."""


class Gathering(Generic[K, V]):
    """
    Looks keys up by `read`, which is called in a thread of its own with different keys, one call after another.

    For one event loop.
    """

    def __init__(self, read: Callable[[Sequence[K]], Mapping[K, V]]) -> None:
        self._read = read
        self._waiting: deque[tuple[K, asyncio.Future[V | None]]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gathering")
        self._work: asyncio.Task[None] | None = None

    async def ask(self, key: K) -> V | None:
        """Return the value of a key, if it has one. Raises what `read` raises; RetryableError when too many wait."""
        if len(self._waiting) >= WAITING_MAX:
            raise RetryableError("Too many questions wait.", remedy="Ask again later.")
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[V | None] = loop.create_future()
        self._waiting.append((key, asked))
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._go_on())
        return await asked

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), AT_ONCE_MAX))]
            keys = list(dict.fromkeys(key for key, _ in taken))
            try:
                found = await loop.run_in_executor(self._thread, self._read, keys)
            except Exception as error:  # noqa: BLE001  # whatever it is, whoever waits must be told
                _tell(taken, error)
                continue
            for key, asked in taken:
                if not asked.done():  # nobody waits any more
                    asked.set_result(found.get(key))


def _tell(taken: Sequence[tuple[K, asyncio.Future[V | None]]], error: Exception | QianzhiError) -> None:
    for _, asked in taken:
        if not asked.done():
            asked.set_exception(error)
