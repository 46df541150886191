"""The upload log: what went on which day, and below that each batch with its attempts and its receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qianzhi.db.queries import load
from qianzhi.gateway.views.choice import instants
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from uuid import UUID

    import psycopg

_SQL = load("qianzhi.gateway.views", "uploads.sql")

DAYS_MAX: Final = 10_000
BATCHES_MAX: Final = 500
RECEIPT_BYTES_MAX: Final = 4 * 2**20


@dataclass(frozen=True, slots=True)
class UploadDay:
    """What one dataset sent to one destination on one day."""

    on: date
    destination: str
    dataset: str
    batch_count: int
    submitted: int
    accepted: int
    failed: int
    under_way: int  # of `submitted`: no receipt yet
    delivered: int  # of `submitted`: the destination has them and has said nothing yet
    byte_count: int  # as sent


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver a batch."""

    attempted_at: datetime
    took_seconds: float
    outcome: str  # receipt, or what went wrong
    next_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Upload:
    """One batch."""

    batch_id: UUID
    destination: str
    dataset: str
    state: str  # of ledger.batches.BatchState, or delivered
    row_count: int
    accepted: int | None
    failed: int | None
    byte_count: int
    sealed_at: datetime
    delivered_at: datetime | None  # to a destination that gives no receipt
    settled_at: datetime | None
    split_from: UUID | None
    cycle: str | None  # its kind; None in real time
    received_at: datetime | None
    receipt_byte_count: int | None
    attempts: Sequence[Attempt]

    @property
    def took_seconds(self) -> float:
        """How long its attempts took together."""
        return sum(attempt.took_seconds for attempt in self.attempts)


def days(
    connection: psycopg.Connection,
    *,
    since_on: date,
    until_on: date,
    destination: str | None = None,
    dataset: str | None = None,
) -> list[UploadDay]:
    """Return the upload log between two days, both included, the newest day first."""
    since, until = instants(since_on, until_on, clock.LOCAL)
    parameters = {"destination": destination, "dataset": dataset, "since": since, "until": until, "limit": DAYS_MAX}
    return [UploadDay(*row) for row in connection.execute(_SQL.days, parameters)]


def batches(
    connection: psycopg.Connection,
    on: date,
    *,
    destination: str | None = None,
    dataset: str | None = None,
    offset: int = 0,
    limit: int = 100,
) -> list[Upload]:
    """Return the batches of a day, the newest first; at most BATCHES_MAX at once."""
    since, until = instants(on, on, clock.LOCAL)
    parameters = {
        "destination": destination,
        "dataset": dataset,
        "since": since,
        "until": until,
        "offset": max(0, offset),
        "limit": max(0, min(limit, BATCHES_MAX)),
    }
    rows = connection.execute(_SQL.batches, parameters).fetchall()
    tried: dict[UUID, list[Attempt]] = {}
    for batch_id, *said in connection.execute(_SQL.attempts, {"batch_ids": [row[0] for row in rows]}):
        tried.setdefault(batch_id, []).append(Attempt(*said))
    return [Upload(*[*row, tuple(tried.get(row[0], ()))]) for row in rows]


def receipt(connection: psycopg.Connection, batch_id: UUID) -> bytes | None:
    """
    Return a receipt byte for byte; None where there is none, or none that is short enough to show.

    It names values of records: whoever shows it puts that on record.
    """
    row = connection.execute(_SQL.receipt, {"batch_id": batch_id, "bytes_max": RECEIPT_BYTES_MAX}).fetchone()
    return bytes(row[0]) if row else None
