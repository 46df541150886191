from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest
from tests.checks.tiny import (
    AS_OF,
    GOOD,
    PERSON,
    VISIT,
    make_dataset,
    make_raw,
    make_regulator,
    make_rule,
)

from qianzhi.checks import checker as checker_module
from qianzhi.checks.checker import checker
from qianzhi.checks.findings import SCHEMA
from qianzhi.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.checks.checker import Checked


def test_every_kind_of_finding_is_made_at_once(checked: Callable[..., Checked]) -> None:
    """Structure, rows and batch are judged together; findings name row, code, class, field, raw value, severity."""
    findings = checked(
        {"XM": None},
        {"JZRQSJ": "2026-11-19 10:00", "JZJSSJ": " 2026-11-19 09:00 "},
        {"ZDLX": "1", "MZH": "B"},
        {"ZDLX": "1", "MZH": "B", "DJ": "1.5", "FYJL": "2", "ZJE": "3.02"},
        {"GMSBS": "T"},
    ).findings

    assert findings.schema == SCHEMA
    assert findings.rows() == [
        (1, "V01", "E01", "XM", None, None, "error"),
        (2, "V50", "E10", "JZJSSJ", " 2026-11-19 09:00 ", None, "warning"),
        (3, "V61", "E11", "ZDLX", "1", None, "warning"),
        (4, "V61", "E11", "ZDLX", "1", None, "warning"),
        (4, "V80", "E11", "ZJE", "3.02", None, "warning"),
        (5, "V72", "E11", "GMS", None, None, "warning"),
    ]


def test_an_empty_frame_is_checked(checked: Callable[..., Checked]) -> None:
    """No rows, no findings, all columns."""
    judged = checked()

    assert judged.findings.schema == SCHEMA
    assert judged.typed.columns == judged.raw.columns
    assert judged.typed.is_empty()


def test_a_value_that_does_not_parse_passes_the_rules(found: Callable[..., list[tuple[object, ...]]]) -> None:
    """It has its finding already, and is unknown to the rules."""
    assert found({"JZRQSJ": "2026-11-19 10:00", "JZJSSJ": "infinity"}) == [(1, "V02", "E03", "JZJSSJ")]


def test_now_is_what_is_passed_in() -> None:
    """A moment with a zone is the same moment in China; the clock of the machine has no say."""
    raw = make_raw(VISIT, [GOOD | {"JZRQSJ": "2030-01-01 08:04:00"}])
    judge = checker(make_regulator(PERSON, VISIT), VISIT)

    assert judge.check(raw, as_of=datetime(2030, 1, 1, 7, 0)).findings["code"].to_list() == ["V10"]
    assert judge.check(raw, as_of=datetime(2030, 1, 1, 8, 0)).findings.is_empty()
    assert judge.check(raw, as_of=datetime(2030, 1, 1, 0, 0, tzinfo=UTC)).findings.is_empty()


def test_a_reference_asks_nothing_where_its_exception_holds(checked: Callable[..., Checked]) -> None:
    """`unless` frees a row where it is true; unknown does not free it."""
    judge = checker(make_regulator(PERSON, VISIT), VISIT)
    judged = checked({"CXBZ": "1"}, {"CXBZ": "3"}, {"CXBZ": None})
    (reference,) = VISIT.references

    assert judge.applies(judged, reference, as_of=AS_OF).to_list() == [True, False, True]
    assert judge.applies(judged, replace(reference, code="V99"), as_of=AS_OF).to_list() == [True, True, True]


def test_a_bad_rule_does_not_compile() -> None:
    """A dataset with one bad rule, of whatever kind, has no checker."""
    for rule in (make_rule("V99", "count(MZH) > 1"),):
        dataset = make_dataset([], [rule])
        with pytest.raises(SpecError, match=r"Rule V99 of visit: COUNT\(MZH\) is not in the rule language"):
            checker(make_regulator(dataset), dataset)


def test_constant_rules_hold_for_every_row_or_for_none() -> None:
    """A rule that looks at no field still has a verdict for each row."""
    dataset = make_dataset(
        [], [make_rule("V97", "1 = 2"), make_rule("V98", "as_of > '2000-01-01'"), make_rule("V99", "NULL = 1")]
    )
    judge = checker(make_regulator(dataset), dataset)
    row = {name: GOOD[name] for name in ("JGDM", "MZH")}

    findings = judge.check(make_raw(dataset, [row, row]), as_of=AS_OF).findings

    assert findings.select("row_id", "code").rows() == [(1, "V97"), (2, "V97")]


def test_a_checker_is_compiled_once_for_a_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same digest gives the same checker, another digest another; the store is bounded."""
    monkeypatch.setattr(checker_module, "CHECKERS_MAX", 2)
    first, second, third = (make_regulator(PERSON, VISIT, digest=f"digest-{place}") for place in range(3))

    assert checker(first, VISIT) is checker(replace(first), VISIT)
    assert checker(first, VISIT) is not checker(first, PERSON)
    kept = checker(first, VISIT)
    checker(second, VISIT)
    checker(third, VISIT)
    assert len(checker_module._checkers) == 2
    assert checker(first, VISIT) is not kept
    unnamed = make_regulator(PERSON, VISIT)
    assert checker(unnamed, VISIT) is not checker(unnamed, VISIT)


def test_threads_share_a_checker(visits: Callable[..., pl.DataFrame]) -> None:
    """Many threads may check at once, and each gets its own verdict."""
    judge = checker(make_regulator(PERSON, VISIT, digest="threads"), VISIT)

    def wrong_rows(count: int) -> int:
        raw = visits(*[{"XM": None}] * count)
        return judge.check(raw, as_of=AS_OF).findings.height

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(wrong_rows, range(1, 40))) == list(range(1, 40))


def test_row_ids_need_not_count_from_one(visits: Callable[..., pl.DataFrame]) -> None:
    """A finding names the id of the row, not its place."""
    raw = visits({}, {"XM": None}, {}).with_columns(row_id=pl.Series([900, 17, 3]))

    findings = checker(make_regulator(PERSON, VISIT), VISIT).check(raw, as_of=AS_OF).findings

    assert findings["row_id"].to_list() == [17]


def test_a_frame_in_several_pieces_is_one_frame(visits: Callable[..., pl.DataFrame]) -> None:
    """Frames that were put together from parts have the same findings."""
    parts = [visits({"XM": None}), visits({}), visits({"GMS": "\x01"}, {"JZRQSJ": "20261119"})]
    raw = pl.concat(parts, rechunk=False).with_columns(row_id=pl.int_range(1, 5, dtype=pl.Int64))

    findings = checker(make_regulator(PERSON, VISIT), VISIT).check(raw, as_of=AS_OF).findings

    assert findings.select("row_id", "code").rows() == [(1, "V01"), (3, "V12")]


@pytest.mark.bench
def test_a_single_record_is_checked_in_well_under_ten_milliseconds(visits: Callable[..., pl.DataFrame]) -> None:
    """Real-time records ride one by one; counted in time of the processor, which neighbours do not spend."""
    judge = checker(make_regulator(PERSON, VISIT), VISIT)
    one = visits({})
    judge.check(one, as_of=AS_OF)

    took = []
    for _ in range(50):
        begun = time.process_time()
        judge.check(one, as_of=AS_OF)
        took.append(time.process_time() - begun)

    assert sorted(took)[25] < 0.010
