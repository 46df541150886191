"""Reading a request's body within bounds of size, time and of what the whole process holds at once."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

from starlette.requests import ClientDisconnect

from qianzhi.hub.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from starlette.requests import Request

BODY_SECONDS_MAX: Final = 120.0
BATCH_BYTES_MAX: Final = 64 * 2**20
DRAIN_SECONDS_MAX: Final = 20.0
DRAIN_PAUSE_SECONDS_MAX: Final = 1.5
"""How long a sender whose body is refused may pause; one that pauses longer can read its answer."""

HELD_BYTES_MAX: Final = 160 * 2**20
"""Of all bodies that one process holds at once; memory and not politeness sets it."""

_READ: Final = "body_read"
_DIGEST: Final = re.compile(r"(?:^|[\s,])sha-256=:([A-Za-z0-9+/=]+):")
_SLOW: Final = Problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "body-too-slow",
    f"The body did not come within {BODY_SECONDS_MAX:.0f} seconds.",
    "Send it again over a better line, or in smaller batches.",
)
_TRUNCATED: Final = Problem(
    HTTPStatus.BAD_REQUEST, "body-truncated", "The body ended before its announced length.", "Send the same again."
)
_BUSY: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE, "busy", "The hub holds as much as it can now.", "Send the same again later."
)
_CODED: Final = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "content-encoding",
    "The body has a Content-Encoding.",
    "Send it without one: a sealed batch is compressed inside.",
)
_ALTERED: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "digest-mismatch",
    "The body is not what its Content-Digest says.",
    "Send the same again: it changed on the way.",
)
_MALFORMED_DIGEST: Final = Problem(
    HTTPStatus.BAD_REQUEST,
    "digest-malformed",
    "Content-Digest has no sha-256 of 32 bytes.",
    "Write it as sha-256=:<base64>: (RFC 9530).",
)


@dataclass(frozen=True, slots=True)
class Body:
    """What came, whole and as announced."""

    content: bytes
    digest: bytes  # SHA-256


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one body of rows."""

    body_bytes_max: int = BATCH_BYTES_MAX
    body_seconds_max: float = BODY_SECONDS_MAX


class Allowance:
    """How many bytes of bodies a process may hold at once. For one event loop."""

    def __init__(self, bytes_max: int = HELD_BYTES_MAX) -> None:
        self._left = bytes_max

    def share(self) -> Share:
        """Return a share that grows while a body is read and is given back when its context ends."""
        return Share(self)

    def take(self, count: int) -> bool:
        """Take `count` bytes unless so many are not left."""
        if count > self._left:
            return False
        self._left -= count
        return True

    def give_back(self, count: int) -> None:
        """Return what was taken."""
        self._left += count


class Share:
    """The part of an allowance that one request holds."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._held = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._allowance.give_back(self._held)

    def grow(self, count: int) -> bool:
        """Hold `count` bytes more, if the allowance lets it."""
        granted = self._allowance.take(count)
        self._held += count if granted else 0
        return granted


async def read(
    request: Request, share: Share, *, bytes_max: int, seconds_max: float = BODY_SECONDS_MAX
) -> Body | Problem:
    """Read a body, comparing it with the length and the digest that its head announces."""
    head = _announced(request, bytes_max)
    if isinstance(head, Problem):
        return head
    length, digest = head
    try:
        async with asyncio.timeout(seconds_max):
            body = await _collect(request.stream(), share, bytes_max)
    except TimeoutError:
        setattr(request.state, _READ, True)  # who was slow is not waited for again
        return _SLOW
    except ClientDisconnect:
        setattr(request.state, _READ, True)
        return _TRUNCATED
    if isinstance(body, Problem):
        return body
    setattr(request.state, _READ, True)
    if length is not None and len(body.content) != length:
        return _TRUNCATED
    return _ALTERED if digest is not None and not hmac.compare_digest(digest, body.digest) else body


async def drain(request: Request, *, bytes_max: int = BATCH_BYTES_MAX) -> None:
    """
    Read and forget a body that is refused.

    A connection that closes with bytes unread loses the answer on its way, and the sender never learns why. Only who
    goes on writing is waited for.
    """
    if getattr(request.state, _READ, False):
        return
    left, now = bytes_max, asyncio.get_running_loop().time
    last = now() + DRAIN_SECONDS_MAX
    try:
        async with asyncio.timeout(DRAIN_PAUSE_SECONDS_MAX) as patience:
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return
                patience.reschedule(min(now() + DRAIN_PAUSE_SECONDS_MAX, last))
    except (TimeoutError, ClientDisconnect):
        return


async def _collect(stream: AsyncIterator[bytes], share: Share, bytes_max: int) -> Body | Problem:
    content, running = bytearray(), hashlib.sha256()
    async for chunk in stream:
        if len(content) + len(chunk) > bytes_max:
            return _too_large(bytes_max)
        if not share.grow(len(chunk)):
            return _BUSY
        content += chunk
        running.update(chunk)
    return Body(bytes(content), running.digest())


def _announced(request: Request, bytes_max: int) -> tuple[int | None, bytes | None] | Problem:
    """Return length and digest as the head says, or why the body is not worth reading."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        return _CODED
    said = request.headers.get("content-length")
    length = int(said) if said is not None and said.isdecimal() else None
    if length is not None and length > bytes_max:
        return _too_large(bytes_max)
    digest = request.headers.get("content-digest")
    if digest is None:
        return length, None
    match = _DIGEST.search(digest)
    try:
        decoded = base64.b64decode(match[1], validate=True) if match else b""
    except binascii.Error:
        decoded = b""
    return (length, decoded) if len(decoded) == hashlib.sha256().digest_size else _MALFORMED_DIGEST


def _too_large(bytes_max: int) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body-too-large",
        f"The body is larger than {bytes_max} bytes.",
        "Send it in smaller parts.",
    )
