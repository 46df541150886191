"""Rules over the rows that are sent together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from qianzhi.checks.expressions import AtMost


def beyond(check: AtMost, typed: pl.DataFrame, met: pl.Series) -> pl.Series:
    """
    Return the positions of the rows that break an `at_most`.

    `met` says where its condition holds. All rows of a group that has too many are meant, not only the last ones,
    so that the verdict does not hang on their order. A row without a complete key belongs to no group.
    """
    at = met.fill_null(value=False).arg_true()
    if len(at) <= check.limit:
        return at.clear()
    members = typed.select(pl.col(name).gather(at) for name in check.key).with_columns(at=at)
    return members.drop_nulls(check.key).filter(pl.len().over(check.key) > check.limit)["at"]
