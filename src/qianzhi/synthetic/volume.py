"""Visits and prescriptions by the million, for measurements: columns at once, valid under every rule of Guangdong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import polars as pl

from qianzhi.errors import ConfigurationError
from qianzhi.synthetic.catalogue import SPECIALTIES
from qianzhi.synthetic.people import CHILD_YEARS, age_months, age_years

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from qianzhi.synthetic.season import Played

FRAME_ROWS = 100_000
_FIRST_SECOND, _LAST_SECOND = 8 * 3600, 22 * 3600  # of the day, when visits start
_LENGTH_SECONDS_MIN, _LENGTH_SECONDS_MAX = 300, 1500
_FILLING_SECONDS_MAX = 1200
_DAY_SECONDS = 24 * 3600
_NUMBER_DIGITS = 12
_ROWS_MAX = 10**_NUMBER_DIGITS
_STREAMS_MAX = 100
_WORD = 2**64
_GOLDEN = 0x9E3779B97F4A7C15
_GROWN_YEARS = 18


@dataclass(frozen=True, slots=True)
class Parents:
    """
    Whom the visits are made of.

    `people`: KH, KLX, XM, XBDM, CSRQ, NLS, NLY and `child`; `cases`: KSBM, KSMC, YZYSGH, YZYSQM, what the condition
    fills, and `child`; all String but `child`. `fixed`: columns that every visit of the institution has alike.
    """

    people: pl.DataFrame
    cases: pl.DataFrame
    fixed: dict[str, str]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Orders:
    """
    What prescriptions are made of.

    `whom`: visits of doctors who prescribed; `lines`: rows of treatment_order that were played, by doctor;
    `stock`: CFKLYSGH, and where the lines of that doctor begin (`first`) and how many there are (`count`).
    """

    whom: Parents
    lines: pl.DataFrame
    stock: pl.DataFrame


def parents(played: Played, on: date) -> Parents:
    """Return what is alive at the end of a played hospital, as visits of the day `on` see it."""
    institution = _living(played, "institution").row(0, named=True)
    people = _people(_living(played, "person"), on)
    cases = _cases(_living(played, "staff"))
    if people.is_empty() or people.filter("child").is_empty() or people.filter(~pl.col("child")).is_empty():
        raise ConfigurationError("The hospital lacks children or adults.", remedy="Play it with more people.")
    fixed = {
        "JGDM": institution["JGDM"],
        "FWWDDM": institution["JGDM"],
        "CZYLWSJGDM": institution["STYYZZJGDM"],
        "CZYLWSJGMC": institution["STYYMC"],
        **_FIXED,
    }
    return Parents(people, cases, fixed, tuple(played.days[0].frames["treatment_record"].columns))


def treatment_records(
    rows: int, parents: Parents, seed: int, on: date, *, frame_rows: int = FRAME_ROWS
) -> Iterator[pl.DataFrame]:
    """
    Yield `rows` new visits of one day in frames of at most `frame_rows`, String columns in the regulator's order.

    Visit numbers begin with V, so that they meet no other visit of the hospital; a seed gives the same rows again.
    """
    seconds = _seconds_as_text(on)
    for first in range(0, rows, frame_rows):
        draw = _Draw(first, min(frame_rows, rows - first), seed)
        yield _frame(draw, parents, seconds)


def orders(played: Played, on: date) -> Orders:
    """Return the visits of the day `on` that lead to a prescription, and the lines it may have."""
    whom = parents(played, on)
    lines = _living(played, "treatment_order").sort("CFKLYSGH", maintain_order=True)
    stock = lines.with_row_index("at").group_by("CFKLYSGH").agg(first=pl.col("at").min(), count=pl.len())
    cases = whom.cases.filter(pl.col("YZYSGH").is_in(stock["CFKLYSGH"].implode()))
    if cases.filter("child").is_empty() or cases.filter(~pl.col("child")).is_empty():
        raise ConfigurationError("The hospital prescribed too little.", remedy="Play it with more people.")
    return Orders(replace(whom, cases=cases), lines, stock)


def treatment_orders(
    rows: int, orders: Orders, seed: int, on: date, *, frame_rows: int = FRAME_ROWS
) -> Iterator[pl.DataFrame]:
    """
    Yield `rows` new prescriptions of one line each, for the visits that `treatment_records` yields of `orders.whom`.

    Frames of at most `frame_rows`, String columns in the regulator's order; a seed gives the same rows again.
    """
    seconds = _seconds_as_text(on)
    for first in range(0, rows, frame_rows):
        draw = _Draw(first, min(frame_rows, rows - first), seed)
        yield _lines(draw, _frame(draw, orders.whom, seconds), orders)


class _Draw:
    """Random columns for consecutive rows: a pure function of seed, stream and row number (SplitMix64)."""

    def __init__(self, first: int, rows: int, seed: int) -> None:
        self.first = first
        self.rows = rows
        self._seed = seed

    def below(self, stream: int, bound: int) -> pl.Series:
        """Return a number from 0 to less than `bound` for each row; another stream gives other numbers."""
        start = (self._seed * _STREAMS_MAX + stream) * _ROWS_MAX + self.first
        step = pl.int_range(self.rows, dtype=pl.UInt64, eager=True) * pl.lit(_GOLDEN, pl.UInt64)
        return pl.select(_mixed(step + pl.lit(start * _GOLDEN % _WORD, pl.UInt64)) % bound).to_series()


_FIXED = {
    "JZLX": "100",
    "GMSBS": "F",
    "CBLB": "1",
    "CZBZDM": "2",
    "JWS": "否认传染病史",
    "MZZZZDBMLX": "01",
    "JKZD": "注意休息，清淡饮食",
    "CZJH": "线上随访",
    "ZZBZ": "F",
    "DZCFWJCFDZ": "F",
    "YSDSPWJCFDZ": "F",
    "HZDSPWJCFDZ": "F",
    "JLYPCFDZ": "F",
    "MJ": "1",
    "CXBZ": "1",
}


# What a prescription says as its visit does.
_REPEATED = (
    *("JGDM", "FWWDDM", "KH", "KLX", "MZH", "XM", "XBDM", "CSRQ", "NLS", "NLY", "JZRQSJ"),
    *("SJSCSJ", "TBRQSJ", "CXBZ"),
)


def _mixed(word: pl.Expr) -> pl.Expr:
    """Return the output function of SplitMix64; products wrap, divisions by powers of two are its shifts."""
    word = (word ^ (word // 2**30)) * pl.lit(0xBF58476D1CE4E5B9, pl.UInt64)
    word = (word ^ (word // 2**27)) * pl.lit(0x94D049BB133111EB, pl.UInt64)
    return word ^ (word // 2**31)


def _frame(draw: _Draw, parents: Parents, seconds: pl.Series) -> pl.DataFrame:
    people = parents.people[draw.below(0, parents.people.height)]
    cases = parents.cases[_matching(draw, parents.cases["child"], people["child"])]
    numbers = pl.int_range(draw.first, draw.first + draw.rows, eager=True).cast(pl.String).str.zfill(_NUMBER_DIGITS)
    frame = pl.concat([people.drop("child"), cases.drop("child"), _moments(draw, seconds)], how="horizontal")
    frame = frame.with_columns(
        ("V" + numbers).alias("MZH"),
        (draw.below(2, 3) + 1).cast(pl.String).alias("HZMYD"),
        **{name: pl.lit(value) for name, value in parents.fixed.items()},
    )
    missing = [name for name in parents.columns if name not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing).select(parents.columns)


def _lines(draw: _Draw, visits: pl.DataFrame, orders: Orders) -> pl.DataFrame:
    """Return a line that the doctor of each visit has written before, as if written at the end of this visit."""
    stock = visits.select(CFKLYSGH="YZYSGH").join(orders.stock, on="CFKLYSGH", how="left", maintain_order="left")
    chosen = stock["first"] + draw.below(6, _ROWS_MAX) % stock["count"]
    return orders.lines[chosen].with_columns(
        *(visits[name] for name in _REPEATED),
        visits["JZJSSJ"].alias("CFKLSJ"),
        CFBH="CF" + visits["MZH"],
        CFMXID="CF" + visits["MZH"] + "01",
        PXH=pl.lit("1"),
    )


def _matching(draw: _Draw, cases: pl.Series, child: pl.Series) -> pl.Series:
    """Return for everybody the position of a case, of children for a child."""
    chosen = draw.below(1, _ROWS_MAX)
    for_children, for_adults = cases.arg_true(), (~cases).arg_true()
    return pl.select(
        pl.when(child)
        .then(pl.lit(for_children).gather(chosen % len(for_children)))
        .otherwise(pl.lit(for_adults).gather(chosen % len(for_adults)))
    ).to_series()


def _moments(draw: _Draw, seconds: pl.Series) -> pl.DataFrame:
    """Return start, end, creation and filling time, none before the one before it."""
    start = draw.below(3, _LAST_SECOND - _FIRST_SECOND) + _FIRST_SECOND
    end = start + draw.below(4, _LENGTH_SECONDS_MAX - _LENGTH_SECONDS_MIN) + _LENGTH_SECONDS_MIN
    ended = seconds.gather(end)
    filled = seconds.gather(end + draw.below(5, _FILLING_SECONDS_MAX))
    return pl.DataFrame({"JZRQSJ": seconds.gather(start), "JZJSSJ": ended, "SJSCSJ": ended, "TBRQSJ": filled})


def _seconds_as_text(on: date) -> pl.Series:
    """Return every second of a day as text: looking one up is several times cheaper than formatting an instant."""
    midnight = datetime.combine(on, time())
    last = midnight + timedelta(seconds=_DAY_SECONDS - 1)
    return pl.datetime_range(midnight, last, "1s", eager=True).dt.strftime("%Y-%m-%d %H:%M:%S")


def _living(played: Played, dataset: str) -> pl.DataFrame:
    """Return the last row of every record of a dataset that was not withdrawn."""
    keys = _KEYS[dataset]
    frame = pl.concat([day.frames[dataset] for day in played.days])
    return frame.unique(keys, keep="last", maintain_order=True).filter(pl.col("CXBZ") != "3")


_KEYS = {
    "institution": ["JGDM"],
    "person": ["JGDM", "KLX", "KH"],
    "staff": ["JGDM", "YHRYGH"],
    "treatment_order": ["JGDM", "CFMXID"],
}


def _people(persons: pl.DataFrame, on: date) -> pl.DataFrame:
    """Return persons with their age on the day; between child and grown up nobody is seen."""
    births = persons["CSRQ"].str.to_date().to_list()
    ages = [age_years(birth, on) for birth in births]
    return (
        persons.select("KH", "KLX", "XM", "XBDM", "CSRQ")
        .with_columns(
            pl.Series("NLS", [str(age) for age in ages]),
            pl.Series("NLY", [age_months(birth, on) for birth in births], pl.String),
            pl.Series("child", [age < CHILD_YEARS for age in ages]),
            pl.Series("age", ages),
        )
        .filter(pl.col("child") | (pl.col("age") >= _GROWN_YEARS))
        .drop("age")
    )


def _cases(staff: pl.DataFrame) -> pl.DataFrame:
    """Return every pairing of a doctor with a condition that anybody may have."""
    conditions = pl.DataFrame(
        [
            {
                "KSBM": specialty.code,
                "KSMC": specialty.name,
                "JZZDSM": condition.name,
                "MZZZZDMC": condition.name,
                "MZZZZDDM": condition.code,
                "ZS": condition.complaint,
                "XBS": condition.complaint,
                "ZZMS": condition.complaint,
                "BZYJ": "舌淡苔白，脉细" if condition.tcm_code else None,
                "ZZZF": "健脾和胃" if condition.tcm_code else None,
                "child": specialty.children,
            }
            for specialty in SPECIALTIES
            for condition in specialty.conditions
            if condition.sex is None and condition.age_min <= _GROWN_YEARS
        ],
        schema_overrides={"BZYJ": pl.String, "ZZZF": pl.String},
    )
    doctors = staff.filter(pl.col("YHRYGH").str.starts_with("D")).select(KSBM="KSDM", YZYSGH="YHRYGH", YZYSQM="YHRYXM")
    return conditions.join(doctors, on="KSBM").sort("YZYSGH", "MZZZZDDM")
