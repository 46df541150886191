"""The order of rows that share a key: by the time their event occurred, then by their id."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from qianzhi.checks.keys import is_complete
from qianzhi.checks.parse import parse, said

if TYPE_CHECKING:
    from qianzhi.specs.model import Dataset


def behind(raw: pl.DataFrame, repeated: pl.DataFrame, dataset: Dataset) -> pl.Series:
    """
    Return the row_ids that are not the first of their key.

    `repeated` says row_id and key_text_hash of rows whose key came several times; `raw` holds these rows. A row
    without a readable time comes last: its verdict will say so. Rows whose key is incomplete have no order: they
    name no record.
    """
    typed = parse(raw, dataset).typed
    named = said(raw, typed).select("row_id", keyed=is_complete(dataset.key)).filter("keyed")
    times = typed.join(named, on="row_id", how="semi").select("row_id", occurred_at=pl.col(dataset.occurred_at))
    ranked = (
        repeated.join(times, on="row_id")
        .sort("key_text_hash", "occurred_at", "row_id", nulls_last=True)
        .with_columns(turn=pl.int_range(pl.len()).over("key_text_hash"))
    )
    return ranked.filter(pl.col("turn") > 0)["row_id"]
