"""The spool: sealed bytes that were promised to be sent, until they are settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.errors import OperatorError
from qianzhi.runtime.files import write_durably
from qianzhi.sealing.envelopes import digest

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID


class Spool:
    """One folder, a file a batch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, batch_id: UUID, sealed: bytes) -> None:
        """Keep sealed bytes. Must come before the commit that promises them. Raises OSError when the disk is full."""
        write_durably(self._folder / str(batch_id), sealed)

    def read(self, batch_id: UUID, expected: bytes) -> bytes:
        """Return sealed bytes whose digest is the expected one; OperatorError where they are lost or changed."""
        try:
            sealed = (self._folder / str(batch_id)).read_bytes()
        except FileNotFoundError as error:
            raise self._damaged(batch_id, "is missing from the spool") from error
        if digest(sealed) != expected:
            raise self._damaged(batch_id, "has changed in the spool")
        return sealed

    def remove(self, batch_id: UUID) -> None:
        """Forget a settled batch's bytes. Safe to repeat."""
        (self._folder / str(batch_id)).unlink(missing_ok=True)

    def sweep(self, promised: Collection[UUID], *, before: datetime) -> int:
        """
        Remove what a crash left: half-written files, and bytes that no commit promised. Returns how many.

        Only what was written before that instant: another worker may be about to promise what is younger.
        """
        keep, youngest = {str(batch_id) for batch_id in promised}, before.timestamp()
        orphans = [
            path
            for path in self._folder.iterdir()
            if path.is_file() and path.name not in keep and path.stat().st_mtime < youngest
        ]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)

    @staticmethod
    def _damaged(batch_id: UUID, what: str) -> OperatorError:
        return OperatorError(f"The batch {batch_id} {what}.", remedy="Restore the spool folder from the last backup.")
