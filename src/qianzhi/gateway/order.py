"""The order of rows that share a key: by the time their event occurred, then by their id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from qianzhi.checks.keys import is_complete
from qianzhi.checks.parse import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qianzhi.specs.model import Dataset


def behind(raw: pl.DataFrame, groups: Iterable[list[int]], dataset: Dataset) -> pl.Series:
    """
    Return the row_ids that are not the first of their group.

    `raw` holds the rows of all groups. A row without a readable time comes last: its verdict will say so.
    Rows whose key is incomplete have no order: they name no record.
    """
    numbered = pl.DataFrame(
        [(row_id, number) for number, group in enumerate(groups) for row_id in group],
        schema={"row_id": pl.Int64, "number": pl.Int64},
        orient="row",
    )
    raw = raw.filter(is_complete(dataset.key))
    times = parse(raw, dataset).typed.select("row_id", occurred_at=pl.col(dataset.occurred_at))
    ranked = (
        numbered.join(times, on="row_id")
        .sort("number", "occurred_at", "row_id", nulls_last=True)
        .with_columns(turn=pl.int_range(pl.len()).over("number"))
    )
    return ranked.filter(pl.col("turn") > 0)["row_id"]
