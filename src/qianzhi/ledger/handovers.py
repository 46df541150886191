"""Handovers: transactions of an official front machine, known here before they are committed there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from qianzhi.db.queries import load
from qianzhi.ledger.batches import ranges_of

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import psycopg

_SQL = load("qianzhi.ledger", "handovers.sql")

LATE_COUNT = 64  # handovers looked at for the newest number; more than can be on their way together
OVER_COUNT_MAX = 10_000  # batches looked at that came to nothing beside the newest number: one halved to rows has many


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction of another server."""

    system: int | None  # which server, where it says so
    number: int


@dataclass(frozen=True, slots=True)
class Handover:
    """One transaction over there, and the numbers that its rows got."""

    handed_at: datetime
    transaction: Transaction
    remote_ids: list[int]  # ascending; none while it had only begun
    is_there: bool | None  # as an operator said, where the server no longer knew


def note(
    session: psycopg.Connection, batch_id: UUID, transaction: Transaction, remote_ids: pl.Series, *, now: datetime
) -> None:
    """Put a transaction on record that is about to be committed over there. The caller commits first."""
    parameters = {
        "batch_id": batch_id,
        "handed_at": now,
        "remote_system": transaction.system,
        "remote_transaction": transaction.number,
        "remote_ids": ranges_of(remote_ids),
    }
    session.execute(_SQL.note, parameters)


def begin(session: psycopg.Connection, batch_id: UUID, *, now: datetime) -> None:
    """Put on record that a transaction may begin to use numbers over there. The caller commits first."""
    note(session, batch_id, Transaction(None, 0), pl.Series(dtype=pl.Int64), now=now)


def last(session: psycopg.Connection, batch_id: UUID) -> Handover | None:
    """Return the newest handover of a batch; any before it came to nothing."""
    row = session.execute(_SQL.last, {"batch_id": batch_id}).fetchone()
    if row is None:
        return None
    handed_at, system, number, remote_ids, is_there = row
    return Handover(handed_at, Transaction(system, number), remote_ids, is_there)


def newest_of(session: psycopg.Connection, destination: str, dataset: str) -> int:
    """Return the newest number that the official table of a dataset gave to a row of ours; 0 where none went."""
    parameters = {"destination": destination, "dataset": dataset, "limit": LATE_COUNT}
    row = session.execute(_SQL.newest_of, parameters).fetchone()
    return int(row[0]) if row else 0


def spent(session: psycopg.Connection, batch_id: UUID) -> int:
    """Return how many numbers other attempts in the lane of a batch may have used that have no row yet, or never."""
    parameters = {"batch_id": batch_id, "limit": LATE_COUNT, "over_limit": OVER_COUNT_MAX}
    row = session.execute(_SQL.spent, parameters).fetchone()
    return int(row[0]) if row else 0


def claimed(
    session: psycopg.Connection, destination: str, dataset: str, numbers: range, *, since: datetime
) -> list[int]:
    """Return which of some numbers over there stand for rows that were recognised, and so delivered, since a time."""
    about = {"destination": destination, "dataset": dataset}
    parameters = {**about, "first": numbers.start, "last": numbers.stop - 1, "since": since}
    row = session.execute(_SQL.claimed, parameters).fetchone()
    return list(row[0]) if row else []


def decide(session: psycopg.Connection, batch_id: UUID, *, is_there: bool) -> bool:
    """Record what an operator says of the newest handover of a sealed batch; return False where none is in doubt."""
    return session.execute(_SQL.decide, {"batch_id": batch_id, "is_there": is_there}).rowcount == 1
