"""Staged rows that no batch has yet: how they are noticed, taken in order, put back, and found again if ever missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from qianzhi.specs.model import Dataset

_SQL = load("qianzhi.ledger", "arrivals.sql")

LATER_COUNT_MAX = 5_000_000  # rows of repeated keys looked at in one pass; more wait for the next one


@dataclass(frozen=True, slots=True)
class Arrival:
    """One staged row that waits."""

    row_id: int
    key_text_hash: int
    arrived_at: datetime


def install_notice(connection: psycopg.Connection, regulator: str, dataset: Dataset) -> None:
    """Attach to a staging table the trigger that notes what arrives. Safe to repeat."""
    table = sql.Identifier(regulator, dataset.name)
    names = {
        "function": sql.Identifier("qianzhi", f"note_{regulator}_{dataset.name}"),
        "table": table,
        "key": _key(dataset),
        "regulator": sql.Literal(regulator),
        "dataset": sql.Literal(dataset.name),
    }
    for statement in (_SQL.create_notice, _SQL.drop_notice, _SQL.attach_notice):
        connection.execute(sql.SQL(statement).format(**names))


def later_rows(connection: psycopg.Connection, lane_id: int, cut_off: datetime) -> dict[int, list[int]]:
    """
    Return the arrived rows whose key arrived more than once, by their key's number, each list in the order of ids.

    All other rows of the lane may go in any order.
    """
    repeated: dict[int, list[int]] = {}
    parameters = {"lane_id": lane_id, "cut_off": cut_off, "limit": LATER_COUNT_MAX}
    for row_id, key_text_hash in connection.execute(_SQL.later_rows, parameters):
        repeated.setdefault(key_text_hash, []).append(row_id)
    return repeated


def take(
    connection: psycopg.Connection, lane_id: int, *, after: int, cut_off: datetime, leave: Sequence[int], limit: int
) -> list[Arrival]:
    """Claim at most `limit` rows behind the id `after`, except those to `leave`, for the caller's transaction."""
    parameters = {"lane_id": lane_id, "after": after, "cut_off": cut_off, "leave": list(leave), "limit": limit}
    cursor = connection.cursor(binary=True)
    rows = [Arrival(*row) for row in cursor.execute(_SQL.take, parameters)]
    rows.sort(key=lambda arrival: arrival.row_id)
    return rows


def put(connection: psycopg.Connection, lane_id: int, arrivals: Sequence[Arrival]) -> None:
    """Let rows wait (again), as they stood."""
    if arrivals:
        parameters = {
            "lane_id": lane_id,
            "row_ids": [arrival.row_id for arrival in arrivals],
            "key_text_hashes": [arrival.key_text_hash for arrival in arrivals],
            "arrived_at": [arrival.arrived_at for arrival in arrivals],
        }
        connection.execute(_SQL.return_rows, parameters)


def waiting(connection: psycopg.Connection) -> dict[int, int]:
    """Return how many rows wait, by lane."""
    return dict(connection.execute(_SQL.waiting).fetchall())


def missing(
    connection: psycopg.Connection,
    lane_id: int,
    regulator: str,
    dataset: Dataset,
    *,
    after: int,
    limit: int,
    now: datetime,
) -> list[Arrival]:
    """Return staged rows behind the id `after` that the ledger has never heard of: history, or what a trigger missed."""
    statement = sql.SQL(_SQL.missing).format(table=sql.Identifier(regulator, dataset.name), key=_key(dataset))
    parameters = {"lane_id": lane_id, "after": after, "limit": limit}
    return [Arrival(row_id, number, now) for row_id, number in connection.execute(statement, parameters)]


def _key(dataset: Dataset) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name.lower()) for name in dataset.key)
