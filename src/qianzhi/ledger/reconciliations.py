"""Reconciliations: numbers of official tables that the ledger cannot explain, and what somebody decided about them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from qianzhi.ledger import audit

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

EVENT: Final = "gateway:rows:reconciled"
MISSED: Final = "gateway:rows:missed"
_ACTOR: Final = "gateway"
# How long rows are looked for among them. A hospital that inserts again what a backup lacks has done so by then.
COMPARED_DAYS: Final = 31


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Numbers from first to last, decided about at once; rows under them may be ours where `may_be_ours`."""

    decided_at: datetime
    first: int
    last: int
    may_be_ours: bool

    def is_compared(self, now: datetime) -> bool:
        """Tell whether rows that are about to go are looked for among these."""
        return self.may_be_ours and now < self.decided_at + timedelta(days=COMPARED_DAYS)


def note(
    session: psycopg.Connection, destination: str, dataset: str, *, numbers: range, may_be_ours: bool, actor: str
) -> None:
    """Record a decision. The caller commits."""
    detail = {"first": numbers.start, "last": numbers.stop - 1, "may_be_ours": may_be_ours}
    audit.note(session, actor=actor, event=EVENT, subject=_subject(destination, dataset), detail=detail)


def of(session: psycopg.Connection, destination: str, dataset: str) -> list[Reconciliation]:
    """Return what was decided about a dataset's table, newest first."""
    return [
        Reconciliation(
            entry.happened_at,
            int(entry.detail["first"]),
            int(entry.detail["last"]),
            bool(entry.detail["may_be_ours"]),
        )
        for entry in audit.latest(session, EVENT, subject=_subject(destination, dataset))
    ]


def note_missed(session: psycopg.Connection, destination: str, dataset: str, numbers: range) -> None:
    """Record numbers that were given to rows which neither stand in the table nor are known. The caller commits."""
    detail = {"first": numbers.start, "last": numbers.stop - 1}
    audit.note(session, actor=_ACTOR, event=MISSED, subject=_subject(destination, dataset), detail=detail)


def missed(session: psycopg.Connection, destination: str, dataset: str) -> range:
    """Return the numbers that were missed last; an empty range where none ever were."""
    for entry in audit.latest(session, MISSED, subject=_subject(destination, dataset), limit=1):
        return range(int(entry.detail["first"]), int(entry.detail["last"]) + 1)
    return range(0)


def _subject(destination: str, dataset: str) -> str:
    return f"{destination}/{dataset}"
