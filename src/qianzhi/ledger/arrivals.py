"""Staged rows that no batch has yet: how they are noticed, taken in order, put back, and found again if ever missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import sql

from qianzhi.db import numbers
from qianzhi.db.queries import load

if TYPE_CHECKING:
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.specs.model import Dataset

_SQL = load("qianzhi.ledger", "arrivals.sql")

REPEATED_COUNT_MAX = 5_000_000  # rows of repeated keys looked at in one pass; more wait for the next one


# What is known of a row that waits; `arrived_us` counts microseconds since 1970.
ARRIVAL = pl.Schema({"row_id": pl.Int64, "key_text_hash": pl.Int64, "arrived_us": pl.Int64})


def install_notice(session: Session, regulator: str, dataset: Dataset) -> None:
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
        session.execute(sql.SQL(statement).format(**names))


def follow_indexes(session: Session) -> None:
    """Make a session plan for tables that were filled a minute ago."""
    session.execute(_SQL.follow_indexes)


def repeated_rows(session: Session, lane_id: int, cut_off: datetime) -> pl.DataFrame:
    """
    Return row_id and key_text_hash of the rows whose key arrived more than once; all others may go in any order.

    The caller ends the transaction soon: its joins are planned for many rows.
    """
    session.execute(_SQL.join_by_sets)
    parameters = {"lane_id": lane_id, "cut_off": cut_off, "limit": REPEATED_COUNT_MAX}
    return numbers.columns(session, sql.SQL(_SQL.repeated_rows), ARRIVAL.names()[:2], parameters)


def take(
    session: Session, lane_id: int, *, after: int, cut_off: datetime, leave: pl.Series, limit: int
) -> pl.DataFrame:
    """
    Claim at most `limit` rows behind the id `after`, except those to `leave`, for the caller's transaction.

    Returns the columns of ARRIVAL, ascending by row_id.
    """
    parameters = {
        "lane_id": lane_id,
        "after": after,
        "cut_off": cut_off,
        "leave": numbers.array_text(leave),
        "limit": limit,
    }
    return numbers.columns(session, sql.SQL(_SQL.take), ARRIVAL.names(), parameters).sort("row_id")


def peek(session: Session, lane_id: int, *, after: int, cut_off: datetime, leave: pl.Series, limit: int) -> pl.Series:
    """Return the ids of the rows that `take` would claim, and leave them."""
    parameters = {
        "lane_id": lane_id,
        "after": after,
        "cut_off": cut_off,
        "leave": numbers.array_text(leave),
        "limit": limit,
    }
    return numbers.columns(session, sql.SQL(_SQL.peek), ("row_id",), parameters)["row_id"].sort()


def put(session: Session, lane_id: int, arrivals: pl.DataFrame) -> None:
    """Let rows (columns of ARRIVAL) wait (again), as they stood."""
    if arrivals.is_empty():
        return
    parameters = {
        "lane_id": lane_id,
        "row_ids": numbers.array_text(arrivals["row_id"]),
        "key_text_hashes": numbers.array_text(arrivals["key_text_hash"]),
        "arrived_us": numbers.array_text(arrivals["arrived_us"]),
    }
    session.execute(_SQL.put, parameters)


def missing(
    session: Session, lane_id: int, regulator: str, dataset: Dataset, *, after: int, limit: int, now: datetime
) -> pl.DataFrame:
    """
    Return staged rows behind the id `after` that the ledger has never heard of: history, or what a trigger missed.

    Columns of ARRIVAL, ascending by row_id.
    """
    statement = sql.SQL(_SQL.missing).format(table=sql.Identifier(regulator, dataset.name), key=_key(dataset))
    parameters = {"lane_id": lane_id, "after": after, "limit": limit}
    found = numbers.columns(session, statement, ARRIVAL.names()[:2], parameters)
    return found.with_columns(arrived_us=pl.lit(int(now.timestamp() * 1_000_000), pl.Int64))


def _key(dataset: Dataset) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name.lower()) for name in dataset.key)
