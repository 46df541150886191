"""Frames out of and into PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qianzhi.db import arrow, server
from qianzhi.errors import QianzhiError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.embedded import Cluster
    from qianzhi.db.server import Session

AWKWARD = [
    "",
    " ",
    "\\N",
    "\\.",
    "\\",
    '"',
    '""',
    ",",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\ufeff",
    "\ufeffa",
    "#",
    "NULL",
    "null",
]
AWKWARD += [
    "\x01",
    "\x7f",
    "\u0085",
    "\u2028",
    "患者张三",
    "𠮷野",
    "a\\\nb",
    "'; DROP TABLE texts; --",
    "%s",
    "1",
    "-0",
]
TEXT = st.one_of(
    st.none(), st.sampled_from(AWKWARD), st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
)


@pytest.fixture(scope="module")
def session(postgres: Cluster) -> Iterator[Session]:
    """A session with a table of three columns of text and one of a single column, both for this session only."""
    with server.connect(postgres.dsn(), application="test", autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE texts (n bigint, a text, b text, c text)")
        connection.execute("CREATE TEMP TABLE single (a text)")
        yield connection


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=30))
def test_any_text_comes_back_as_it_went(
    session: Session, rows: list[tuple[str | None, str | None, str | None]]
) -> None:
    """NULL, the empty text, control characters, quotes, separators and marks survive both ways, checked by psycopg."""
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String, "c": pl.String}, orient="row")
    session.execute("TRUNCATE texts")
    assert arrow.write(session, "texts", frame.with_row_index("n").cast({"n": pl.Int64})) == len(rows)
    assert session.execute("SELECT a, b, c FROM texts ORDER BY n").fetchall() == rows
    assert arrow.read(session, "SELECT a, b, c FROM texts ORDER BY n", schema=frame.schema).equals(frame)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXT, max_size=10))
def test_any_text_of_a_single_column_comes_back(session: Session, values: list[str | None]) -> None:
    """A frame of one column has no separators that could tell a row from the end or from nothing."""
    frame = pl.DataFrame({"a": values}, schema={"a": pl.String})
    session.execute("TRUNCATE single")
    arrow.write(session, "single", frame)
    assert sorted(map(repr, session.execute("SELECT a FROM single"))) == sorted(repr((value,)) for value in values)
    got = arrow.read(session, "SELECT a FROM single", schema={"a": pl.String})
    assert got.sort("a").equals(frame.sort("a"))


def test_numbers_keep_their_whole_range(session: Session) -> None:
    """Int64 holds every bigint, and NULL."""
    numbers = pl.DataFrame({"n": [-(2**63), 2**63 - 1, 0, None]}, schema={"n": pl.Int64})
    session.execute("TRUNCATE texts")
    arrow.write(session, "texts", numbers)
    got = arrow.read(session, "SELECT n FROM texts ORDER BY n NULLS LAST", schema={"n": pl.Int64})
    assert got["n"].to_list() == [-(2**63), 0, 2**63 - 1, None]


def test_columns_of_the_table_may_have_other_names(session: Session) -> None:
    """The frame keeps the regulator's spelling, the table has lower case."""
    session.execute("TRUNCATE texts")
    arrow.write(session, "texts", pl.DataFrame({"row_id": [7], "XM": ["李四"]}), columns=["n", "b"])
    assert session.execute("SELECT * FROM texts").fetchall() == [(7, None, "李四", None)]


def test_parameters_are_values_and_never_sql(session: Session) -> None:
    """A parameter that looks like SQL selects nothing."""
    session.execute("TRUNCATE texts")
    arrow.write(session, "texts", pl.DataFrame({"n": [1, 2], "a": ["x", "y"]}))
    query = "SELECT n FROM texts WHERE a = %(a)s OR n = ANY(%(n)s) ORDER BY n"
    schema = {"row_id": pl.Int64}
    assert arrow.read(session, query, {"a": "x", "n": [2]}, schema=schema)["row_id"].to_list() == [1, 2]
    assert arrow.read(session, query, {"a": "' OR true --", "n": []}, schema=schema).is_empty()


def test_nothing_is_an_empty_frame_with_its_columns(session: Session) -> None:
    """A query without rows gives the schema; no frames write nothing."""
    got = arrow.read(session, "SELECT n, a FROM texts WHERE false", schema={"n": pl.Int64, "a": pl.String})
    assert got.schema == {"n": pl.Int64, "a": pl.String}
    assert got.is_empty()
    assert arrow.write(session, "texts", []) == 0
    assert arrow.write(session, "texts", got) == 0


def test_large_tables_come_in_blocks_of_bounded_rows(session: Session) -> None:
    """A reader of blocks never holds more than a block."""
    session.execute("TRUNCATE texts")
    rows = 2 * arrow.BLOCK_ROWS_MAX + 1
    arrow.write(session, "texts", (pl.DataFrame({"n": range(start, start + 100)}) for start in range(0, rows, 100)))
    blocks = arrow.read_blocks(session, "SELECT n FROM texts ORDER BY n LIMIT 10001", schema={"n": pl.Int64})
    heights = [block.height for block in blocks]
    assert sum(heights) == rows
    assert max(heights) == arrow.BLOCK_ROWS_MAX


def test_wide_rows_come_in_blocks_of_bounded_bytes(session: Session) -> None:
    """Documents of a megabyte do not gather to thousands of rows."""
    session.execute("TRUNCATE single")
    session.execute("INSERT INTO single SELECT repeat('文', 400000) FROM generate_series(1, 60)")
    blocks = list(arrow.read_blocks(session, "SELECT a, a FROM single", schema={"a": pl.String, "b": pl.String}))
    limit = arrow.BLOCK_BYTES_MAX + 250 * 2_400_000
    assert all(block.estimated_size() <= limit for block in blocks)
    assert sum(block.height for block in blocks) == 60


def test_rows_and_other_statements_share_one_transaction(database: str) -> None:
    """Rolling back takes back the copied rows together with what was executed beside them."""
    with server.connect(database, application="test") as connection:
        connection.execute("CREATE TABLE ledger (batch bigint)")
        connection.execute("CREATE TABLE rows (n bigint)")
        connection.commit()
        arrow.write(connection, "public.rows", pl.DataFrame({"n": [1, 2, 3]}))
        connection.execute("INSERT INTO ledger VALUES (1)")
        assert arrow.read(connection, "SELECT n FROM rows", schema={"n": pl.Int64}).height == 3
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM rows").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM ledger").fetchone() == (0,)


def test_an_abandoned_reader_leaves_the_connection_usable_after_rollback(database: str) -> None:
    """Closing the iterator of blocks ends the copy."""
    with server.connect(database, application="test") as connection:
        blocks = arrow.read_blocks(connection, "SELECT generate_series(1, 100000)", schema={"n": pl.Int64})
        next(blocks)
        blocks.close()
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_refused_value_is_not_quoted_in_the_error(session: Session) -> None:
    """A text that the server cannot hold fails the copy, and the product's error does not repeat it."""
    frame = pl.DataFrame({"n": [1], "a": ["张三\x00"]})
    with pytest.raises(QianzhiError) as caught, server.translated("The rows were not stored"):
        arrow.write(session, "texts", frame)
    assert not isinstance(caught.value, RetryableError)
    assert "张三" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert isinstance(caught.value.__context__, psycopg.Error)
    assert caught.value.__suppress_context__
