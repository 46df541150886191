"""Findings: what is wrong with which field of which row, one row a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.specs.model import ErrorClass, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA: Final = pl.Schema(
    {
        "row_id": pl.Int64,
        "code": pl.String,  # of the structural check, rule or reference: stable
        "class": pl.String,  # E01 … E12
        "field": pl.String,  # the field blamed
        "value": pl.String,  # its raw text, cut to VALUE_CHARACTERS_MAX; may be null
        "detail": pl.String,  # what the reason needs beyond title and value; may be null
        "severity": pl.String,  # "error" rejects the row, "warning" informs
    }
)

VALUE_CHARACTERS_MAX: Final = 200
"""Enough to recognise a value; a field may hold megabytes."""

_EMPTY: Final = pl.DataFrame(schema=SCHEMA)
_ORDER: Final = ("row_id", "code", "field")


@dataclass(frozen=True, slots=True)
class Blame:
    """What all findings of one check say alike."""

    code: str
    error_class: ErrorClass
    field: str
    severity: Severity


def empty() -> pl.DataFrame:
    """Return a findings frame without rows."""
    return _EMPTY.clone()


def concat(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return all findings in one frame, ordered by row, code and field."""
    filled = [frame for frame in frames if not frame.is_empty()]
    return pl.concat(filled).sort(_ORDER, maintain_order=True) if filled else empty()


def rejecting(findings: pl.DataFrame) -> pl.Series:
    """Return each row_id that at least one error rejects, ascending."""
    return findings.filter(pl.col("severity") == Severity.ERROR.value)["row_id"].unique().sort()


def blamed(raw: pl.DataFrame, blame: Blame, at: pl.Series, detail: pl.Series | None = None) -> pl.DataFrame:
    """
    Return the findings of one check.

    `at` holds the positions of the rows in `raw`, `detail` one text for each of them.
    """
    said = pl.lit(None, pl.String) if detail is None else pl.lit(detail)
    return raw.select(
        pl.col("row_id").gather(at),
        pl.lit(blame.code).alias("code"),
        pl.lit(blame.error_class.value).alias("class"),
        pl.lit(blame.field).alias("field"),
        pl.col(blame.field).gather(at).str.slice(0, VALUE_CHARACTERS_MAX).alias("value"),
        said.alias("detail"),
        pl.lit(blame.severity.value).alias("severity"),
    )
