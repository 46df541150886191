"""Rows that a test makes up itself: good ones, of which it spoils what it wants."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import polars as pl

from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.synthetic import Played

NEW, MODIFY, REVOKE = "1", "2", "3"
_NUMBERS = count(1)


def label() -> str:
    """Return a text that no other row of this run has."""
    return f"X{next(_NUMBERS):05d}"


def moment(**before_now: float) -> str:
    """Return the wall time so long ago, as rows write it."""
    return f"{clock.local_now() - timedelta(**before_now):%Y-%m-%d %H:%M:%S}"


def contacts(offices: Sequence[str], **values: str | None) -> pl.DataFrame:
    """Return a row of contacts for each office; `values` replace what would be good in all of them."""
    good = {
        "JGDM": "440000000000000001",
        "BM": None,
        "FZRXM": "测试甲",
        "LXDH": "020-00000000",
        "SJSCSJ": moment(hours=1),
        "TBRQSJ": moment(hours=1),
        "CXBZ": NEW,
    }
    rows = [good | {"BM": office} | values for office in offices]
    return pl.DataFrame(rows, schema=dict.fromkeys(good, pl.String))


def person(played: Played, card: str, **values: str | None) -> pl.DataFrame:
    """Return the row of a person with a card of their own."""
    return _copied(played, "person", KH=card, **values)


def visit(played: Played, number: str, **values: str | None) -> pl.DataFrame:
    """Return the row of a visit; whose it is, `values` may say."""
    return _copied(played, "treatment_record", MZH=number, **values)


def _copied(played: Played, dataset: str, **values: str | None) -> pl.DataFrame:
    """Return a new good row of a dataset like the first one of the first day."""
    day = played.days[0]
    faulty = {found.position for found in day.expected if found.dataset == dataset}
    rows = day.frames[dataset].with_row_index().filter(pl.col("CXBZ") == NEW, ~pl.col("index").is_in(faulty))
    return (
        rows.drop("index").head(1).with_columns(pl.lit(value, pl.String).alias(name) for name, value in values.items())
    )
