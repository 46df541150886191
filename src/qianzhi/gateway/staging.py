"""Staging tables: where hospital systems put rows, and from where the gateway reads them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, cast

import polars as pl
from psycopg import sql

from qianzhi.db import arrow, numbers
from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.codes.mapping import CodeMap
    from qianzhi.db.server import Session
    from qianzhi.specs.model import Dataset

_SQL = load("qianzhi.gateway", "staging.sql")
CHUNK_BYTES_MAX = 64 * 2**20  # text of one chunk in memory; a single larger row still goes, alone
_DENSE = 2  # ids are read as a range while it holds at most this many rows for each one wanted


def rows_of(session: Session, regulator: str, dataset: Dataset, row_ids: pl.Series) -> pl.DataFrame:
    """Return staged rows as a raw frame, ascending by row_id. `row_ids` must be ascending and not empty."""
    return _found(arrow.read(session, _statement(regulator, dataset, row_ids), schema=raw_schema(dataset)), row_ids)


def first_rows_of(session: Session, regulator: str, dataset: Dataset, row_ids: pl.Series) -> pl.DataFrame:
    """
    Return as `rows_of` does, but no more rows than CHUNK_BYTES_MAX hold, and at least one.

    `session` must be in autocommit: stopping early cancels the query.
    """
    read: list[pl.DataFrame] = []
    size = 0
    statement = _statement(regulator, dataset, row_ids)
    with closing(arrow.read_blocks(session, statement, schema=raw_schema(dataset))) as blocks:
        for block in blocks:
            read.append(block)
            size += int(block.estimated_size())
            if size > CHUNK_BYTES_MAX:
                break
    return _found(pl.concat(read) if read else pl.DataFrame(schema=raw_schema(dataset)), row_ids)


def _found(frame: pl.DataFrame, row_ids: pl.Series) -> pl.DataFrame:
    if frame.height == row_ids.len():
        return frame
    return frame.join(row_ids.to_frame("row_id"), on="row_id", how="semi", maintain_order="left")


def _statement(regulator: str, dataset: Dataset, row_ids: pl.Series) -> sql.Composed:
    first, last = int(row_ids[0]), int(row_ids[-1])
    names: dict[str, sql.Composable] = {
        "table": sql.Identifier(regulator, dataset.name),
        "columns": sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.Identifier(field.name.lower()), sql.Identifier(field.name))
            for field in dataset.fields
        ),
    }
    if last - first < _DENSE * row_ids.len():
        return sql.SQL(_SQL.rows_between).format(**names, first=sql.Literal(first), last=sql.Literal(last))
    return sql.SQL(_SQL.rows_of).format(**names, row_ids=sql.Literal(numbers.array_text(row_ids)))


def raw_schema(dataset: Dataset) -> pl.Schema:
    """Return the columns of a dataset's raw frame."""
    return pl.Schema({"row_id": pl.Int64, **{field.name: pl.String for field in dataset.fields}})


def mapped(raw: pl.DataFrame, dataset: Dataset, maps: Mapping[tuple[str, str], CodeMap]) -> pl.DataFrame:
    """Return the frame with local codes replaced by standard ones where the site has a map; others stay."""
    return raw.with_columns(
        maps[dataset.name, field.name].apply(raw[field.name]).alias(field.name)
        for field in dataset.fields
        if (dataset.name, field.name) in maps
    )


def count(session: Session, regulator: str, dataset: Dataset) -> int:
    """Return how many rows were ever staged, archived ones among them."""
    statement = sql.SQL(_SQL.count).format(
        table=sql.Identifier(regulator, dataset.name),
        regulator=sql.Literal(regulator),
        dataset=sql.Literal(dataset.name),
    )
    row = session.execute(statement).fetchone()
    return cast("int", row[0]) if row else 0
