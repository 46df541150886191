"""
Delivery to a hub of ours: one PUT a batch over HTTPS, the batch id in the path being the idempotency key.

Guangdong publishes no upload protocol (the official front machine uploads by itself), so the wire here is ours.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import httpx
import orjson

from qianzhi.errors import OperatorError, RetryableError, SenderError
from qianzhi.sealing import envelopes, receipts

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    import polars as pl

    from qianzhi.sealing.envelopes import Manifest
    from qianzhi.sealing.receipts import Receipt

REGULATOR = "guangdong"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0  # between two parts of a request or an answer, and for the body of an answer as a whole
RECEIPT_BYTES_MAX = 256 * 2**20
PIECE_BYTES = 256 * 2**10  # a second of a line of 2 Mb/s: what a cut line costs at most, and a row waits
PROBLEM_BYTES_MAX = 2**20
PROBLEM_CHARACTERS_MAX = 500
# What the hub says of this one batch: the same bytes will never do better, smaller ones may. Any other refusal is of
# this gateway (credential, rights, edition, clock), and taking its batches apart would cost rows without any fault.
_UNPROCESSABLE = "unprocessable"
_TOO_LARGE = 413  # also by a proxy in between, which has no code
# What the way did to the body; the same bytes may do better another time.
_TRANSIENT = frozenset({400, 408, 425, 429})
_MISSING = frozenset({404})
_OFFSET = "Upload-Offset"
_OFFSET_DIGITS_MAX = 12
_UNKNOWN_BATCH = "batch-unknown"
_CLIENT_ERRORS = range(300, 500)


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
        self._answer_seconds = answer_seconds
        self._receipt_bytes_max = receipt_bytes_max
        self._client = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/{regulator}",
            auth=partial(_sign, credential),
            timeout=httpx.Timeout(answer_seconds, connect=min(CONNECT_SECONDS, answer_seconds)),
            verify=tls,
            trust_env=False,
            follow_redirects=False,
        )

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
        if not there and len(content) <= PIECE_BYTES:
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
            if _problem(answer.body)[0] == _UNKNOWN_BATCH:
                return False
            raise _refusal(answer)
        return receipts.decode(answer.body).batch_id == manifest.batch_id

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def _request(
        self,
        method: str,
        path: str,
        *,
        content: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        expected: frozenset[int] = frozenset(),
    ) -> _Answer:
        # httpx's request and response hold each other until the garbage collector comes. They must not hold megabytes
        # as long: an iterator that has come to its end holds nothing.
        body = iter((content,)) if content else None
        sized = {**headers, "Content-Length": str(len(content))} if content else headers
        try:
            with self._client.stream(method, path, content=body, headers=sized) as response:
                bytes_max = self._receipt_bytes_max if response.is_success else PROBLEM_BYTES_MAX
                answer = _Answer(response.status_code, self._body(response, bytes_max), response.headers.get(_OFFSET))
        except httpx.HTTPError as error:
            raise _no_answer(type(error).__name__) from error
        if httpx.codes.is_success(answer.status) or answer.status in expected:
            return answer
        raise _refusal(answer)

    def _body(self, response: httpx.Response, bytes_max: int) -> bytes:
        """Read a body within its bounds: whoever answers may be anything that listens at the address."""
        body = bytearray()
        deadline = time.monotonic() + self._answer_seconds
        for part in response.iter_bytes():
            body += part
            if len(body) > bytes_max:
                raise OperatorError(
                    f"The answer is larger than {bytes_max} bytes.",
                    remedy="Check whether the destination's address is that of the hub.",
                )
            if time.monotonic() > deadline:
                raise _no_answer("it took too long")
        return bytes(body)


def _sign(credential: Callable[[], str], request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {credential()}"
    return request


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    offset: str | None = None


def _offset(answer: _Answer, length: int, *, beyond: int = -1) -> int:
    """Return how much of a blob the hub says it has; a word that makes no sense must not keep us here for ever."""
    said = answer.offset or "0"
    if not (said.isascii() and said.isdigit() and len(said) <= _OFFSET_DIGITS_MAX and beyond < int(said) <= length):
        raise OperatorError(
            "The hub says something impossible of how much it has of an image.",
            remedy="Check whether the destination's address is that of the hub.",
        )
    return int(said)


def _no_answer(why: str) -> RetryableError:
    return RetryableError(
        f"The hub gave no answer ({why}).",
        remedy="The batch stays sealed and is sent again; check the network if this goes on.",
    )


def _refusal(answer: _Answer) -> RetryableError | SenderError | OperatorError:
    code, remedy = _problem(answer.body)
    what = f"The hub answered {answer.status} ({code})."
    if code == _UNPROCESSABLE or answer.status == _TOO_LARGE:
        return SenderError(what, remedy=remedy)
    if answer.status in _CLIENT_ERRORS and answer.status not in _TRANSIENT:
        return OperatorError(what, remedy=remedy)
    return RetryableError(what, remedy="The batch stays sealed and is sent again.")


def _problem(body: bytes) -> tuple[str, str]:
    try:
        said = orjson.loads(body)
        return str(said["code"])[:PROBLEM_CHARACTERS_MAX], str(said["remedy"])[:PROBLEM_CHARACTERS_MAX]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "no code", "Check whether the destination's address is that of the hub."
