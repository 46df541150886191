"""Images and documents as content-addressed files: `<folder>/<first two digits>/<sha256>`; the ledger names them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from qianzhi.errors import OperatorError
from qianzhi.runtime.files import make_folder_durably
from qianzhi.runtime.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from datetime import datetime
    from pathlib import Path

_PARTS = "*/.*.part"
_NAME_CHARACTERS = 64  # of a SHA-256 in hexadecimal digits


class Blobs:
    """One folder of blobs. The file is whole and durable before any ledger entry names it."""

    def __init__(self, folder: Path, vault: Vault | None = None) -> None:
        self.folder = folder
        self._vault = vault or Vault()

    def path(self, digest: bytes) -> Path:
        """Return where a blob lies or would lie."""
        name = digest.hex()
        return self.folder / name[:2] / name

    def holds(self, digest: bytes) -> bool:
        """Tell whether the blob is there."""
        return self.path(digest).is_file()

    def put(self, content: bytes) -> bytes:
        """Store a blob unless it is there already; return its SHA-256. Raises OSError when the disk is full."""
        digest = hashlib.sha256(content).digest()
        path = self.path(digest)
        if not path.is_file() or path.stat().st_size not in self._vault.sizes(len(content)):
            if not path.parent.is_dir():
                make_folder_durably(path.parent)
            self._vault.write(path, _name(digest), content)
        return digest

    def get(self, digest: bytes) -> bytes:
        """Return a blob. Raises OperatorError when its file is absent or no longer what its name says."""
        try:
            content = self._vault.read(self.path(digest), _name(digest))
        except FileNotFoundError as error:
            raise self._damaged(digest, "is missing") from error
        if hashlib.sha256(content).digest() != digest:
            raise self._damaged(digest, "has changed on the disk")
        return content

    def byte_count(self, digest: bytes) -> int:
        """Return the size of a blob. Raises OperatorError when its file is absent."""
        try:
            return self._vault.byte_count(self.path(digest))
        except FileNotFoundError as error:
            raise self._damaged(digest, "is missing") from error

    def sweep(self) -> int:
        """Remove what a killed process left half-written, and return how many; only while nobody writes."""
        parts = list(self.folder.glob(_PARTS))
        for part in parts:
            part.unlink(missing_ok=True)
        return len(parts)

    def remove_unused(self, used: Container[bytes], *, before: datetime) -> int:
        """Remove what was stored before that instant, unless in use; return how many. Only while nobody stores any."""
        oldest, removed = before.timestamp(), 0
        for digest, path in self._files():
            if digest not in used and path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def rewrite(self) -> int:
        """Write anew what is not as the vault writes now; return how many. Each is checked before it is replaced."""
        rewritten = 0
        for digest, path in self._files():
            if not self._vault.is_current(path):
                self._vault.write(path, _name(digest), self.get(digest))
                rewritten += 1
        return rewritten

    def _files(self) -> Iterator[tuple[bytes, Path]]:
        for path in self.folder.glob("[0-9a-f][0-9a-f]/[0-9a-f]*"):
            if len(path.name) == _NAME_CHARACTERS:
                yield bytes.fromhex(path.name), path

    @staticmethod
    def _damaged(digest: bytes, what: str) -> OperatorError:
        return OperatorError(f"The blob {digest.hex()[:12]}… {what}.", remedy="Restore the blobs folder from a backup.")


def _name(digest: bytes) -> str:
    return f"blob {digest.hex()}"
