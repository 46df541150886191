from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checks.tiny import AS_OF, GOOD, VISIT, make_dataset, make_field, make_raw, make_regulator, make_rule

from qianzhi.checks.checker import checker
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Callable

MAIN = {"ZDLX": "1"}


def _rows(found: list[tuple[object, ...]]) -> list[object]:
    return [row[0] for row in found if row[1] == "V61"]


def test_one_more_than_allowed_is_found_in_every_row_of_the_group(
    found: Callable[..., list[tuple[object, ...]]],
) -> None:
    """Two main diagnoses of one visit are both named; other visits and other diagnoses are not."""
    rows = ({"MZH": "A"} | MAIN, {"MZH": "B"} | MAIN, {"MZH": "A"}, {"MZH": "A"} | MAIN)

    assert _rows(found(*rows)) == [1, 4]


def test_rows_without_a_complete_key_belong_to_no_group(found: Callable[..., list[tuple[object, ...]]]) -> None:
    """What is missing is not equal to what is missing."""
    assert _rows(found({"MZH": None} | MAIN, {"MZH": " "} | MAIN, {"MZH": None} | MAIN)) == []


def test_batch_rules_can_be_left_out(visits: Callable[..., object]) -> None:
    """The kinds asked for decide which rules are evaluated."""
    raw = make_raw(VISIT, [GOOD | MAIN, GOOD | MAIN])
    judge = checker(make_regulator(VISIT), VISIT)

    assert judge.check(raw, as_of=AS_OF, kinds=frozenset({RuleKind.ROW})).findings.is_empty()
    assert judge.check(raw, as_of=AS_OF, kinds=frozenset({RuleKind.BATCH})).findings.height == 2


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["1", "2", None])), min_size=1, max_size=12),
    st.integers(1, 11),
)
def test_a_split_group_raises_no_false_alarm(rows: list[tuple[str, str | None]], cut: int) -> None:
    """What a part of a batch is blamed for, the whole batch is blamed for too."""
    judge = checker(make_regulator(VISIT), VISIT)
    raw = make_raw(VISIT, [GOOD | {"MZH": key, "ZDLX": kind} for key, kind in rows])

    whole = _rows(judge.check(raw, as_of=AS_OF).findings.select("row_id", "code").rows())
    parts = [
        _rows(judge.check(part, as_of=AS_OF).findings.select("row_id", "code").rows())
        for part in (raw[:cut], raw[cut:])
    ]

    mains = [place for place, (_, kind) in enumerate(rows, start=1) if kind == "1"]
    crowded = [place for place in mains if sum(rows[other - 1][0] == rows[place - 1][0] for other in mains) > 1]
    assert whole == crowded
    assert set(parts[0]) | set(parts[1]) <= set(whole)


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_the_limit_is_the_number_allowed(limit: int) -> None:
    """As many as the limit pass, one more fails them all."""
    dataset = make_dataset(
        [make_field("ZDLX", "AN1")],
        [make_rule("V68", f"at_most({limit}, ZDLX = '1', MZH)", kind=RuleKind.BATCH)],
    )
    judge = checker(make_regulator(dataset), dataset)
    common = {name: GOOD[name] for name in ("JGDM", "MZH", "CXBZ")} | MAIN

    allowed = judge.check(make_raw(dataset, [common] * limit), as_of=AS_OF)
    crowded = judge.check(make_raw(dataset, [common] * (limit + 1)), as_of=AS_OF)

    assert allowed.findings.is_empty()
    assert crowded.findings.height == limit + 1
