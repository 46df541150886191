"""The agreed image folder: files named by what they hold, as this machine writes them and the official side reads."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qianzhi.errors import OperatorError
from qianzhi.runtime.files import SHARED, write_durably

if TYPE_CHECKING:
    from pathlib import Path

ENDINGS: Final = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/tiff": "tif",
    "image/webp": "webp",
}
_READABLE: Final = 0o755  # the official account only reads
_WINDOWS = re.compile(r"[A-Za-z]:|\\\\")


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder under two names."""

    folder: Path
    prefix: str

    def put(self, digest: bytes, media_type: str, content: bytes) -> str:
        """
        Keep an image unless it is there already; return its path as the official side spells it.

        The file is whole or absent, whoever looks. Raises OperatorError where it cannot be written.
        """
        name = f"{digest.hex()}.{ENDINGS[media_type]}"
        path = self.folder / name[:2] / name
        try:
            if not _holds(path, digest, len(content)):
                self._make(path.parent)
                write_durably(path, content, mode=SHARED)
        except OSError as error:
            raise OperatorError(
                f"An image cannot be put into {self.folder}: {error.strerror or type(error).__name__}.",
                remedy="Mount the folder, give this account the right to write there, and make room; "
                "the batch stays sealed and is sent again.",
            ) from error
        return self.spelt(name)

    def spelt(self, name: str) -> str:
        """Return the path of a file as the official side spells it."""
        separator = "\\" if _WINDOWS.match(self.prefix) or "\\" in self.prefix else "/"
        return separator.join([self.prefix.rstrip("\\/"), name[:2], name])

    def _make(self, folder: Path) -> None:
        if not self.folder.is_dir():  # a share that is not mounted must not be replaced by a folder of ours
            raise FileNotFoundError(2, "there is no such folder")
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            folder.chmod(_READABLE)


def _holds(path: Path, digest: bytes, size: int) -> bool:
    if not path.is_file() or path.stat().st_size != size:
        return False
    return hashlib.sha256(path.read_bytes()).digest() == digest
