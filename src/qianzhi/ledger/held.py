"""Held rows: those that wait until another row is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from qianzhi.checks.state import KEY
from qianzhi.db.queries import load

if TYPE_CHECKING:
    import psycopg

_SQL = load("qianzhi.ledger", "held.sql")

HELD = pl.Schema(
    {
        "row_id": pl.Int64,
        "key_hash": pl.Int64,
        "key_check": pl.Int64,
        "key_text_hash": pl.Int64,
        "code": pl.String,  # of the reference that is not met
        "field": pl.String,
        "value": pl.String,
        "wants_lane_id": pl.Int16,
        "wants_key_hash": pl.Int64,
        "wants_key_check": pl.Int64,
        "wants": pl.String,  # dataset and key in words, for whoever must send it
    }
)


def hold(connection: psycopg.Connection, lane_id: int, rows: pl.DataFrame) -> None:
    """Let rows (columns of HELD) wait."""
    if not rows.is_empty():
        columns = {name: rows[name].to_list() for name in HELD.names()}
        connection.execute(_SQL.hold, {"lane_id": lane_id, **columns})


def held_of(connection: psycopg.Connection, lane_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    """Return key_hash, key_check and row_id of the held rows that have one of these keys."""
    distinct = keys.select(KEY).unique()
    parameters = {"lane_id": lane_id, "key_hashes": distinct["key_hash"].to_list()}
    rows = connection.execute(_SQL.of_keys, parameters).fetchall()
    schema = {"key_hash": pl.Int64, "key_check": pl.Int64, "row_id": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row").join(distinct, on=KEY, how="semi")


def drop(connection: psycopg.Connection, lane_id: int, row_ids: pl.Series) -> None:
    """Stop holding rows that something else settles."""
    if row_ids.len():
        connection.execute(_SQL.drop, {"lane_id": lane_id, "row_ids": row_ids.to_list()})


def sweep(connection: psycopg.Connection) -> int:
    """Let every held row go whose wanted key is accepted; return how many."""
    return connection.execute(_SQL.sweep).rowcount


def counts(connection: psycopg.Connection) -> dict[int, int]:
    """Return how many rows are held, by lane."""
    return dict(connection.execute(_SQL.count).fetchall())
