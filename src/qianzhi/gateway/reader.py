"""The reader: staged rows of a lane, read and checked ahead while the chunk before them is sealed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qianzhi.gateway import staging
from qianzhi.ledger import arrivals

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from datetime import datetime

    import polars as pl

    from qianzhi.checks.checker import Checked
    from qianzhi.db.server import Session
    from qianzhi.ledger.lanes import Lane
    from qianzhi.specs.model import Dataset


@dataclass(frozen=True, slots=True)
class Errand:
    """What is read of which lane, and how it is checked (of the rows alone: nothing that a ledger says)."""

    lane: Lane
    dataset: Dataset
    check: Callable[[pl.DataFrame], Checked]


class Reader:
    """
    Reads on a session and a thread of its own (autocommit), so that both cores have work.

    What it read ahead is only ever used for exactly the rows that were then taken; a row that commits in between
    costs a second reading and nothing else.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader")
        self._ahead: Future[tuple[pl.Series, Checked | None]] | None = None

    def close(self) -> None:
        """Wait for what is being read, and release the session."""
        self._thread.shutdown()
        self._session.close()

    def forget(self) -> None:
        """Drop what was read ahead."""
        if self._ahead is not None:
            self._ahead.exception()
            self._ahead = None

    def checked(self, errand: Errand, row_ids: pl.Series) -> Checked:
        """Return the first of these rows, as many as fit into memory, with what the check finds in them."""
        if self._ahead is not None:
            ahead, self._ahead = self._ahead, None
            known, checked = ahead.result()
            if checked is not None and known.equals(row_ids):
                return checked
        return self._read(errand, row_ids)

    def read_ahead(self, errand: Errand, *, after: int, cut_off: datetime, leave: pl.Series, limit: int) -> None:
        """Begin to read and check the rows that are taken next."""

        def read() -> tuple[pl.Series, Checked | None]:
            row_ids = arrivals.peek(
                self._session, errand.lane.lane_id, after=after, cut_off=cut_off, leave=leave, limit=limit
            )
            return row_ids, self._read(errand, row_ids) if row_ids.len() else None

        self._ahead = self._thread.submit(read)

    def _read(self, errand: Errand, row_ids: pl.Series) -> Checked:
        return errand.check(staging.first_rows_of(self._session, errand.lane.regulator, errand.dataset, row_ids))
