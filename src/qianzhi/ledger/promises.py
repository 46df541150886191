"""Images promised to a destination: rows go first, and what they name follows when the line is free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import psycopg


_SQL = load("qianzhi.ledger", "promises.sql")

DUE_MAX = 200  # promises looked at in one go


@dataclass(frozen=True, slots=True)
class Promise:
    """An image that is to be sent."""

    digest: bytes
    attempt_count: int


@dataclass(frozen=True, slots=True)
class Left:
    """What of all promises of a destination is not sent yet, and how many of these images have failed."""

    image_count: int
    byte_count: int
    troubled_count: int


def add(session: psycopg.Connection, lane_id: int, byte_counts: Mapping[bytes, int], *, now: datetime) -> None:
    """Promise images (their sizes by digest) to a lane's destination; what was promised before stays as it was."""
    if byte_counts:
        parameters = {
            "lane_id": lane_id,
            "digests": list(byte_counts),
            "byte_counts": list(byte_counts.values()),
            "promised_at": now,
        }
        session.execute(_SQL.add, parameters)


def due(session: psycopg.Connection, destination: str, *, now: datetime) -> list[Promise]:
    """Return the promises whose turn it is, the oldest first; at most DUE_MAX."""
    rows = session.execute(_SQL.due, {"destination": destination, "now": now, "limit": DUE_MAX})
    return [Promise(digest, attempt_count) for digest, attempt_count in rows]


def keep(session: psycopg.Connection, destination: str, digest: bytes, *, now: datetime) -> None:
    """Record that the destination has an image."""
    session.execute(_SQL.keep, {"destination": destination, "digest": digest, "sent_at": now})


def fail(
    session: psycopg.Connection, destination: str, digest: bytes, trouble: str, *, next_attempt_at: datetime
) -> None:
    """Record why an image could not be sent, and when to try again."""
    parameters = {"destination": destination, "digest": digest, "trouble": trouble, "next_attempt_at": next_attempt_at}
    session.execute(_SQL.fail, parameters)


def oldest_trouble(session: psycopg.Connection, destination: str) -> str:
    """Return why the oldest image failed that is still to be sent; nothing where none did."""
    row = session.execute(_SQL.oldest_trouble, {"destination": destination}).fetchone()
    return str(row[0]) if row else ""


def left(session: psycopg.Connection, destination: str) -> Left:
    """Return what is still to be sent."""
    row = session.execute(_SQL.left, {"destination": destination}).fetchone()
    return Left(*row) if row else Left(0, 0, 0)
