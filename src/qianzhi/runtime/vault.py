"""The vault: writes and reads files that hold personal data, encrypted where a key file is set."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from qianzhi.errors import OperatorError
from qianzhi.runtime.files import written_durably
from qianzhi.sealing import cipher

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from qianzhi.runtime.keyfile import KeyFile

READ_BYTES = 1024 * 1024


class Vault:
    """
    Files with or without a key. What was written without one stays readable, and so does what an older one wrote.

    `name` says what a file is ("blob 4f2a…"): an encrypted file is read under the name that it was written under only.
    """

    def __init__(self, keys: KeyFile | None = None) -> None:
        self.keys = keys

    def write(self, path: Path, name: str, content: bytes) -> None:
        """Write a file as `write_durably` does. Raises OSError when the disk is full, OperatorError without the key."""
        if self.keys is None:
            blocks = cipher.plain((content,))
        else:
            secret = self.keys.newest.secret  # before any file is opened: without a key there is none
            blocks = cipher.encrypt((content,), secret, secrets.token_bytes(cipher.SALT_BYTES), name)
        with written_durably(path) as file:
            for block in blocks:
                file.write(block)

    def read(self, path: Path, name: str) -> bytes:
        """
        Return a file's content.

        Raises FileNotFoundError where there is none, OperatorError where it was tampered with or its key is missing.
        """
        with path.open("rb") as file:
            head = file.read(cipher.HEAD_BYTES)
            if not cipher.is_encrypted(head):
                return cipher.without_mark(head) + file.read()
            return b"".join(cipher.decrypt(_rest(file), head, self._key_of(head, name), name))

    def is_current(self, path: Path) -> bool:
        """Tell whether a file is as this vault would write it now: under the newest key, or plain without one."""
        with path.open("rb") as file:
            head = file.read(cipher.HEAD_BYTES)
        if self.keys is None:
            return not cipher.is_encrypted(head)
        return cipher.is_encrypted(head) and cipher.key_id_of(head) == self.keys.newest.key_id

    def require_key(self, path: Path, name: str) -> None:
        """Raise OperatorError where the key of a file is away, FileNotFoundError where there is no file."""
        with path.open("rb") as file:
            head = file.read(cipher.HEAD_BYTES)
        if cipher.is_encrypted(head):
            self._key_of(head, name)

    @staticmethod
    def byte_count(path: Path) -> int:
        """Return the size of a file's content."""
        with path.open("rb") as file:
            head, size = file.read(cipher.HEAD_BYTES), path.stat().st_size
        return (
            cipher.content_size(size)
            if cipher.is_encrypted(head)
            else size - len(head) + len(cipher.without_mark(head))
        )

    @staticmethod
    def sizes(byte_count: int) -> tuple[int, int]:
        """Return how large the file of so many bytes mostly is: plain, and encrypted."""
        return byte_count, cipher.encrypted_size(byte_count)

    def _key_of(self, head: bytes, name: str) -> bytes:
        if self.keys is None:
            raise OperatorError(
                f"The {name} is encrypted, and no key file is set.",
                remedy="Set gateway.encryption.key_file to the key file that it was written with.",
            )
        return self.keys.key(cipher.key_id_of(head), name).secret


def _rest(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(READ_BYTES):
        yield block
