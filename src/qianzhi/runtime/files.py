"""Files that outlive a crash, and that only their owner reads unless somebody else must."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedWriter
    from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BINARY = getattr(os, "O_BINARY", 0)  # Windows only
PRIVATE = 0o600
SHARED = 0o644  # for the accounts of other software on the machine; on Windows the folder's own rights say it


def write_durably(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """
    Write a file; whoever opens it, also after a crash, sees the old content or the new, never a part.

    Raises OSError (a full disk among others) and then leaves nothing behind. Safe to repeat.
    """
    with written_durably(path, mode=mode) as file:
        file.write(content)


@contextmanager
def written_durably(path: Path, *, mode: int = PRIVATE) -> Iterator[BufferedWriter]:
    """Yield a file to write in parts; at the end it stands under its name as `write_durably` has it, or not at all."""
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, PRIVATE), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if mode != PRIVATE:
            part.chmod(mode)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def is_full(error: OSError) -> bool:
    """Tell whether a write failed for want of room: the disk's, the account's, or a file's own bound."""
    return error.errno in _FULL


def make_folder_durably(folder: Path) -> None:
    """
    Make a folder (mode 0700) below one that is private, so that files in it are not lost with it in a power cut.

    On Windows it has the access list of the folder that it is in.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    # A name is only safe once its folder is flushed; Windows has no such call and needs none.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
