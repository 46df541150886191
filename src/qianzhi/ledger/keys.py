"""Key states of the gateway: what the destination has accepted last of every key, as far as it has said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from qianzhi.checks.state import KEY, STATE
from qianzhi.db import arrow
from qianzhi.db.queries import load

if TYPE_CHECKING:
    import psycopg

_SQL = load("qianzhi.ledger", "keys.sql")


def states_of(connection: psycopg.Connection, lane_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the STATE rows of those keys (columns key_hash, key_check) that were ever accepted."""
    distinct = keys.select(KEY).unique()
    parameters = {"lane_id": lane_id, "key_hashes": distinct["key_hash"].to_list()}
    rows = connection.cursor(binary=True).execute(_SQL.states, parameters).fetchall()
    states = pl.DataFrame(rows, schema=STATE, orient="row")
    return states.join(distinct, on=KEY, how="semi").select(*STATE.names())


def settle_states(connection: psycopg.Connection, lane_id: int, states: pl.DataFrame) -> int:
    """
    Put the states of newly accepted rows in force and let go what waited for them.

    Returns how many held rows were released. `states` has the columns of STATE, one row a key.
    """
    if states.is_empty():
        return 0
    connection.execute(_SQL.stage)
    arrow.write(connection, "new_states", states.select(pl.lit(lane_id, pl.Int64).alias("lane_id"), *stored_columns()))
    connection.execute(_SQL.apply)
    return connection.execute(_SQL.release).rowcount


def stored_columns() -> list[pl.Expr]:
    """Return the columns of STATE as texts and numbers that COPY takes."""
    return [
        pl.col("key_hash", "key_check", "row_id"),
        pl.col("live").cast(pl.String),
        pl.col("occurred_at").dt.to_string("iso"),
        pl.col("content"),
        pl.concat_str(pl.lit("{"), pl.col("shared").cast(pl.List(pl.String)).list.join(","), pl.lit("}")).alias("shared"),
    ]
