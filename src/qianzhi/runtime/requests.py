"""What other processes ask a supervisor for: one empty file each in its folder, which works on every system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.runtime.files import write_durably

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STOP: Final = "stop"
EVERYTHING: Final = "all"
_SUFFIX: Final = ".request"


def put(run: Path, what: str) -> None:
    """Leave a request; the same one again changes nothing. Raises OSError when the disk is full."""
    write_durably(_file(run, what), b"")


def taken(run: Path, known: Iterable[str]) -> list[str]:
    """Take away and return the requests that are known; files of other names are nobody's."""
    found = [what for what in known if _file(run, what).exists()]
    for what in found:
        _file(run, what).unlink(missing_ok=True)
    return found


def _file(run: Path, what: str) -> Path:
    return run / f"{what}{_SUFFIX}"
