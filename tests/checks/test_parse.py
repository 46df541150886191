from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checks.tiny import make_dataset, make_field, make_raw

from qianzhi.checks import instants
from qianzhi.checks.parse import Parsed, parse, said

if TYPE_CHECKING:
    from collections.abc import Sequence

NOTATIONS = {
    "TXT": "AN..20",
    "INT": "N..3",
    "DEC": "N..16,4",
    "DAY": "D8",
    "AT": "DT15",
    "FLAG": "T/F",
}
DATASET = make_dataset([make_field(name, notation) for name, notation in NOTATIONS.items()])


def read(field: str, *texts: str | None) -> Parsed:
    """Parse texts that all stand in one field."""
    return parse(make_raw(DATASET, [{field: text} for text in texts]), DATASET)


def values(field: str, *texts: str | None) -> list[object]:
    """Return what texts become, and see that none of them is a finding."""
    parsed = read(field, *texts)
    assert parsed.findings.is_empty()
    return parsed.typed[field].to_list()


def refusals(field: str, *texts: str) -> list[tuple[str, str | None]]:
    """Return class and detail of what is wrong with texts; each must be one finding, and null for the rules."""
    parsed = read(field, *texts)
    assert parsed.typed[field].null_count() == len(texts)
    assert parsed.findings["row_id"].to_list() == list(range(1, len(texts) + 1))
    assert set(parsed.findings["code"]) == {"V02"}
    assert set(parsed.findings["severity"]) == {"error"}
    assert parsed.findings["value"].to_list() == [text[:200] for text in texts]
    return parsed.findings.select("class", "detail").rows()


def test_a_typed_frame_has_the_types_of_the_formats() -> None:
    """Decimal is never Float, and a moment has no zone; an empty frame has them as well."""
    wanted = {
        "TXT": pl.String(),
        "INT": pl.Int64(),
        "DEC": pl.Decimal(38, 4),
        "DAY": pl.Date(),
        "AT": pl.Datetime("us"),
        "FLAG": pl.Boolean(),
    }

    for parsed in (read("TXT", "a", None), read("TXT"), read("TXT", None)):
        assert {name: parsed.typed.schema[name] for name in wanted} == wanted
        assert parsed.typed.columns == parsed.raw.columns
        assert parsed.typed.height == parsed.raw.height


@pytest.mark.parametrize("field", NOTATIONS)
def test_blank_is_missing(field: str) -> None:
    """Nothing, the empty text and blanks (also the ideographic one) are null and no finding."""
    assert values(field, None, "", "  ", "\u3000", "\t \n") == [None] * 5


def test_blanks_around_a_value_stay_in_the_raw_frame_only() -> None:
    """A value is read without the blanks around it, whatever its type."""
    assert values("TXT", " 张 三\u3000") == ["张 三"]
    assert values("INT", " 7", "7 ") == [7, 7]
    assert values("DEC", " 1.5 ") == [Decimal("1.5")]
    assert values("DAY", " 2024-02-29") == [date(2024, 2, 29)]
    assert values("AT", "2024-02-29 10:00:00 ") == [datetime(2024, 2, 29, 10)]
    assert values("FLAG", " T", "F ") == [True, False]
    assert read("TXT", " a ").raw["TXT"].to_list() == [" a "]


@pytest.mark.parametrize(
    ("written", "means"),
    [("A", "A"), (" A\t", "A"), ("\u3000A B ", "A B"), ("", None), (" \t", None), ("\u3000", None), (None, None)],
)
@pytest.mark.parametrize("field", ["MZH", "SJSCSJ"])
def test_what_is_said_has_no_blanks_around_it(field: str, written: str | None, means: str | None) -> None:
    """Texts and all other fields alike, even one that does not parse; nothing is said by blanks."""
    dataset = make_dataset([])
    raw = make_raw(dataset, [{field: written}, {field: "B"}])
    sealed = raw.with_columns(pl.lit("ab").alias("MZH#blob"))  # an envelope carries more than fields
    texts = said(sealed, parse(raw, dataset).typed)
    assert texts[field].to_list() == [means, "B"]
    assert set(texts.columns) == set(raw.columns)


def test_integers_are_read() -> None:
    """A sign and leading zeros are no digits of an integer."""
    assert values("INT", "0", "7", "007", "0000999", "-5", "+5") == [0, 7, 7, 999, -5, 5]


def test_integers_of_too_many_digits_or_with_a_point_are_refused() -> None:
    """More digits than the format states, and any decimals, are class E02."""
    assert refusals("INT", "1000", "-1000", "12.5", "5.0", "9" * 30) == [("E02", None)] * 5


def test_what_is_no_integer_is_refused() -> None:
    """Full-width digits, separators, exponents and words are class E03."""
    assert refusals("INT", "５", "1,000", "1e2", "一", "0x1", "1 2", "--1", "-", "nan") == [("E03", None)] * 9


def test_decimals_are_read_exactly() -> None:
    """Twelve digits before the point and four after it are kept; zeros that say nothing are not counted."""
    texts = ("123456789012.1234", "-0.0001", "0.1", ".5", "5.", "+1.50000", "0001.2", "0")

    assert values("DEC", *texts) == [
        Decimal(text) for text in ("123456789012.1234", "-0.0001", "0.1", "0.5", "5", "1.5", "1.2", "0")
    ]


def test_decimals_beyond_the_format_are_refused() -> None:
    """A fifth decimal and a thirteenth digit are class E02, never rounded."""
    assert refusals("DEC", "1.23456", "1234567890123", "0.00001", "-1234567890123.5") == [("E02", None)] * 4


def test_what_is_no_decimal_is_refused() -> None:
    """Full-width digits, exponents, separators and infinities are class E03."""
    texts = ("１.５", "1e3", "1,5", "1.2.3", "inf", "NaN", ".", "¥5", "5元")
    assert refusals("DEC", *texts) == [("E03", None)] * len(texts)


def test_dates_are_read_in_three_spellings() -> None:
    """With hyphens, with slashes, and of eight digits."""
    assert values("DAY", "2024-02-29", "20240229", "2024/02/29", "0001-01-01", "9999-12-31") == [
        *[date(2024, 2, 29)] * 3,
        date(1, 1, 1),
        date(9999, 12, 31),
    ]


def test_what_is_no_date_is_refused_with_the_reason() -> None:
    """30 February, infinity, Unix seconds and lenient spellings are class E03."""
    assert refusals("DAY", "2024-02-30", "20230229", "0000-01-01", "infinity", "-Infinity", "1700000000") == [
        ("E03", "calendar"),
        ("E03", "calendar"),
        ("E03", "calendar"),
        ("E03", "infinity"),
        ("E03", "infinity"),
        ("E03", "unix"),
    ]
    lenient = ("2024-2-3", "2024-02- 3", "+2024-2-03", "12024-02-3", "２０２４-02-03", "2024-02-03Z", "03/02/2024")
    assert refusals("DAY", *lenient) == [("E03", None)] * len(lenient)


def test_a_date_does_not_take_a_time() -> None:
    """A date field holds a date."""
    assert refusals("DAY", "2024-02-29 00:00:00") == [("E03", None)]


def test_moments_are_read_in_every_accepted_spelling() -> None:
    """With a blank or T, with or without seconds and fractions, of digits only, and as a date for its midnight."""
    second, minute, midnight = datetime(2024, 2, 29, 10, 11, 12), datetime(2024, 2, 29, 10, 11), datetime(2024, 2, 29)
    wanted = {
        "2024-02-29 10:11:12": second,
        "2024-02-29T10:11:12": second,
        "20240229101112": second,
        "20240229T101112": second,
        "2024-02-29 10:11": minute,
        "2024-02-29T10:11": minute,
        "2024-02-29 10:11:12.5": second + timedelta(milliseconds=500),
        "2024-02-29T10:11:12.123456": second + timedelta(microseconds=123_456),
        "2024-02-29": midnight,
        "20240229": midnight,
        "2024/02/29": midnight,
    }

    assert values("AT", *wanted) == list(wanted.values())
    for text, value in wanted.items():
        assert values("AT", text) == [value]


def test_what_is_no_moment_is_refused_with_the_reason() -> None:
    """A zone, Unix seconds, a leap second, the hour 24 and a seventh decimal are class E03."""
    wanted = {
        "2024-02-29 10:11:12Z": "zone",
        "2024-02-29T10:11:12+08:00": "zone",
        "2024-02-29 10:11:12.5+0800": "zone",
        "2024-02-29 10:11+08": "zone",
        "1700000000": "unix",
        "1700000000000": "unix",
        "infinity": "infinity",
        "2024-02-29 24:00:00": "calendar",
        "2023-02-29 10:00:00": "calendar",
        "2024-02-29 10:11:60": None,
        "2024-02-29 10:11:12.1234567": None,
        "2024-02-29  10:11:1": None,
        "2024-2-29 10:11:12": None,
        "10:11:12": None,
    }

    assert refusals("AT", *wanted) == [("E03", why) for why in wanted.values()]


def test_local_times_that_the_clocks_jumped_over_are_refused() -> None:
    """02:30 on 4 May 1986 did not exist in China; the ambiguous hour of 14 September passes."""
    assert refusals("AT", "1986-05-04 02:30:00", "19860504023000", "1986-05-04 02:00") == [("E03", "gap")] * 3
    assert values("AT", "1986-05-04 01:59:59", "1986-05-04 03:00:00", "1986-09-14 01:30:00") == [
        datetime(1986, 5, 4, 1, 59, 59),
        datetime(1986, 5, 4, 3),
        datetime(1986, 9, 14, 1, 30),
    ]


def test_every_gap_of_the_time_zone_is_known() -> None:
    """Hour by hour from 1985 to 2037, what does not exist is what the system's time zones say."""
    zone = ZoneInfo("Asia/Shanghai")
    hours = [datetime(1985, 1, 1) + timedelta(minutes=30 * step) for step in range(2 * 24 * 365 * 8)]
    hours += [datetime(year, 1, 1) + timedelta(days=day, hours=2) for year in range(1993, 2038) for day in range(365)]
    utc = ZoneInfo("UTC")
    missing = [
        place
        for place, hour in enumerate(hours)
        if hour.replace(tzinfo=zone).astimezone(utc).astimezone(zone).replace(tzinfo=None) != hour
    ]

    assert instants.gaps(pl.Series(hours, dtype=pl.Datetime("us"))).to_list() == missing
    assert len(missing) == 12  # two half hours in each of the six years 1986 to 1991


def test_flags_are_exactly_as_listed() -> None:
    """T and F; nothing else is a flag, also not in small letters."""
    assert values("FLAG", "T", "F") == [True, False]
    assert refusals("FLAG", "t", "1", "true", "是") == [("E03", None)] * 4


def test_one_bad_value_does_not_touch_its_neighbours() -> None:
    """Good values in the usual and in other spellings keep their places around bad ones."""
    parsed = read("AT", "2024-02-29 10:00:00", "bad", None, "20240229", "1986-05-04 02:30:00", "2024-02-29T10:00")

    assert parsed.typed["AT"].to_list() == [
        datetime(2024, 2, 29, 10),
        None,
        None,
        datetime(2024, 2, 29),
        None,
        datetime(2024, 2, 29, 10),
    ]
    assert parsed.findings.select("row_id", "detail").rows() == [(2, None), (5, "gap")]


@pytest.mark.parametrize("field", NOTATIONS)
@pytest.mark.parametrize("text", ["9" * 10_000_000, "字" * 3_000_000, "0." + "1" * 10_000_000, " " * 10_000_000 + "x"])
def test_megabytes_do_not_raise(field: str, text: str) -> None:
    """A value of ten megabytes is text, or one finding."""
    parsed = read(field, text)

    assert parsed.findings.height == (0 if field == "TXT" else 1)
    assert parsed.findings["value"].str.len_chars().max() in {None, 200}


# What Unicode calls White_Space; Python's own strip() also takes U+001C to U+001F.
_BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

_SPELT = st.sampled_from("0123456789０５+-.,:/ TtFfZzeE\u3000\x00\x0b\x7f\ufffd张三年infNaN")
_TEXTS = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.text(_SPELT, max_size=25),
    st.datetimes().map(str),
    st.dates().map(str),
    st.integers().map(str),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_TEXTS, min_size=1, max_size=8))
def test_no_text_raises(texts: Sequence[str | None]) -> None:
    """Any text is a value, missing, or exactly one finding."""
    parsed = parse(make_raw(DATASET, [dict.fromkeys(NOTATIONS, text) for text in texts]), DATASET)

    for field in NOTATIONS:
        unread = parsed.findings.filter(pl.col("field") == field)["row_id"].to_list()
        for row_id, text in enumerate(texts, start=1):
            is_missing = text is None or not text.strip(_BLANKS)
            is_null = parsed.typed[field][row_id - 1] is None
            assert unread.count(row_id) == (is_null and not is_missing), (field, text)


@settings(max_examples=300, deadline=None)
@given(st.datetimes(datetime(1950, 1, 1)), st.dates(), st.integers(-999, 999), st.decimals(-(10**11), 10**11, places=4))
def test_what_is_written_is_read(at: datetime, day: date, count: int, amount: Decimal) -> None:
    """A value in the usual spelling comes back as itself."""
    moment = at.replace(microsecond=0)
    row = {"AT": str(moment), "DAY": str(day), "INT": str(count), "DEC": f"{amount:f}"}
    parsed = parse(make_raw(DATASET, [row]), DATASET)

    is_gap = not parsed.findings.filter(pl.col("detail") == "gap").is_empty()
    assert parsed.typed.select("AT", "DAY", "INT", "DEC").row(0) == (None if is_gap else moment, day, count, amount)
    assert parsed.findings.height == is_gap
