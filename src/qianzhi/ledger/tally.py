"""Tallies of the ledger: how many rows of each dataset are where."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

_SQL = load("qianzhi.ledger", "tally.sql")

TROUBLES_MAX = 100
PUBLIC = ("staged", "submitted", "accepted", "rejected", "held")
DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Tally:
    """
    Where the rows of one dataset are.

    Every staged row is accepted, rejected, held, delivered (to where nobody has said anything of it yet), or still
    open (waiting to be taken or on the way). Rejected are those the regulator refused, which are submitted - accepted
    - delivered, and those that ended here and were never sent; `ended_here` counts the latter once more.
    """

    staged: int
    submitted: int
    accepted: int
    rejected: int
    held: int
    ended_here: int  # superseded, nothing to revoke, quarantined, or withheld
    open: int
    delivered: int = 0

    @property
    def is_accounted_for(self) -> bool:
        """Whether no row is open and none is unexplained."""
        return self.open == 0 and self.staged == self.accepted + self.rejected + self.held + self.delivered

    def as_json(self) -> dict[str, int]:
        """
        Return the public form, of which the rest follows: what is not accounted for is open.

        `delivered` stands in it where there are such rows: a hub answers every one.
        """
        told = {name: getattr(self, name) for name in PUBLIC}
        return {**told, DELIVERED: self.delivered} if self.delivered else told

    def in_full(self) -> dict[str, int]:
        """Return what follows too."""
        return asdict(self)


def tally(connection: psycopg.Connection, destination: str, staged: dict[str, int]) -> dict[str, Tally]:
    """Return the tally of each dataset of a destination; `staged` counts its rows, archived ones too."""
    known = per_dataset(connection, destination)
    return {dataset: _tally(count, known[dataset]) for dataset, count in staged.items() if dataset in known}


def per_dataset(connection: psycopg.Connection, destination: str) -> dict[str, dict[str, Any]]:
    """
    Return what became of the rows of each dataset of a destination, without counting staging tables.

    Counts are submitted, accepted, rejected, on_the_way, held, waiting and ended_here; settled_at is the last time.
    """
    cursor = connection.cursor(row_factory=dict_row)
    return {row["dataset"]: row for row in cursor.execute(_SQL.per_lane, {"destination": destination})}


def troubles(connection: psycopg.Connection, destination: str) -> list[dict[str, Any]]:
    """Return the batches that wait for another attempt, and why."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(_SQL.troubles, {"destination": destination, "limit": TROUBLES_MAX}).fetchall()


def last_cycle(connection: psycopg.Connection, destination: str) -> dict[str, Any] | None:
    """Return the cycle of a destination that was finished last, or None before the first."""
    return connection.cursor(row_factory=dict_row).execute(_SQL.last_cycle, {"destination": destination}).fetchone()


def running_cycle(connection: psycopg.Connection, destination: str) -> dict[str, Any] | None:
    """Return the newest cycle of a destination that has not come to its end, or None."""
    return connection.cursor(row_factory=dict_row).execute(_SQL.running_cycle, {"destination": destination}).fetchone()


def _tally(staged: int, counts: Mapping[str, Any]) -> Tally:
    return Tally(
        staged=staged,
        submitted=counts["submitted"],
        accepted=counts["accepted"],
        rejected=counts["rejected"] + counts["ended_here"],
        held=counts["held"],
        ended_here=counts["ended_here"],
        open=counts["waiting"] + counts["on_the_way"],
        delivered=counts[DELIVERED],
    )
