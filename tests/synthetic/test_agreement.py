from __future__ import annotations

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

from tests.synthetic.conftest import INSTITUTION
from tests.synthetic.verdict import Desk, Found

from qianzhi.synthetic import play

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic import Day, Plan, Played

AT_GATEWAY = {"V22"}  # a change of what was never accepted: refused by a regulator, sent as new by the gateway


def planted(day: Day) -> list[Found]:
    """Return what a day's plan says must be found."""
    return [
        Found(
            expected.dataset,
            expected.position,
            expected.finding.code,
            expected.finding.error_class,
            expected.finding.field,
            "error" if expected.finding.code in AT_GATEWAY else expected.finding.severity,
        )
        for expected in day.expected
    ]


def assert_agreement(played: Played, guangdong: Regulator) -> None:
    """Assert that on every day exactly what was planted is found."""
    desk = Desk(guangdong, INSTITUTION)
    for day in played.days:
        found, wanted = Counter(desk.judge(day)), Counter(planted(day))
        assert wanted - found == Counter(), f"{day.on}: planted and not found"
        assert found - wanted == Counter(), f"{day.on}: found and not planted"


def test_a_good_hospital_has_no_finding_at_all(good: Played, guangdong: Regulator) -> None:
    """Neither an error nor a warning arises on rows without a planted fault, whatever the rules look at."""
    assert_agreement(good, guangdong)


def test_exactly_the_planted_faults_are_found(faulty: Played, guangdong: Regulator) -> None:
    """Every planted fault leads to its one finding, and no other row has any."""
    assert_agreement(faulty, guangdong)


def test_other_seeds_agree_as_well(
    subtests: pytest.Subtests, plan_of: Callable[..., Plan], guangdong: Regulator
) -> None:
    """Rules and hospital agree for any seed, also for a small hospital and over the turn of a year."""
    for seed in range(2, 6):
        with subtests.test(seed=seed):
            plan = plan_of(people=25 * seed, seed=seed, fault_rate=0.3, last_on=date(2027, 1, seed), days=3)
            assert_agreement(play(plan, guangdong), guangdong)
