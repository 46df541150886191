"""
A client that asks over HTTPS as fast as it is answered, on many connections: a process of its own beside the service.

Each connection asks one question after another and keeps open. Told on standard output: `seconds` for all, and of
each question how many milliseconds it took. Started as `python -m qianzhi.bench.load <port> <authority> <connections>`
with one target (path and query) a line on standard input.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import orjson

from qianzhi.bench.ports import LOOPBACK
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_MILLISECONDS: Final = 1000.0


class _Asker(asyncio.Protocol):
    """One connection."""

    def __init__(self, targets: deque[bytes], took: list[float], statuses: dict[str, int]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._targets, self._took, self._statuses = targets, took, statuses
        self._received = b""
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_HEAD_END)
        if end < 0:
            return
        head = self._received[:end].lower()
        at = head.find(_LENGTH) + len(_LENGTH)
        length = int(head[at:].partition(b"\r\n")[0])
        if len(self._received) < end + len(_HEAD_END) + length:
            return
        self._took.append((clock.monotonic() - self._asked) * _MILLISECONDS)
        status = head[9:12].decode()
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._received = b""
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the service closed a connection"))

    def _ask(self) -> None:
        if not self._targets:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        target = self._targets.popleft()
        self._asked = clock.monotonic()
        self._transport.write(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")


async def ask_all(port: int, authority: str, connections: int, targets: Sequence[bytes]) -> dict[str, object]:
    """Ask for every target; return the seconds it took, the milliseconds of each, and how often each status came."""
    context = ssl.create_default_context(cafile=authority)
    loop = asyncio.get_running_loop()
    warm = await loop.create_connection(lambda: _Asker(deque(), [], {}), LOOPBACK, port, ssl=context)
    await warm[1].done
    waiting, took, statuses = deque(targets), list[float](), dict[str, int]()
    began = clock.monotonic()
    made = [
        await loop.create_connection(lambda: _Asker(waiting, took, statuses), LOOPBACK, port, ssl=context)
        for _ in range(connections)
    ]
    await asyncio.gather(*(asker.done for _, asker in made))
    return {"seconds": clock.monotonic() - began, "milliseconds": took, "statuses": statuses}


if __name__ == "__main__":
    lines = sys.stdin.buffer.read().splitlines()
    said = asyncio.run(ask_all(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), lines))
    sys.stdout.buffer.write(orjson.dumps(said))
