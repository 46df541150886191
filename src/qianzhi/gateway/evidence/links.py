"""Addresses of files: each names one file as it is now, for a short time, and cannot be made by anybody else."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qianzhi.runtime.files import write_durably

if TYPE_CHECKING:
    from pathlib import Path

    from qianzhi.ledger.evidence import Media

SECRET_BYTES: Final = 32
FINGERPRINT_BYTES: Final = 8
_MAC_BYTES: Final = 16
_BODY: Final = struct.Struct(f">QI{FINGERPRINT_BYTES}s")
ID_CHARACTERS: Final = (_BODY.size + _MAC_BYTES) // 3 * 4
_PURPOSE_LINK, _PURPOSE_DIGEST = b"link", b"digest"


@dataclass(frozen=True, slots=True)
class Pass:
    """What an address proves: which file, and how it was when the address was made."""

    media_id: int
    fingerprint: bytes


class Signer:
    """Makes and reads the ids of addresses, and digests of what must not stand in a log."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, media: Media, *, ends: int) -> str:
        """Return the id of a file until `ends`, in seconds since 1970."""
        body = _BODY.pack(media.media_id, ends, fingerprint(media))
        return base64.urlsafe_b64encode(body + self._mac(_PURPOSE_LINK, body, _MAC_BYTES)).decode()

    def open(self, text: str, *, now: int) -> Pass | None:
        """Return what an id proves; None for one that is wrong or too old."""
        if len(text) != ID_CHARACTERS or not text.isascii():
            return None
        try:
            content = base64.b64decode(text, altchars=b"-_", validate=True)
        except binascii.Error:
            return None
        body, mac = content[: _BODY.size], content[_BODY.size :]
        if not hmac.compare_digest(mac, self._mac(_PURPOSE_LINK, body, _MAC_BYTES)):
            return None
        media_id, ends, printed = _BODY.unpack(body)
        return Pass(media_id, printed) if now <= ends else None

    def digest(self, text: str) -> str:
        """Return what stands for a text in logs: equal texts are seen to be equal, and no text can be guessed."""
        return self._mac(_PURPOSE_DIGEST, text.encode(errors="replace"), _MAC_BYTES).hex()

    def _mac(self, purpose: bytes, content: bytes, length: int) -> bytes:
        return hmac.digest(self._secret, purpose + b"\0" + content, "sha256")[:length]


def fingerprint(media: Media) -> bytes:
    """Return what changes with the file that an entry names."""
    said = f"{media.media_id}\0{media.place}\0{media.location}\0{media.byte_count}\0{media.modified_ns}"
    return hashlib.blake2b(said.encode(errors="surrogateescape"), digest_size=FINGERPRINT_BYTES).digest()


def ensure_secret(file: Path) -> bytes:
    """Return the secret of a file; make it where there is none. To be called before several processes need it."""
    if not file.exists():
        write_durably(file, secrets.token_bytes(SECRET_BYTES))
    return file.read_bytes()


def ensure_credential(file: Path) -> str:
    """Return the credential of a file, a text; make it where there is none."""
    if not file.exists():
        write_durably(file, secrets.token_urlsafe(SECRET_BYTES).encode())
    return file.read_text(encoding="utf-8").strip()
