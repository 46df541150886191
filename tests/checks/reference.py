"""
A second opinion on the rule language: the same SQL, evaluated by PostgreSQL over the same rows.

Expressions are drawn at random, so that neither side can have been written for them.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import TYPE_CHECKING, Final

import psycopg
from hypothesis import strategies as st
from tests.checks.tiny import make_dataset, make_field, make_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

AS_OF: Final = datetime(2024, 2, 29, 10, 30)
DATASET: Final = make_dataset(
    [
        make_field("TA", "AN..30"),
        make_field("TB", "AN..30"),
        make_field("IA", "N..3"),
        make_field("IB", "N..3"),
        make_field("NA", "N..16,4"),
        make_field("NB", "N..10,2"),
        make_field("DA", "D8"),
        make_field("DB", "D8"),
        make_field("SA", "DT15"),
        make_field("SB", "DT15"),
        make_field("FA", "T/F"),
    ]
)
_TYPES: Final = {"T": "text", "I": "numeric", "N": "numeric(16,4)", "D": "date", "S": "timestamp", "F": "boolean"}
_VALUES: Final[dict[str, Sequence[str | None]]] = {
    "T": (None, "a", "A", "ab", "aXb", "张三", "三", "%", "a_b", "10%", "x.y", "a\\b", "[a]", "1", "12", "ａ"),
    "I": (None, "0", "1", "2", "-1", "7", "999", "-999"),
    "N": (None, "0", "0.01", "-0.01", "1", "2.5", "-2.5", "0.005", "1.0050", "123456789012.1234", "-123456789012.1234"),
    "NB": (None, "0", "0.01", "-0.01", "1", "2.5", "-2.5", "12345678.12", "-7"),
    "D": (None, "2024-02-29", "2023-02-28", "2024-01-31", "2000-02-29", "1999-12-31", "2024-03-01", "2024-02-28"),
    "S": (None, "2024-02-29 10:30:00", "2024-02-29 10:29:59", "2024-01-31 23:59:59", "2023-02-28 00:00:00"),
    "F": (None, "T", "F"),
}
_ROWS: Final = 150

_TABLE: Final = """
CREATE FUNCTION year(at timestamp) RETURNS bigint LANGUAGE sql AS 'SELECT extract(year FROM at)::bigint';
CREATE FUNCTION month(at timestamp) RETURNS bigint LANGUAGE sql AS 'SELECT extract(month FROM at)::bigint';
CREATE FUNCTION age_years(birth timestamp, at timestamp) RETURNS bigint LANGUAGE sql AS
  'SELECT year(at) - year(birth) - (to_char(at, ''MMDD'') < to_char(birth, ''MMDD''))::int';
CREATE TABLE reference (row_id bigint, as_of timestamp, {columns});
"""


def rows() -> pl.DataFrame:
    """Return rows of every combination that chance makes of telling values, nothing among them."""
    chance = random.Random(1970)  # the same rows in every run
    names = [field.name for field in DATASET.fields if len(field.name) == 2]
    pools = {name: _VALUES[name if name in _VALUES else name[0]] for name in names}
    return make_raw(DATASET, [{name: chance.choice(pools[name]) for name in names} for _ in range(_ROWS)])


def load(connection: psycopg.Connection, raw: pl.DataFrame) -> None:
    """Put rows into a table of PostgreSQL, typed by PostgreSQL."""
    names = [name for name in raw.columns if len(name) == 2]
    columns = ", ".join(f"{name} {_TYPES[name[0]]}" for name in names)
    connection.execute(_TABLE.format(columns=columns))
    marks = ", ".join(["%s"] * (len(names) + 2))
    statement = f"INSERT INTO reference VALUES ({marks})"  # our own names
    with connection.cursor() as cursor:
        cursor.executemany(statement, [(row[0], AS_OF, *row[1:]) for row in raw.select("row_id", *names).iter_rows()])


def verdicts(connection: psycopg.Connection, expression: str) -> list[bool | None]:
    """Return what PostgreSQL says of an expression in each row."""
    statement = f"SELECT ({expression}) FROM reference ORDER BY row_id"  # drawn below
    # The client must not read the % of a LIKE as a place for a parameter: there are none.
    return [row[0] for row in connection.execute(statement).fetchall()]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_texts = st.deferred(lambda: _text)
_numbers = st.deferred(lambda: _number)
_instants = st.deferred(lambda: _instant)
conditions: st.SearchStrategy[str] = st.deferred(lambda: _condition)
"""SQL conditions of the rule language over DATASET."""


def _put(template: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda drawn: template.format(*drawn))


_signs = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
_places = st.sampled_from(["-1", "0", "1", "2", "3"])
_text_literals = st.sampled_from([text for text in _VALUES["T"] if text is not None]).map(_quoted)
_number_literals = st.sampled_from(["0", "1", "2", "7", "0.01", "2.5", "1.005", "-1", "100"])
_patterns = st.sampled_from(
    ["a%", "%b", "%", "_", "a_b", "%X%", "a\\_b", "10\\%", "%三", "[a]", "x.y", "x_y", "", "a\\\\b"]
)
_regexes = st.sampled_from(["^a", "b$", "^[0-9]+$", "a.b", "三", "^.$", "(a|1)"])
_intervals = st.tuples(
    st.sampled_from(["1", "2", "13", "-1"]), st.sampled_from(["DAY", "MONTH", "YEAR", "HOUR", "MINUTE"])
).map(lambda drawn: f"INTERVAL '{drawn[0]}' {drawn[1]}")

_text: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["TA", "TB"]),
    st.sampled_from(["TA", "TB"]),
    _text_literals,
    _put("lower({})", _texts),
    _put("upper({})", _texts),
    _put("replace({}, {}, {})", _texts, st.sampled_from(["'a'", "'.'", "''", "'三'"]), _text_literals),
    _put("substr({}, {}, {})", _texts, _places, st.sampled_from(["0", "1", "2", "9"])),
    _put("coalesce({}, {})", _texts, _texts),
    _put("CASE WHEN {} THEN {} ELSE {} END", conditions, _texts, _texts),
    _put("CASE WHEN {} THEN {} END", conditions, _texts),
)
_number: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["IA", "IB", "NA", "NB"]),
    st.sampled_from(["IA", "IB", "NA", "NB"]),
    _number_literals,
    _put("({} + {})", _numbers, _numbers),
    _put("({} - {})", _numbers, _numbers),
    _put("({} * {})", st.sampled_from(["IA", "NA", "NB", "2.5"]), _numbers),
    _put("abs({})", _numbers),
    _put("(- {})", _numbers),
    _put("round({}, {})", _numbers, st.sampled_from(["0", "1", "2", "5"])),
    _put("length({})", _texts),
    _put("year({})", _instants),
    _put("month({})", _instants),
    _put("age_years({}, {})", _instants, _instants),
    _put("({} - {})", st.sampled_from(["DA", "DB", "date(SA)"]), st.sampled_from(["DA", "DB", "date(as_of)"])),
    _put("coalesce({}, {})", _numbers, _numbers),
    _put("CASE {} WHEN {} THEN {} ELSE {} END", _numbers, _numbers, _numbers, _numbers),
)
_instant: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["DA", "DB", "SA", "SB", "as_of"]),
    st.sampled_from(["DA", "DB", "SA", "SB", "as_of"]),
    _put("date({})", _instants),
    _put("({} + {})", _instants, _intervals),
    _put("({} - {})", _instants, _intervals),
    _put("coalesce({}, {})", _instants, _instants),
)
_condition: st.SearchStrategy[str] = st.one_of(
    _put("{} {} {}", _texts, _signs, _texts),
    _put("{} {} {}", _numbers, _signs, _numbers),
    _put("{} {} {}", _instants, _signs, _instants),
    _put("{} {} {}", st.sampled_from(["DA", "SA", "SB"]), _signs, st.sampled_from(["'2024-02-29'", "'1999-12-31'"])),
    _put("(SA - SB) {} {}", _signs, st.sampled_from(["INTERVAL '1' DAY", "INTERVAL '-90' MINUTE"])),
    _put("({} AND {})", conditions, conditions),
    _put("({} OR {})", conditions, conditions),
    _put("(NOT {})", conditions),
    _put("{} BETWEEN {} AND {}", _numbers, _numbers, _numbers),
    _put("{} NOT BETWEEN {} AND {}", _instants, _instants, _instants),
    _put("{} IN ({}, {})", _texts, _text_literals, _text_literals),
    _put("{} NOT IN ({}, NULL)", _texts, _text_literals),
    _put("{} IN ({}, {})", _numbers, _number_literals, _number_literals),
    _put("{} NOT IN ('2024-02-29', '1999-12-31')", st.sampled_from(["DA", "DB"])),
    _put("{} IS NULL", _numbers),
    _put("{} IS NOT NULL", _texts),
    _put("({}) IS NULL", conditions),
    _put("{} LIKE {}", _texts, _patterns.map(_quoted)),
    _put("{} NOT LIKE {}", _texts, _patterns.map(_quoted)),
    _put("regexp_like({}, {})", _texts, _regexes.map(_quoted)),
    _put("CASE WHEN {} THEN {} ELSE {} END", conditions, conditions, conditions),
    st.sampled_from(["FA", "FA = TRUE", "TRUE", "FALSE", "TA = NULL", "NOT FA"]),
)
