"""Dates and local times written as text: the accepted spellings, and the hours that never were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.specs.formats import ValueType
from qianzhi.specs.model import ErrorClass

if TYPE_CHECKING:
    from qianzhi.specs.formats import Format

ZONE: Final = "Asia/Shanghai"

GAPS_BEFORE: Final = datetime(1992, 1, 1)
"""China has kept its clocks since September 1991: later local times all exist, and need no look-up."""

# Why a text is no instant; the catalogue has a sentence for each.
GAP, CALENDAR, SHIFTED, UNIX, INFINITE = "gap", "calendar", "zone", "unix", "infinity"

_YEAR_MIN: Final = "0001"
_SECONDS: Final = "[0-5][0-9]"  # a leap second would silently become the next minute
_ZONED: Final = r":[0-9]{2}(?:\.[0-9]+)?\s*(?:[Zz]|UTC|GMT|CST|[+-][0-9]{2}(?::?[0-9]{2})?)$"


@dataclass(frozen=True, slots=True)
class Spelling:
    """One accepted way to write an instant: the shape guards what the lenient parser would also take."""

    shape: str
    directives: str


# The usual spelling comes first: it is tried on whole columns, the others only on what it leaves.
DATES: Final = (
    Spelling(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "%Y-%m-%d"),
    Spelling(r"^[0-9]{8}$", "%Y%m%d"),
    Spelling(r"^[0-9]{4}/[0-9]{2}/[0-9]{2}$", "%Y/%m/%d"),
)
DATETIMES: Final = (
    Spelling(rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} [0-9]{{2}}:[0-9]{{2}}:{_SECONDS}$", "%Y-%m-%d %H:%M:%S"),
    Spelling(rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:{_SECONDS}$", "%Y-%m-%dT%H:%M:%S"),
    Spelling(r"^[0-9]{14}$", "%Y%m%d%H%M%S"),
    Spelling(r"^[0-9]{8}T[0-9]{6}$", "%Y%m%dT%H%M%S"),
    Spelling(r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$", "%Y-%m-%d %H:%M"),
    Spelling(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$", "%Y-%m-%dT%H:%M"),
    Spelling(
        rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}} [0-9]{{2}}:[0-9]{{2}}:{_SECONDS}\.[0-9]{{1,6}}$", "%Y-%m-%d %H:%M:%S%.f"
    ),
    Spelling(
        rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:{_SECONDS}\.[0-9]{{1,6}}$", "%Y-%m-%dT%H:%M:%S%.f"
    ),
)


def date(text: pl.Expr) -> pl.Expr:
    """Return the Date of each text in the usual spelling; null for every other text."""
    return _spelt(text, DATES[0], pl.Date())


def datetime_(text: pl.Expr) -> pl.Expr:
    """Return the local Datetime of each text in the usual spelling; null for every other text."""
    return _spelt(text, DATETIMES[0], pl.Datetime("us"))


def read_instants(texts: pl.Series, form: Format) -> pl.DataFrame:
    """
    Read stripped texts that are not in the usual spelling.

    Returns `value` (null where the text does not parse), `class` (null where it does) and `detail` (why not).
    """
    text = pl.col("text")
    is_date = form.type is ValueType.DATE
    kind = pl.Date() if is_date else pl.Datetime("us")
    spellings = DATES if is_date else (*DATETIMES, *DATES)
    value = pl.repeat(None, len(texts), dtype=kind, eager=True).alias("value")
    for spelling in spellings:
        open_ = value.is_null().arg_true()
        left = texts.gather(open_).to_frame("text")
        # Nothing of this shape: a cheap look spares the parser.
        if left.select(text.str.contains(spelling.shape).any()).item():
            value = value.scatter(open_, left.select(_spelt(text, spelling, kind)).to_series())
    return pl.DataFrame({"text": texts, "value": value}).select(
        "value",
        pl.when(pl.col("value").is_null()).then(pl.lit(ErrorClass.FORMAT.value)).alias("class"),
        pl.when(pl.col("value").is_null()).then(_why(text, spellings)).alias("detail"),
    )


def gaps(instants: pl.Series) -> pl.Series:
    """Return the positions of local times that the clocks of China jumped over."""
    earliest = instants.min()
    if not isinstance(earliest, datetime) or earliest >= GAPS_BEFORE:
        return pl.Series([], dtype=pl.get_index_type())
    early = (instants < GAPS_BEFORE).fill_null(value=False).arg_true()
    existing = instants.gather(early).dt.replace_time_zone(ZONE, ambiguous="earliest", non_existent="null")
    return early.filter(existing.is_null())


def _spelt(text: pl.Expr, spelling: Spelling, kind: pl.Date | pl.Datetime) -> pl.Expr:
    # PostgreSQL and Python know no year 0.
    shaped = text.str.contains(spelling.shape) & (text >= _YEAR_MIN)
    # Births repeat in a batch, so a cache of dates pays; moments do not.
    cached = isinstance(kind, pl.Date)
    return pl.when(shaped).then(text.str.strptime(kind, spelling.directives, strict=False, cache=cached))


def _why(text: pl.Expr, spellings: tuple[Spelling, ...]) -> pl.Expr:
    shapes = "|".join(spelling.shape for spelling in spellings)
    return (
        pl.when(text.str.contains(r"(?i)^[+-]?inf(?:inity)?$"))
        .then(pl.lit(INFINITE))
        .when(text.str.contains(_ZONED))
        .then(pl.lit(SHIFTED))
        .when(text.str.contains(r"^(?:[0-9]{10}|[0-9]{13})$"))
        .then(pl.lit(UNIX))
        .when(text.str.contains(shapes))
        .then(pl.lit(CALENDAR))
    )
