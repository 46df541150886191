from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from psycopg import sql
from tests.checks import reference, tiny

from qianzhi.checks.checker import checker
from qianzhi.checks.expressions import RowCheck, compile_check, evaluated
from qianzhi.checks.parse import parse
from qianzhi.errors import SpecError
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qianzhi.db.embedded import Cluster

REGULATOR = tiny.make_regulator(reference.DATASET)


@pytest.fixture(scope="module")
def second_opinion(postgres: Cluster) -> Iterator[psycopg.Connection]:
    """A connection to the reference rows in a database of their own."""
    name = f"reference_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        with psycopg.connect(postgres.dsn(name), autocommit=True) as connection:
            reference.load(connection, reference.rows())
            yield connection
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """The reference rows as compiled checks read them."""
    parsed = parse(reference.rows(), reference.DATASET)
    assert parsed.findings.is_empty()
    return evaluated(parsed.typed, parsed.raw, frozenset(), reference.AS_OF)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(expression=reference.conditions)
def test_a_compiled_rule_says_what_postgresql_says(
    expression: str, second_opinion: psycopg.Connection, frame: pl.DataFrame
) -> None:
    """True, false and unknown are the same in every row, for any condition of the rule language."""
    try:
        check = compile_check(expression, reference.DATASET, REGULATOR, RuleKind.ROW)
    except SpecError as error:
        assume("digits" not in error.what and "characters" not in error.what)
        raise
    assert isinstance(check, RowCheck)

    verdicts = frame.select("row_id", holds=check.holds)["holds"].to_list()

    assert verdicts == reference.verdicts(second_opinion, expression)


_ANYTHING = {
    "MZH": ["MZ1", None, " "],
    "CXBZ": ["1", "3", "9", None],
    "XM": ["张三", None, "张三李四王", "a\x01"],
    "XBDM": ["1", " 2", "3", "12", None],
    "CBLB": ["1", "01", "9", None],
    "GMSBS": ["T", "F", "t", None],
    "GMS": ["青霉素", "", None, "\ufffd"],
    "YB": ["510000", "5100", None],
    "CSRQ": ["1990-01-01", "19900101", "1990-02-30", None],
    "NLS": ["30", "三十", "3000", None],
    "JZRQSJ": ["2026-11-19 10:00:00", "2026-11-19T10:00", "2026-11-20 02:05:01", "infinity", None],
    "JZJSSJ": ["2026-11-19 09:59:59", "20261119110000", "1986-05-04 02:30:00", None],
    "DJ": ["1.25", "0", "1.23456", None],
    "FYJL": ["3", "-1", "１", None],
    "ZJE": ["3.75", "3.76", "3.7601", None],
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({name: st.sampled_from(values) for name, values in _ANYTHING.items()}),
        min_size=1,
        max_size=8,
    )
)
def test_a_frame_is_judged_as_its_rows_are_one_by_one(rows: Sequence[dict[str, str | None]]) -> None:
    """Neighbours change nothing: the findings of a frame are the findings of its rows, and so are its values."""
    judge = checker(tiny.make_regulator(tiny.PERSON, tiny.VISIT), tiny.VISIT)
    raw = tiny.make_raw(tiny.VISIT, [tiny.GOOD | row for row in rows])
    kinds = frozenset({RuleKind.ROW})

    together = judge.check(raw, as_of=tiny.AS_OF, kinds=kinds)
    alone = [judge.check(row, as_of=tiny.AS_OF, kinds=kinds) for row in raw.iter_slices(1)]

    assert together.findings.rows() == [finding for each in alone for finding in each.findings.rows()]
    assert together.typed.rows() == [each.typed.row(0) for each in alone]
