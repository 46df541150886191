"""Numbers of the ledger that something watches all the time: cheap to ask for, and about nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from datetime import datetime

    import psycopg

_SQL = load("qianzhi.ledger", "measures.sql")

ATTEMPTS_MAX = 20_000  # the newest ones, that are looked at


def oldest_waiting(connection: psycopg.Connection, destination: str) -> datetime | None:
    """Return when about the row arrived that has waited longest; None where none waits."""
    row = connection.execute(_SQL.oldest_waiting, {"destination": destination}).fetchone()
    return row[0] if row else None


def open_batches(connection: psycopg.Connection, destination: str) -> int:
    """Return how many batches are on their way."""
    row = connection.execute(_SQL.open_batches, {"destination": destination}).fetchone()
    return int(row[0]) if row else 0


def attempts(connection: psycopg.Connection, destination: str, *, since: datetime) -> dict[str, int]:
    """Return how many attempts had which outcome: "receipt", or the kind of what went wrong."""
    said = {"destination": destination, "since": since, "limit": ATTEMPTS_MAX}
    return {str(outcome): int(count) for outcome, count in connection.execute(_SQL.attempts, said)}
