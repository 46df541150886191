"""Key states of the gateway: which keys the destination has accepted, as far as it has said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import sql

from qianzhi.checks.state import KEY
from qianzhi.db import arrow, numbers
from qianzhi.db.queries import load

if TYPE_CHECKING:
    from qianzhi.db.server import Session

_SQL = load("qianzhi.ledger", "keys.sql")

# What the gateway keeps of a key: its last accepted row, and whether that left it live.
KEY_STATE = pl.Schema({"key_hash": pl.Int64, "key_check": pl.Int64, "row_id": pl.Int64, "live": pl.Boolean})


def states_of(session: Session, lane_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the KEY_STATE of those keys (columns key_hash, key_check) that were ever accepted."""
    if keys.is_empty():
        return pl.DataFrame(schema=KEY_STATE)
    distinct = keys.select(KEY).unique()
    parameters = {"lane_id": lane_id, "key_hashes": numbers.array_text(distinct["key_hash"])}
    found = numbers.columns(session, sql.SQL(_SQL.states), KEY_STATE.names(), parameters)
    return found.join(distinct, on=KEY, how="semi").with_columns(pl.col("live") == 1)


def settle_states(session: Session, lane_id: int, states: pl.DataFrame) -> int:
    """
    Put the states (columns of KEY_STATE, one row a key) of newly accepted rows in force.

    Returns how many held rows were let go because they waited for one of these keys.
    """
    if states.is_empty():
        return 0
    session.execute(_SQL.stage)
    # In the order of the index they go into, so that neighbours land on one page.
    ordered = states.sort("key_hash").select(
        pl.lit(lane_id, pl.Int64).alias("lane_id"), *KEY, "row_id", pl.col("live").cast(pl.String)
    )
    arrow.write(session, "new_states", ordered)
    session.execute(_SQL.apply)
    return session.execute(_SQL.release).rowcount
