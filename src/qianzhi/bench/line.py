"""A line between two ends on this machine: so many bits a second each way, and it can be cut and mended."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from qianzhi.bench.ports import LOOPBACK
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from types import TracebackType

BITS: Final = 8
TICK_SECONDS: Final = 0.02
"""What the line carries in this time goes at once; it is also the delay of each way."""

LOOK_SECONDS: Final = 0.2
BUFFER_BYTES: Final = 32 * 1024
"""Of each socket: what lies in a buffer seems sent to its sender, and a real line keeps little."""

CONNECTIONS_MAX: Final = 64


class Way:
    """One direction, shared by every connection."""

    def __init__(self, bits_per_second: float) -> None:
        self._bytes_per_second = bits_per_second / BITS
        self._free_at = clock.monotonic()
        self._lock = threading.Lock()
        self.byte_count = 0

    @property
    def chunk_bytes(self) -> int:
        """How much goes at once."""
        return max(1, round(self._bytes_per_second * TICK_SECONDS))

    def pass_on(self, count: int) -> None:
        """Wait as long as so many bytes take behind all those before them."""
        with self._lock:
            begin = max(clock.monotonic(), self._free_at)
            self._free_at = begin + count / self._bytes_per_second
            self.byte_count += count
            until = self._free_at
        clock.sleep(max(0.0, until - clock.monotonic()))


class Line:
    """
    Listens on `port` and passes on to `target_port`, each way at a rate of its own, until it is left.

    While it is cut, connections break and new ones are reset.
    """

    def __init__(self, port: int, target_port: int, *, bits_per_second: float) -> None:
        self._target = (LOOPBACK, target_port)
        self._listener = socket.create_server((LOOPBACK, port), backlog=CONNECTIONS_MAX)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)  # inherited by connections
        self._listener.settimeout(LOOK_SECONDS)
        self.up, self.down = Way(bits_per_second), Way(bits_per_second)
        self._pairs: list[_Pair] = []
        self._closed, self._is_cut = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closed.set()
        self._thread.join()
        self._break()
        self._listener.close()

    def cut(self) -> None:
        """Break every connection and let none come about."""
        self._is_cut.set()
        self._break()

    def mend(self) -> None:
        """Let connections come about again."""
        self._is_cut.clear()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._pairs = [pair for pair in self._pairs if pair.is_open]
            if self._is_cut.is_set() or len(self._pairs) >= CONNECTIONS_MAX:
                near.close()
                continue
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            pair = _Pair(near, far)
            self._pairs.append(pair)
            pair.run(self.up, self.down)

    def _break(self) -> None:
        for pair in self._pairs:
            pair.close()


@dataclass(eq=False, slots=True)
class _Pair:
    """A connection and its continuation."""

    near: socket.socket
    far: socket.socket
    _closed: threading.Event = field(default_factory=threading.Event)

    @property
    def is_open(self) -> bool:
        """Whether both ends still talk."""
        return not self._closed.is_set()

    def run(self, up: Way, down: Way) -> None:
        """Pass on both ways."""
        for source, sink, way in ((self.near, self.far, up), (self.far, self.near, down)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            threading.Thread(target=self._pump, args=(source, sink, way), daemon=True).start()

    def close(self) -> None:
        """Break the connection."""
        self._closed.set()
        for end in (self.near, self.far):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pump(self, source: socket.socket, sink: socket.socket, way: Way) -> None:
        with suppress(OSError):
            while content := source.recv(way.chunk_bytes):
                way.pass_on(len(content))
                sink.sendall(content)
        self.close()
