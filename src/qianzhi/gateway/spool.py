"""The spool: sealed bytes that were promised to be sent, until they are settled."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from qianzhi.errors import OperatorError
from qianzhi.runtime.vault import Vault
from qianzhi.sealing.envelopes import digest

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

_NOT_AT_ALL = timedelta()


class Spool:
    """One folder, a file a batch. Bytes of settled batches are kept for `kept_for`, by default not at all."""

    def __init__(self, folder: Path, vault: Vault | None = None, *, kept_for: timedelta = _NOT_AT_ALL) -> None:
        self.folder = folder
        self._vault = vault or Vault()
        self._kept_for = kept_for

    def write(self, batch_id: UUID, sealed: bytes) -> None:
        """
        Keep sealed bytes. Must come before the commit that promises them.

        Raises OSError when the disk is full, OperatorError when they are to be encrypted and the key is missing.
        """
        self._vault.write(self.folder / str(batch_id), _name(batch_id), sealed)

    def read(self, batch_id: UUID, expected: bytes) -> bytes:
        """Return sealed bytes whose digest is the expected one; OperatorError where they are lost or changed."""
        try:
            sealed = self._vault.read(self.folder / str(batch_id), _name(batch_id))
        except FileNotFoundError as error:
            raise self._damaged(batch_id, "is missing from the spool") from error
        if digest(sealed) != expected:
            raise self._damaged(batch_id, "has changed in the spool")
        return sealed

    def remove(self, batch_id: UUID) -> None:
        """Forget a settled batch's bytes, unless they are kept for a time: then a sweep does. Safe to repeat."""
        if not self._kept_for:
            (self.folder / str(batch_id)).unlink(missing_ok=True)

    def sweep(self, promised: Collection[UUID], *, before: datetime) -> int:
        """
        Remove what a crash left, half-written files and bytes that no commit promised, and what was kept long enough.

        Only what was written before that instant: another worker may be about to promise what is younger. Returns how
        many.
        """
        keep, youngest = {str(batch_id) for batch_id in promised}, (before - self._kept_for).timestamp()
        orphans = [
            path
            for path in self.folder.iterdir()
            if path.is_file() and path.name not in keep and path.stat().st_mtime < youngest
        ]
        for path in orphans:
            path.unlink(missing_ok=True)
        return len(orphans)

    def rewrite(self) -> int:
        """Write anew what is not as the vault writes now; return how many. What is settled meanwhile stays away."""
        rewritten = 0
        for path in list(self.folder.iterdir()):
            batch_id = _batch_of(path)
            if batch_id is not None and self._rewrite(path, batch_id):
                rewritten += 1
        return rewritten

    def _rewrite(self, path: Path, batch_id: UUID) -> bool:
        try:
            if self._vault.is_current(path):
                return False
            self._vault.write(path, _name(batch_id), self._vault.read(path, _name(batch_id)))
        except FileNotFoundError:
            return False
        return True

    @staticmethod
    def _damaged(batch_id: UUID, what: str) -> OperatorError:
        return OperatorError(f"The batch {batch_id} {what}.", remedy="Restore the spool folder from the last backup.")


def _name(batch_id: UUID) -> str:
    return f"batch {batch_id}"


def _batch_of(path: Path) -> UUID | None:
    try:
        return UUID(path.name)
    except ValueError:
        return None
