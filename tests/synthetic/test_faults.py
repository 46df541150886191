from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from qianzhi.synthetic import play
from qianzhi.synthetic.faults import KINDS, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic import Plan, Played


def test_every_kind_is_planted_before_any_comes_again(faulty: Played) -> None:
    """With enough rows all kinds come, nearly equally often, and one fault never sits on another."""
    expected = [found for day in faulty.days for found in day.expected]
    counted = Counter(found.kind for found in expected)
    assert {kind.name for kind in KINDS} | {"parent_rejected"} == set(counted)
    assert len(KINDS) >= 40
    del counted["two_main_diagnoses"]  # two rows a time
    assert max(counted.values()) - min(counted.values()) <= 2
    places = [(found.on, found.dataset, found.position) for found in expected]
    assert len(set(places)) == len(places)


def test_the_rate_is_kept(good: Played, faulty: Played) -> None:
    """A rate of a fifth plants a faulty row for every fifth good one, each day."""
    for calm, wild in zip(good.days, faulty.days, strict=True):
        rows = sum(frame.height for frame in calm.frames.values())
        assert round(rows * 0.2) <= len(wild.expected) <= round(rows * 0.2) + 1
    assert not any(day.expected for day in good.days)


def test_expected_findings_name_the_row(faulty: Played, guangdong: Regulator) -> None:
    """Position and key of an expected finding are those of its row, and its field is one of the dataset."""
    for day in faulty.days:
        for found in day.expected:
            row = day.frames[found.dataset].row(found.position, named=True)
            assert {name: row[name] for name in guangdong.dataset(found.dataset).key} == found.key
            assert found.finding.field in row


def test_all_outcomes_occur(faulty: Played) -> None:
    """Rejected, warned and held rows are all among them, and only a warning lets a row pass."""
    findings = {found.finding for day in faulty.days for found in day.expected}
    assert {finding.outcome for finding in findings} == set(Outcome)
    assert all((finding.severity == "warning") == (finding.outcome is Outcome.WARNED) for finding in findings)


def test_a_held_child_waits_for_a_rejected_parent(faulty: Played) -> None:
    """The diagnosis of the kind child_of_rejected belongs to a visit of the kind parent_rejected, written before it."""
    seen = 0
    for day in faulty.days:
        parents = {
            found.key["MZH"]: day.frames["treatment_record"].row(found.position, named=True)
            for found in day.expected
            if found.kind == "parent_rejected"
        }
        for found in day.expected:
            if found.kind == "child_of_rejected":
                child = day.frames["treatment_diagnose"].row(found.position, named=True)
                assert parents[child["MZH"]]["KH"] == child["KH"]
                seen += 1
    assert seen


def test_a_day_without_visits_passes_over_what_it_cannot_plant(
    plan_of: Callable[..., Plan], guangdong: Regulator
) -> None:
    """Nothing is planted on records that a day does not have."""
    played = play(plan_of(people=1, days=1, fault_rate=0.5), guangdong)
    day = played.days[0]
    assert all(found.position < day.frames[found.dataset].height for found in day.expected)
