"""
Delivery to a hub of ours: one PUT a batch over HTTPS, the batch id in the path being the idempotency key.

Guangdong publishes no upload protocol (the official front machine uploads by itself), so the wire here is ours.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import httpx
import orjson

from qianzhi.errors import OperatorError, RetryableError, SenderError
from qianzhi.sealing import envelopes, receipts

if TYPE_CHECKING:
    import ssl

    import polars as pl

    from qianzhi.sealing.envelopes import Manifest
    from qianzhi.sealing.receipts import Receipt

REGULATOR = "guangdong"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
RECEIPT_BYTES_MAX = 256 * 2**20
# What the hub says of this one batch; the same bytes will never do better, smaller ones may.
_OF_THE_BATCH = frozenset({400, 413, 415, 422})
# What the hub says of this gateway: credential, rights, edition, a batch id used twice.
_OF_THE_GATEWAY = frozenset({401, 403, 404, 405, 409})


def open_door(url: str, credential: str, tls: ssl.SSLContext) -> HubDoor:
    """Return a door of the hub at `url`."""
    return HubDoor(url, REGULATOR, credential, tls)


class HubDoor:
    """The door of one hub for one thread; connections are kept open between batches."""

    def __init__(self, url: str, regulator: str, credential: str, tls: ssl.SSLContext) -> None:
        self._client = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/{regulator}",
            headers={"Authorization": f"Bearer {credential}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
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
        response = self._request("PUT", f"/batches/{manifest.batch_id}", content=sealed, headers=headers)
        return receipts.decode(response.content), response.content

    def offer(self, digest: bytes, media_type: str, content: bytes) -> None:
        """Deliver one blob unless the hub holds it."""
        path = f"/blobs/{digest.hex()}"
        if self._request("HEAD", path, expected=frozenset({404})).status_code == httpx.codes.NOT_FOUND:
            self._request("PUT", path, content=content, headers={"Content-Type": media_type})

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def _request(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        expected: frozenset[int] = frozenset(),
    ) -> httpx.Response:
        try:
            response = self._client.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise RetryableError(
                f"The hub gave no answer ({type(error).__name__}).",
                remedy="The batch stays sealed and is sent again; check the network if this goes on.",
            ) from error
        if response.is_success or response.status_code in expected:
            return response
        raise _refusal(response)


def _refusal(response: httpx.Response) -> RetryableError | SenderError | OperatorError:
    code, remedy = _problem(response)
    what = f"The hub answered {response.status_code} ({code})."
    if response.status_code in _OF_THE_BATCH:
        return SenderError(what, remedy=remedy)
    if response.status_code in _OF_THE_GATEWAY or response.is_redirect:
        return OperatorError(what, remedy=remedy)
    return RetryableError(what, remedy="The batch stays sealed and is sent again.")


def _problem(response: httpx.Response) -> tuple[str, str]:
    try:
        said = orjson.loads(response.content)
        return str(said["code"]), str(said["remedy"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "no code", "Check whether the destination's address is that of the hub."
