"""
Sending a file: whole, in parts, or its head alone, from the descriptor that was checked.

The server could send a file by its path (`http.response.pathsend`) about as fast; but it would open the path again,
after it was checked, and log it where that fails.
"""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence.ranges import content_range, ranges_of

if TYPE_CHECKING:
    from typing import BinaryIO

    from starlette.types import Receive, Scope, Send

    from qianzhi.gateway.evidence.shelf import Opened

Headers = list[tuple[bytes, bytes]]

CHUNK_BYTES: Final = 512 * 1024
READERS_MAX: Final = 8
"""Threads of one process that read files."""

SEND_SECONDS_MAX: Final = 3600.0
"""How long one file may take: whoever reads slower holds a connection for nothing."""

_BOUNDARY_BYTES: Final = 16
SAFE: Final[Headers] = [
    (b"cache-control", b"private, no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-disposition", b"inline"),
    (b"referrer-policy", b"no-referrer"),
]


class Sender:
    """Sends files of one process."""

    def __init__(self) -> None:
        self._readers = ThreadPoolExecutor(READERS_MAX, thread_name_prefix="reader")

    def close(self) -> None:
        """End the threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def send_file(
        self, scope: Scope, receive: Receive, send: Send, opened: Opened, *, media_type: str, etag: str
    ) -> HTTPStatus:
        """Send a file as the request asks for it; return the status. The caller closes the file."""
        size = opened.byte_count
        head = [*SAFE, (b"accept-ranges", b"bytes"), (b"etag", etag.encode())]
        if header_of(scope, b"if-none-match") in {etag, "*"}:
            return await _start(send, HTTPStatus.NOT_MODIFIED, head)
        condition = header_of(scope, b"if-range")
        parts = ranges_of(header_of(scope, b"range"), size) if condition in {None, etag} else None
        if parts is None:
            head += _content(media_type, size)
            pieces: list[bytes | range] = [range(size)]
            status = HTTPStatus.OK
        elif not parts:
            head.append((b"content-range", content_range(None, size).encode()))
            return await _start(send, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, [*head, (b"content-length", b"0")])
        else:
            pieces, more = _partial(parts, size, media_type)
            head += more
            status = HTTPStatus.PARTIAL_CONTENT
        if scope["method"] == "HEAD":
            return await _start(send, status, head)
        await send({"type": "http.response.start", "status": status.value, "headers": head})
        await self._send_pieces(receive, send, opened.file, pieces)
        return status

    async def _send_pieces(self, receive: Receive, send: Send, file: BinaryIO, pieces: list[bytes | range]) -> None:
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            async with asyncio.timeout(SEND_SECONDS_MAX):
                for piece in pieces:
                    if isinstance(piece, bytes):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                    elif not await self._send_range(send, file, piece, gone):
                        return
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            return  # the connection ends before the announced length, which the client notices
        finally:
            gone.cancel()

    async def _send_range(self, send: Send, file: BinaryIO, piece: range, gone: asyncio.Future[None]) -> bool:
        """Send a part of a file; False where nobody reads on, or the file has become shorter."""
        loop = asyncio.get_running_loop()
        at = piece.start
        while at < piece.stop:
            content = await loop.run_in_executor(self._readers, _read, file, at, min(CHUNK_BYTES, piece.stop - at))
            if gone.done() or not content:
                return False
            await send({"type": "http.response.body", "body": content, "more_body": True})
            at += len(content)
        return True


def header_of(scope: Scope, name: bytes) -> str | None:
    """Return the value of a header; one that comes several times is none of those that we act upon."""
    values = [value for key, value in scope["headers"] if key == name]
    return str(values[0], "latin-1") if len(values) == 1 else None


def _partial(parts: list[range], size: int, media_type: str) -> tuple[list[bytes | range], Headers]:
    """Return what to send for one part or several, and what the head says of it."""
    if len(parts) == 1:
        said = (b"content-range", content_range(parts[0], size).encode())
        return [parts[0]], [*_content(media_type, len(parts[0])), said]
    boundary = secrets.token_hex(_BOUNDARY_BYTES)
    pieces: list[bytes | range] = []
    for part in parts:
        pieces.append(
            f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\n"
            f"Content-Range: {content_range(part, size)}\r\n\r\n".encode()
        )
        pieces.append(part)
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    return pieces, _content(f"multipart/byteranges; boundary={boundary}", sum(map(len, pieces)))


def _content(media_type: str, length: int) -> Headers:
    return [(b"content-type", media_type.encode()), (b"content-length", str(length).encode())]


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)


async def _start(send: Send, status: HTTPStatus, head: Headers) -> HTTPStatus:
    """Answer with a head alone."""
    await send({"type": "http.response.start", "status": status.value, "headers": head})
    await send({"type": "http.response.body", "body": b""})
    return status


async def _disconnected(receive: Receive) -> None:
    """Wait until nobody reads any more."""
    while (await receive())["type"] != "http.disconnect":
        pass
