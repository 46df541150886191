"""Passing on a remote file: what is asked of us is asked of the machine that has it, within bounds of size and time."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence.ranges import ranges_of
from qianzhi.gateway.evidence.remote import CHUNK_BYTES
from qianzhi.gateway.evidence.sending import SAFE, header_of

if TYPE_CHECKING:
    from starlette.types import Scope, Send

    from qianzhi.gateway.evidence.remote import Remote
    from qianzhi.ledger.evidence import Media

_PASSED: Final = ("content-length", "content-range")


async def relay(scope: Scope, send: Send, remote: Remote, media: Media) -> None:
    """
    Send a remote file, or the one part of it that is asked for.

    Raises SenderError, RetryableError, TimeoutError or httpx.HTTPError; an answer is due if nothing was sent.
    """
    headers = _range(scope, media)
    async with asyncio.timeout(remote.bounds.seconds_max), remote.open(media.location, headers) as answer:
        head = [*SAFE, (b"accept-ranges", b"bytes"), (b"content-type", media.media_type.encode())]
        head += [(name.encode(), answer.headers[name].encode("latin-1")) for name in _PASSED if name in answer.headers]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": head})
        if scope["method"] == "HEAD" or answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            await send({"type": "http.response.body", "body": b""})
            return
        count = 0
        async for piece in answer.aiter_raw(CHUNK_BYTES):
            count += len(piece)
            if count > remote.bounds.bytes_max:
                return  # the client notices that the announced length is missing
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _range(scope: Scope, media: Media) -> dict[str, str]:
    """Return the header that asks for one part; several would come back in a form that is not ours."""
    wanted = header_of(scope, b"range")
    parts = ranges_of(wanted, media.byte_count)
    return {} if wanted is None or parts is None or len(parts) > 1 else {"Range": wanted}
