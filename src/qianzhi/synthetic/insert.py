"""Rows into the staging tables, the way a hospital's system would put them there: as `us_pos`, by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from qianzhi.db import arrow
from qianzhi.db.server import translated

if TYPE_CHECKING:
    import polars as pl

    from qianzhi.db.server import Session

STATEMENT_ROWS_MAX = 2_000
_WHAT = "The synthetic rows were not inserted"

# The order of the arrays is the order of insertion, and RETURNING keeps it.
_INSERT = sql.SQL("INSERT INTO {table} ({columns}) SELECT * FROM unnest({arrays}) RETURNING id")


def insert(connection: Session, table: str, frame: pl.DataFrame) -> list[int]:
    """
    Insert a frame into `schema.table` and return the new ids in the order of its rows.

    The columns of the table are those of the frame in lower case. Nothing is committed.
    """
    arrays = sql.SQL(", ").join([sql.SQL("%s::text[]")] * frame.width)
    statement = _INSERT.format(table=_identifier(table), columns=_columns(frame), arrays=arrays)
    ids: list[int] = []
    with translated(_WHAT), connection.cursor() as cursor:
        for part in frame.iter_slices(STATEMENT_ROWS_MAX):
            cursor.execute(statement, [column.to_list() for column in part.iter_columns()])
            ids += [int(str(row[0])) for row in cursor]
    return ids


def copy(connection: Session, table: str, frame: pl.DataFrame) -> int:
    """Copy a frame into `schema.table`, for volume: no ids come back. Nothing is committed."""
    with translated(_WHAT):
        return arrow.write(connection, table, frame, columns=[name.lower() for name in frame.columns])


def _columns(frame: pl.DataFrame) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name.lower()) for name in frame.columns)


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))
