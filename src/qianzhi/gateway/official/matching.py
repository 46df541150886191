"""Matching: which delivered row a line of an export speaks of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from qianzhi.checks.state import KEY

NOT_DELIVERED: Final = "no row of this record had been delivered by then"
OTHER_VERSION: Final = "no delivered row of this record says the same SJSCSJ"
BOTH: Final = "the file says both accepted and failed of one row"
CONTRADICTS: Final = "an earlier import says the opposite of this row"

_SAID: Final = "told_us"


@dataclass(frozen=True, slots=True)
class Matched:
    """What the lines of one dataset come to. The first word on a row stands."""

    news: pl.DataFrame  # lines of rows without an answer, with row_id
    known: pl.DataFrame  # lines that say again what is known
    unmatched: pl.DataFrame  # lines that settle nothing, and why (`trouble`)


def match(lines: pl.DataFrame, deliveries: pl.DataFrame) -> Matched:
    """
    Match lines (LINE, of one dataset and without trouble) with the deliveries (DELIVERY) of their keys.

    A line speaks of the newest row of its key that was there when it was said; if it names the row's number over
    there, or when its event occurred, only of such a row. Where none was there by then, it speaks of the first one of
    its event: a row that was recognised after a restore was there before we knew.
    """
    pairs = _paired(lines.drop("trouble").join(deliveries, on=KEY, suffix="_there"))
    fitting = _narrowed(pairs)
    chosen = (
        fitting.sort("place", "delivered_us", "remote_id_there")
        .unique("place", keep="last", maintain_order=True)
        .with_columns(said_accepted=pl.col("accepted").cast(pl.Int64))
    )
    missing = lines.join(chosen.select("place"), on="place", how="anti")
    was_there = pairs.select("place").unique()
    unmatched = missing.with_columns(
        trouble=pl.when(pl.col("place").is_in(was_there["place"].implode()))
        .then(pl.lit(OTHER_VERSION))
        .otherwise(pl.lit(NOT_DELIVERED))
    )
    is_torn = pl.col("said_accepted").n_unique().over("row_id") > 1
    judged = chosen.with_columns(
        trouble=pl.when(is_torn & pl.col("answer").is_null())
        .then(pl.lit(BOTH))
        .when(pl.col("answer") != pl.col("said_accepted"))
        .then(pl.lit(CONTRADICTS))
    )
    fine = judged.filter(pl.col("trouble").is_null())
    return Matched(
        news=fine.filter(pl.col("answer").is_null()),
        known=fine.filter(pl.col("answer").is_not_null()),
        unmatched=pl.concat([unmatched, judged.filter(pl.col("trouble").is_not_null()).select(lines.columns)]),
    )


def _paired(joined: pl.DataFrame) -> pl.DataFrame:
    """Keep what was there when a line was said; else the first row of the event that the line names."""
    in_time = joined.filter(pl.col("delivered_us") <= pl.col(_SAID))
    recognised = (
        joined.join(in_time.select("place"), on="place", how="anti")
        .filter(pl.col("occurred_us") == pl.col("occurred_us_there"))
        .sort("delivered_us", "remote_id_there")
        .unique("place", keep="first", maintain_order=True)
    )
    return pl.concat([in_time, recognised])


def _narrowed(pairs: pl.DataFrame) -> pl.DataFrame:
    """Keep of each line's rows those with its number, where there is one such; else those of its event's time."""
    same = pairs.with_columns(is_it=(pl.col("remote_id") == pl.col("remote_id_there")).fill_null(value=False))
    return same.filter(
        pl.col("is_it")
        | (
            ~pl.col("is_it").any().over("place")
            & (pl.col("occurred_us").is_null() | (pl.col("occurred_us") == pl.col("occurred_us_there")))
        )
    ).drop("is_it")
