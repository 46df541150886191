"""What every answer says to the browser: what it may load, run, frame, keep and tell others."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from qianzhi.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from starlette.types import Message, Send

PAGE_BYTES_MAX: Final = 16 * 1024 * 1024
NONCE_BYTES: Final = 18
_PAGE_HEADER: Final = b"x-nicegui-content"  # marks a page of the toolkit, whose scripts stand in the page
_KEPT: Final = ("/_nicegui/", "/assets/")
# The toolkit builds its components from text in the browser ('unsafe-eval') and sets styles in elements. Scripts that
# stand in a page carry a fresh nonce, so that markup from elsewhere runs nothing.
_COMMON: Final = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data: blob:; font-src 'self'; media-src 'self'; "
    "style-src 'self' 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ALWAYS: Final = (
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
)


def policy(nonce: str | None) -> str:
    """Return the Content-Security-Policy of a page; without a nonce it runs no script at all."""
    scripts = f"'self' 'unsafe-eval' 'nonce-{nonce}'" if nonce else "'none'"
    return f"{_COMMON}; script-src {scripts}"


class Dressed:
    """Wraps `send` of one answer: adds the headers, and the nonce to the scripts of a page."""

    def __init__(self, send: Send, path: str, *, is_secure: bool) -> None:
        self._send = send
        self._is_kept = path.startswith(_KEPT)
        self._is_secure = is_secure
        self._nonce = secrets.token_urlsafe(NONCE_BYTES)
        self._head: MutableMapping[str, Any] | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        """Send a message of the application on."""
        if message["type"] == "http.response.start":
            headers = [(name.lower(), value) for name, value in message.get("headers", [])]
            is_page = any(name == _PAGE_HEADER for name, _ in headers)
            message["headers"] = self._completed(headers, policy(self._nonce if is_page else None))
            if is_page:
                self._head = message
                return
        elif message["type"] == "http.response.body" and self._head is not None:
            await self._gather(message)
            return
        await self._send(message)

    def _completed(self, headers: list[tuple[bytes, bytes]], content: str) -> list[tuple[bytes, bytes]]:
        given = {name for name, _ in headers}
        wanted = [*ALWAYS, (b"content-security-policy", content.encode())]
        if not self._is_kept:
            headers = [(name, value) for name, value in headers if name != b"cache-control"]
            wanted.append((b"cache-control", b"no-store"))
        if self._is_secure:
            wanted.append((b"strict-transport-security", b"max-age=31536000"))
        return [*headers, *((name, value) for name, value in wanted if name not in given or name == b"cache-control")]

    async def _gather(self, message: Message) -> None:
        """Hold a page until it is whole, then give its scripts the nonce."""
        self._body += message.get("body", b"")
        if message.get("more_body", False) and len(self._body) <= PAGE_BYTES_MAX:
            return
        if len(self._body) > PAGE_BYTES_MAX:
            raise OperatorError("The page is larger than any may be.", remedy="Narrow what it shows.")
        head, self._head = self._head, None
        assert head is not None  # noqa: S101 - it was there a moment ago
        body = bytes(self._body).replace(b"<script", f'<script nonce="{self._nonce}"'.encode())
        head["headers"] = [
            (name, str(len(body)).encode() if name == b"content-length" else value) for name, value in head["headers"]
        ]
        await self._send(head)
        await self._send({"type": "http.response.body", "body": body})
