"""Images and documents as content-addressed files: `<folder>/<first two digits>/<sha256>`; the ledger names them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from qianzhi.errors import OperatorError
from qianzhi.runtime.files import write_durably

if TYPE_CHECKING:
    from pathlib import Path

_PARTS = "*/.*.part"


class Blobs:
    """One folder of blobs. The file is whole and durable before any ledger entry names it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
        if not path.is_file() or path.stat().st_size != len(content):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(path, content)
        return digest

    def get(self, digest: bytes) -> bytes:
        """Return a blob. Raises OperatorError when its file is absent or no longer what its name says."""
        try:
            content = self.path(digest).read_bytes()
        except FileNotFoundError as error:
            raise self._damaged(digest, "is missing") from error
        if hashlib.sha256(content).digest() != digest:
            raise self._damaged(digest, "has changed on the disk")
        return content

    def byte_count(self, digest: bytes) -> int:
        """Return the size of a blob. Raises OperatorError when its file is absent."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError as error:
            raise self._damaged(digest, "is missing") from error

    def sweep(self) -> int:
        """Remove what a killed process left half-written, and return how many; only while nobody writes."""
        parts = list(self.folder.glob(_PARTS))
        for part in parts:
            part.unlink(missing_ok=True)
        return len(parts)

    @staticmethod
    def _damaged(digest: bytes, what: str) -> OperatorError:
        return OperatorError(f"The blob {digest.hex()[:12]}… {what}.", remedy="Restore the blobs folder from a backup.")
