"""
Numbers by the ten thousand, in and out of PostgreSQL: one value a column instead of a Python object a number.

A query sends a column as `string_agg(int8send(x), '')`: eight bytes a number, one row in all. A row a message costs
eight times as much.
"""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg.abc import Params
    from psycopg.sql import SQL, Composed

    from qianzhi.db.server import Session

ABSENT = -(2**63)  # a number for no number: aggregates pass over nulls, and the columns would no longer match


def array_text(numbers: pl.Series) -> str:
    """Return numbers as PostgreSQL writes an array."""
    return "{" + (numbers.cast(pl.String).str.join(",").item() or "") + "}"


def columns(session: Session, query: SQL | Composed, names: Sequence[str], parameters: Params) -> pl.DataFrame:
    """Return the columns of a query whose one row holds the bytes of each; ABSENT becomes null."""
    with session.cursor(binary=True) as cursor:
        row = cursor.execute(query, parameters).fetchone() or (b"",) * len(names)
    read = (_numbers(cell if isinstance(cell, bytes) else b"") for cell in row)
    return pl.DataFrame(dict(zip(names, read, strict=True)))


def _numbers(column: bytes) -> pl.Series:
    numbers = array("q", column)
    if sys.byteorder == "little":
        numbers.byteswap()
    series = pl.Series(pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)]), dtype=pl.Int64)
    return series.replace(ABSENT, None)
