"""Held rows: those that wait until another row is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import sql

from qianzhi.checks.state import KEY
from qianzhi.db import numbers
from qianzhi.db.queries import load

if TYPE_CHECKING:
    from qianzhi.db.server import Session

_SQL = load("qianzhi.ledger", "held.sql")

HELD = pl.Schema(
    {
        "row_id": pl.Int64,
        "key_hash": pl.Int64,
        "key_check": pl.Int64,
        "key_text_hash": pl.Int64,
        "arrived_us": pl.Int64,
        "code": pl.String,  # of the reference that is not met
        "field": pl.String,
        "value": pl.String,
        "wants_lane_id": pl.Int16,
        "wants_key_hash": pl.Int64,
        "wants_key_check": pl.Int64,
        "wants": pl.String,  # dataset and key in words, for whoever must send it
    }
)


def hold(session: Session, lane_id: int, rows: pl.DataFrame) -> None:
    """Let rows (columns of HELD) wait."""
    if not rows.is_empty():
        columns = {name: rows[name].to_list() for name in HELD.names()}
        session.execute(_SQL.hold, {"lane_id": lane_id, **columns})


def held_of(session: Session, lane_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    """Return key_hash, key_check and row_id of the held rows that have one of these keys."""
    names = (*KEY, "row_id")
    if not session.execute(_SQL.any, {"lane_id": lane_id}).fetchone():
        return pl.DataFrame(schema=dict.fromkeys(names, pl.Int64))
    parameters = {"lane_id": lane_id, "key_hashes": numbers.array_text(keys["key_hash"].unique())}
    found = numbers.columns(session, sql.SQL(_SQL.of_keys), names, parameters)
    return found.join(keys, on=KEY, how="semi")


def drop(session: Session, lane_id: int, row_ids: pl.Series) -> pl.Series:
    """Stop holding rows that something else settles; return those that were not released meanwhile."""
    if not row_ids.len():
        return row_ids
    dropped = session.execute(_SQL.drop, {"lane_id": lane_id, "row_ids": row_ids.to_list()}).fetchall()
    return pl.Series("row_id", [row_id for (row_id,) in dropped], dtype=pl.Int64)


def release(session: Session, lane_id: int, settled: pl.DataFrame) -> None:
    """
    Let rows go that waited for settled keys (key_hash, key_check, live) of a lane.

    `live` is False also where the row of the key was rejected.
    """
    if settled.is_empty() or not session.execute(_SQL.is_wanted, {"lane_id": lane_id}).fetchone():
        return
    parameters = {
        "lane_id": lane_id,
        "key_hash": numbers.array_text(settled["key_hash"]),
        "key_check": numbers.array_text(settled["key_check"]),
        "live": numbers.array_text(settled["live"].cast(pl.Int64)),
    }
    session.execute(_SQL.release, parameters)


def sweep(session: Session) -> None:
    """Let every held row go whose wanted key is accepted."""
    session.execute(_SQL.sweep)
