"""
Delivery to a hub of ours: one PUT a batch over HTTPS, the batch id in the path being the idempotency key.

Guangdong publishes no upload protocol (the official front machine uploads by itself), so the wire here is ours.
"""

from __future__ import annotations

import base64
from types import MappingProxyType
from typing import TYPE_CHECKING

import httpx

from qianzhi.errors import OperatorError
from qianzhi.regulators.guangdong.line import ANSWER_SECONDS, HubLine, problem, refusal
from qianzhi.sealing import envelopes, receipts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    import polars as pl

    from qianzhi.regulators.guangdong.line import Answer
    from qianzhi.sealing.envelopes import Manifest
    from qianzhi.sealing.receipts import Receipt

REGULATOR = "guangdong"
RECEIPT_BYTES_MAX = 256 * 2**20
PIECE_BYTES = 256 * 2**10  # a second of a line of 2 Mb/s: what a cut line costs at most, and a row waits
_MISSING = frozenset({404})
_OFFSET = "Upload-Offset"
_OFFSET_DIGITS_MAX = 12
_UNKNOWN_BATCH = "batch-unknown"


def open_door(url: str, credential: Callable[[], str], tls: ssl.SSLContext) -> HubDoor:
    """Return a door of the hub at `url`; `credential` is asked with each request, for it may be rotated at any time."""
    return HubDoor(url, REGULATOR, credential, tls)


class HubDoor:
    """The door of one hub for one thread; connections are kept open between batches."""

    images_follow = True

    def __init__(
        self,
        url: str,
        regulator: str,
        credential: Callable[[], str],
        tls: ssl.SSLContext,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        receipt_bytes_max: int = RECEIPT_BYTES_MAX,
    ) -> None:
        self._receipt_bytes_max = receipt_bytes_max
        self._line = HubLine(url, regulator, credential, tls, answer_seconds=answer_seconds)

    def encode(self, manifest: Manifest, rows: pl.DataFrame) -> bytes:
        """Return the sealed envelope."""
        return envelopes.seal(manifest, rows)

    def send(self, manifest: Manifest, sealed: bytes) -> tuple[Receipt, bytes]:
        """Deliver one batch; return the receipt read and as it came."""
        digest = base64.b64encode(envelopes.digest(sealed)).decode()
        headers = {"Content-Type": envelopes.MEDIA_TYPE, "Content-Digest": f"sha-256=:{digest}:"}
        answer = self._request("PUT", f"/batches/{manifest.batch_id}", content=sealed, headers=headers)
        return receipts.decode(answer.body), answer.body

    def offer(
        self, digest: bytes, media_type: str, content: bytes, *, goes_on: Callable[[], bool] = lambda: True
    ) -> bool:
        """Deliver one blob unless the hub holds it: a small one whole, a large one in pieces."""
        path = f"/blobs/{digest.hex()}"
        answer = self._request("HEAD", path, expected=_MISSING)
        if answer.status != httpx.codes.NOT_FOUND:
            return True
        there = _offset(answer, len(content))
        if there == len(content):
            # All of it came, and yet the hub does not hold it: the last piece lets it try again.
            there = max(0, there - PIECE_BYTES)
        elif not there and len(content) <= PIECE_BYTES:
            self._request("PUT", path, content=content, headers={"Content-Type": media_type})
            return True
        while there < len(content):
            if not goes_on():
                return False
            headers = {"Content-Type": media_type, _OFFSET: str(there), "Upload-Length": str(len(content))}
            piece = content[there : there + PIECE_BYTES]
            there = _offset(self._request("PATCH", path, content=piece, headers=headers), len(content), beyond=there)
        return True

    def holds(self, manifest: Manifest) -> bool:
        """Ask for the receipt of a batch."""
        answer = self._request("GET", f"/batches/{manifest.batch_id}", expected=frozenset({404}))
        if answer.status == httpx.codes.NOT_FOUND:
            if problem(answer.body)[0] == _UNKNOWN_BATCH:
                return False
            raise refusal(answer)
        return receipts.decode(answer.body).batch_id == manifest.batch_id

    def close(self) -> None:
        """Release connections."""
        self._line.close()

    def _request(
        self,
        method: str,
        path: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        expected: frozenset[int] = frozenset(),
    ) -> Answer:
        return self._line.request(
            method, path, bytes_max=self._receipt_bytes_max, content=content, headers=headers, expected=expected
        )


def _offset(answer: Answer, length: int, *, beyond: int = -1) -> int:
    """Return how much of a blob the hub says it has; a word that makes no sense must not keep us here for ever."""
    said = answer.headers.get(_OFFSET, "0")
    if not (said.isascii() and said.isdigit() and len(said) <= _OFFSET_DIGITS_MAX and beyond < int(said) <= length):
        raise OperatorError(
            "The hub says something impossible of how much it has of an image.",
            remedy="Check whether the destination's address is that of the hub.",
        )
    return int(said)
