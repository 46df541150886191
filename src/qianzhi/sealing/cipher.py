"""
Encrypted files, as bytes: AES-256-GCM in chunks, so that memory stays bounded and every part is authenticated. Pure.

A file is a head (mark, key id, salt) and chunks of CHUNK_BYTES, each with its tag; only the last may be shorter.
Every file has a key of its own, derived (HKDF-SHA-256) from the key, the salt and the name of the thing. The nonce of a
chunk is its number and whether it is the last, so that chunks can be neither changed, swapped, repeated nor left out.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from qianzhi.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KEY_BYTES = 32
KEY_ID_BYTES = 8
SALT_BYTES = 32
CHUNK_BYTES = 64 * 1024
_MARK = b"QIANZHI\x01"  # the last byte is the version
_PLAIN_MARK = b"QIANZHI\x00"  # stands before plain content that begins like one of the two marks
_TAG_BYTES = 16
_NUMBER_BYTES = 11  # of a nonce; the twelfth byte tells the last chunk
HEAD_BYTES = len(_MARK) + KEY_ID_BYTES + SALT_BYTES


def key_id(key: bytes) -> bytes:
    """Return what a key is known by; it tells nothing of the key."""
    return hashlib.sha256(b"qianzhi key id" + key).digest()[:KEY_ID_BYTES]


def is_encrypted(head: bytes) -> bool:
    """Tell whether a file that begins so is an encrypted one."""
    return head.startswith(_MARK)


def plain(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of a plain file: the content, marked as plain if it would be taken for an encrypted file."""
    rest, first = iter(blocks), b""
    while len(first) < len(_MARK) and (block := next(rest, None)) is not None:
        first += block
    yield _PLAIN_MARK + first if first.startswith((_MARK, _PLAIN_MARK)) else first
    yield from rest


def without_mark(head: bytes) -> bytes:
    """Return how the content of a plain file begins, from how the file does."""
    return head.removeprefix(_PLAIN_MARK)


def key_id_of(head: bytes) -> bytes:
    """Return the id of the key that an encrypted file needs."""
    return head[len(_MARK) : len(_MARK) + KEY_ID_BYTES]


def encrypted_size(byte_count: int) -> int:
    """Return how large the encrypted file of so many bytes is."""
    chunks = max(1, -(-byte_count // CHUNK_BYTES))
    return HEAD_BYTES + byte_count + chunks * _TAG_BYTES


def content_size(byte_count: int) -> int:
    """Return how much content an encrypted file of so many bytes holds."""
    chunks = -(-(byte_count - HEAD_BYTES) // (CHUNK_BYTES + _TAG_BYTES))
    return byte_count - HEAD_BYTES - chunks * _TAG_BYTES


def encrypt(blocks: Iterable[bytes], key: bytes, salt: bytes, name: str) -> Iterator[bytes]:
    """Yield the parts of the encrypted file; `salt` must be random and never used twice."""
    head = _MARK + key_id(key) + salt
    cipher = _cipher(key, salt, name)
    yield head
    for number, (piece, is_last) in enumerate(_pieces(blocks, CHUNK_BYTES)):
        yield cipher.encrypt(_nonce(number, is_last=is_last), piece, head)


def decrypt(blocks: Iterable[bytes], head: bytes, key: bytes, name: str) -> Iterator[bytes]:
    """
    Yield the content; `blocks` are what follows the head, cut anywhere.

    Every part that is yielded is authentic; whether nothing is missing is known at the end. Raises OperatorError for
    whatever is not, bit for bit, the file that was encrypted under this key and name.
    """
    if len(head) != HEAD_BYTES or key_id_of(head) != key_id(key):
        _refuse(name)
    cipher = _cipher(key, head[-SALT_BYTES:], name)
    for number, (piece, is_last) in enumerate(_pieces(blocks, CHUNK_BYTES + _TAG_BYTES)):
        try:
            yield cipher.decrypt(_nonce(number, is_last=is_last), piece, head)
        except InvalidTag:
            _refuse(name)


def wrap(key: bytes, secret: bytes, salt: bytes, name: str) -> bytes:
    """Return a small secret (a key of something else), encrypted under the key."""
    return b"".join(encrypt((secret,), key, salt, name))


def unwrap(key: bytes, wrapped: bytes, name: str) -> bytes:
    """Return the secret that was wrapped; OperatorError where it is not, bit for bit, what was."""
    return b"".join(decrypt((wrapped[HEAD_BYTES:],), wrapped[:HEAD_BYTES], key, name))


def _cipher(key: bytes, salt: bytes, name: str) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, b"qianzhi file 1 " + name.encode()).derive(key))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big") + bytes([is_last])


def _pieces(blocks: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """Cut blocks into pieces of a size, and tell the last one: shorter or whole, and empty only if all is."""
    held = bytearray()
    for block in blocks:
        view = memoryview(block)
        while view.nbytes:
            if len(held) == size:  # more follows, so it is not the last
                yield bytes(held), False
                held.clear()
            taken = size - len(held)
            held += view[:taken]
            view = view[taken:]
    yield bytes(held), True


def _refuse(name: str) -> NoReturn:
    raise OperatorError(
        f"The encrypted {name} is not what was written: it was changed, cut off, or put in the place of another.",
        remedy="Restore it from a backup, and find out who writes to the data directory.",
    )
