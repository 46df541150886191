"""The horizon of the ledger: which rows of an official table lie beyond what it knows, and what was decided of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.gateway.official.tables import Table
    from qianzhi.ledger.reconciliations import Reconciliation

REMEDY = (
    "After the restore of an older backup, let hospital systems insert again what the backup lacks, then run "
    "`qianzhi gateway results reconcile`: what stands there already is recorded as delivered, and does not go again. "
    "With --others where none of these rows came from this gateway."
)


class Memory(Protocol):
    """What the ledger knows of the official tables of one destination, by dataset."""

    def newest(self, dataset: str) -> int:
        """Return the newest number that a row of ours got; 0 where none went."""

    def reconciled(self, dataset: str) -> list[Reconciliation]:
        """Return what was decided about numbers beyond that."""

    def missed(self, dataset: str) -> range:
        """Return the numbers without a row that were missed last."""

    def claimed(self, dataset: str, numbers: range, *, since: datetime) -> list[int]:
        """Return which of some numbers stand for rows that were recognised since a time."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Rows that nobody has explained: their first and last number, and how many of them still stand there."""

    dataset: str
    first: int
    last: int
    row_count: int

    @property
    def what(self) -> str:
        """What an operator reads where nothing goes."""
        if not self.row_count:
            return (
                f"The official table of {self.dataset} gave numbers to rows that the ledger here does not know and "
                f"that stand there no longer (ID {self.first} to {self.last}), so nothing goes there before "
                "`qianzhi gateway results reconcile`."
            )
        return (
            f"The official table of {self.dataset} has {self.row_count} rows that the ledger here does not know "
            f"(ID {self.first} to {self.last}), so nothing goes there before `qianzhi gateway results reconcile`."
        )


@dataclass(frozen=True, slots=True)
class Horizon:
    """How an official table stands to the ledger."""

    beyond: Beyond | None  # None: each row is known, or explained
    reconciled: Sequence[Reconciliation]


def horizon(session: Session, table: Table, dataset: str, memory: Memory) -> Horizon:
    """
    Compare an official table with the ledger.

    The table first: of ours nothing is seen there that had not been noted in the ledger before.
    """
    last = table.last_id(session)
    newest = memory.newest(dataset)
    decided, missed = memory.reconciled(dataset), memory.missed(dataset)
    known = max([newest, *(each.last for each in decided)])
    gone = range(max(missed.start, known + 1), missed.stop)
    count, first = 0, 0
    if last > newest:
        count, first, last = table.beyond(session, newest, last, decided)
    if count:
        return Horizon(Beyond(dataset, first, max(last, gone.stop - 1), count), decided)
    if gone:
        return Horizon(Beyond(dataset, gone.start, gone.stop - 1, 0), decided)
    return Horizon(None, decided)
