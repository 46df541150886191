"""The folders that files may be shown from: nothing outside of them is ever registered or opened."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qianzhi.errors import SenderError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from qianzhi.ledger.evidence import Media

# A pipe would keep us waiting, and what is a link now was none when it was registered.
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_REMEDY: Final = "Put it into a folder of [gateway.evidence.folders], and name its full path."


@dataclass(frozen=True, slots=True)
class Opened:
    """A file to be read, and how it is now; whoever has it closes it."""

    file: BinaryIO
    path: Path
    byte_count: int
    modified_ns: int


class Shelf:
    """Opens files of some folders, each by its name in the settings."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders = folders

    def admit(self, path: Path) -> Opened:
        """
        Open a file that is to be registered, by its real path.

        Raises SenderError for what lies outside of every folder, also by `..` or a link, and for what is no file.
        """
        try:
            real = path.resolve(strict=True) if path.is_absolute() else None
        except (OSError, RuntimeError, ValueError):  # not there, a circle of links, or a sign that no path has
            real = None
        if real is None or not self.holds(real):
            raise SenderError("The file is not one that may be shown.", remedy=_REMEDY)
        try:
            return _open(real)
        except OSError as error:
            raise SenderError("The file cannot be read.", remedy=_REMEDY) from error

    def open(self, media: Media) -> Opened | None:
        """Open a registered file; None where it is gone, changed, or no longer within a folder."""
        path = Path(media.location)
        try:
            if os.path.realpath(path) != media.location or not self.holds(path):
                return None
            opened = _open(path)
        except (OSError, ValueError):
            return None
        if (opened.byte_count, opened.modified_ns) != (media.byte_count, media.modified_ns):
            opened.file.close()
            return None
        return opened

    def holds(self, real: Path) -> bool:
        """Tell whether a real path lies within a folder."""
        return any(real.is_relative_to(os.path.realpath(folder)) for folder in self.folders.values())


def _open(path: Path) -> Opened:
    descriptor = os.open(path, _FLAGS)
    try:
        found = _require_file(os.fstat(descriptor))
        return Opened(os.fdopen(descriptor, "rb", buffering=0), path, found.st_size, found.st_mtime_ns)
    except OSError:
        os.close(descriptor)
        raise


def _require_file(found: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a file")
    return found
