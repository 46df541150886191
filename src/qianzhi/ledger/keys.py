"""Key states of the gateway: which keys the destination has accepted, as far as it has said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import sql
from psycopg.errors import UniqueViolation

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


def settle_states(session: Session, lane_id: int, states: pl.DataFrame) -> None:
    """Put the states (columns of KEY_STATE, one row a key) of newly accepted rows in force."""
    if states.is_empty():
        return
    # In the order of the index they go into, so that neighbours land on one page.
    states = states.sort("key_hash")
    try:
        with session.transaction():
            arrow.write(
                session,
                "qianzhi.key_states",
                states.select(
                    pl.lit(lane_id, pl.Int64).alias("lane_id"), *KEY, "row_id", pl.col("live").cast(pl.String)
                ),
            )
    except UniqueViolation:
        # Mostly keys are new, and then a COPY costs half of a merge; a batch with a known key is merged after all.
        live = states["live"].cast(pl.Int64)
        columns = {name: numbers.array_text(states[name]) for name in (*KEY, "row_id")}
        session.execute(_SQL.merge, {"lane_id": lane_id, **columns, "live": numbers.array_text(live)})


def correct_states(session: Session, lane_id: int, states: pl.DataFrame) -> None:
    """Put right the states (columns of KEY_STATE, one row a key) of which the destination has said otherwise."""
    if not states.is_empty():
        columns = {name: numbers.array_text(states[name]) for name in (*KEY, "row_id")}
        live = numbers.array_text(states["live"].cast(pl.Int64))
        session.execute(_SQL.correct, {"lane_id": lane_id, **columns, "live": live})
