"""Passwords of named accounts: what is kept of them, and which ones are good enough."""

from __future__ import annotations

import secrets
import unicodedata
from base64 import b64decode, b64encode
from functools import cache
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from qianzhi.errors import SenderError

CHARACTERS_MIN: Final = 12
CHARACTERS_MAX: Final = 128
KINDS_MIN: Final = 3  # of small and capital letters, digits, and all else (GB/T 22239 asks for a mix)
COST: Final = 15  # a power of two: 32 MiB and about a tenth of a second a try
_BLOCK, _PARALLEL = 8, 1
_SALT_BYTES, _KEY_BYTES = 16, 32
_SCHEME: Final = "scrypt"


def verifier(password: str) -> str:
    """Return what is kept of a password: scrypt with its parameters and a fresh salt."""
    salt = secrets.token_bytes(_SALT_BYTES)
    key = _kdf(salt, COST).derive(_bytes(password))
    return f"{_SCHEME}${COST}${b64encode(salt).decode()}${b64encode(key).decode()}"


def matches(password: str, kept: str | None) -> bool:
    """
    Tell whether a password is the one that a verifier was made of.

    Without a verifier (nobody has that name) it takes as long, and the answer is no.
    """
    _, cost, salt, key = (kept or _nobody()).split("$")
    try:
        _kdf(b64decode(salt), int(cost)).verify(_bytes(password), b64decode(key))
    except InvalidKey:
        return False
    return kept is not None


def require_good(password: str, name: str) -> None:
    """Raise SenderError, which says what is asked, for a password that is easily guessed."""
    if not CHARACTERS_MIN <= len(password) <= CHARACTERS_MAX or has_control(password):
        raise SenderError(
            "The password is too short or too long, or has a control character.",
            remedy=f"Choose {CHARACTERS_MIN} to {CHARACTERS_MAX} characters.",
        )
    if name.lower() in password.lower() or len(set(map(_kind, password))) < KINDS_MIN:
        raise SenderError(
            "The password is too easily guessed.",
            remedy="Mix small letters, capitals, digits and other characters, and leave the account's name out.",
        )


def has_control(text: str) -> bool:
    """Tell whether a text has characters that nobody types."""
    return any(unicodedata.category(each) == "Cc" for each in text)


def _kind(character: str) -> str:
    if character.isdigit():
        return "digit"
    return "lower" if character.islower() else "upper" if character.isupper() else "other"


def _kdf(salt: bytes, cost: int) -> Scrypt:
    return Scrypt(salt=salt, length=_KEY_BYTES, n=2**cost, r=_BLOCK, p=_PARALLEL)


def _bytes(password: str) -> bytes:
    return unicodedata.normalize("NFC", password).encode()


@cache
def _nobody() -> str:
    return verifier(secrets.token_urlsafe())
