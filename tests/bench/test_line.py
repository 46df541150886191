from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from qianzhi.bench.line import Line, Way
from qianzhi.bench.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

BITS_PER_SECOND = 8_000_000
CONTENT = bytes(500_000)  # half a second of that line
LONG = bytes(30_000_000)  # half a minute: whatever happens meanwhile happens amid it
SECONDS_MAX = 90.0


@contextmanager
def listening() -> Iterator[tuple[int, list[int]]]:
    """Let somebody listen who answers what comes with one byte when the sender has done; give port and sizes."""
    sizes: list[int] = []

    def answer(server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=swallow, args=(near,), daemon=True).start()

    def swallow(near: socket.socket) -> None:
        with near:
            size = 0
            try:
                while part := near.recv(65536):
                    size += len(part)
                    if size == len(CONTENT):
                        near.sendall(b"!")
            except OSError:
                pass
            sizes.append(size)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        yield server.getsockname()[1], sizes
        server.shutdown(socket.SHUT_RDWR)


def send(port: int, content: bytes = CONTENT) -> float:
    """Send a content over a line, wait for the answer, and return the seconds."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as near:
        near.sendall(content)
        assert near.recv(1) == b"!"
    return time.monotonic() - begun


def test_a_line_lets_through_what_it_says() -> None:
    """Half a megabyte at a megabyte a second takes half a second, and is counted."""
    (port,) = free_ports(1)
    with listening() as (target, _), Line(port, target, bits_per_second=BITS_PER_SECOND) as line:
        took = send(port)
        assert line.up.byte_count == len(CONTENT)
    assert 0.45 < took < SECONDS_MAX


def test_two_connections_share_a_line() -> None:
    """Together they take as long as one with twice as much."""
    (port,) = free_ports(1)
    with listening() as (target, _), Line(port, target, bits_per_second=BITS_PER_SECOND):
        begun = time.monotonic()
        other = threading.Thread(target=send, args=(port,))
        other.start()
        send(port)
        other.join()
        assert time.monotonic() - begun > 0.9


def test_a_cut_line_breaks_what_goes_over_it() -> None:
    """Nothing comes about until it is mended."""
    (port,) = free_ports(1)
    with listening() as (target, _), Line(port, target, bits_per_second=BITS_PER_SECOND) as line:
        threading.Timer(0.2, line.cut).start()
        with pytest.raises((OSError, AssertionError)):
            send(port, LONG)
        with pytest.raises((OSError, AssertionError)):
            send(port)
        line.mend()
        assert send(port) > 0.4


def test_a_way_waits_behind_what_went_before() -> None:
    """What is passed on takes its time from the end of the last."""
    way = Way(8_000)
    begun = time.monotonic()
    for _ in range(3):
        way.pass_on(50)
    assert 0.14 < time.monotonic() - begun < SECONDS_MAX
