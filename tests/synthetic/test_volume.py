from __future__ import annotations

from datetime import date
from time import process_time
from typing import TYPE_CHECKING

import polars as pl
import pytest
from tests.synthetic.conftest import INSTITUTION
from tests.synthetic.verdict import Desk

from qianzhi.errors import ConfigurationError
from qianzhi.synthetic import Day, play
from qianzhi.synthetic.volume import Orders, Parents, orders, parents, treatment_orders, treatment_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic import Plan, Played

ON = date(2026, 11, 19)
ROWS_PER_SECOND_MIN = 200_000


@pytest.fixture(scope="module")
def whom(good: Played) -> Parents:
    """The people and doctors of the good hospital."""
    return parents(good, ON)


@pytest.fixture(scope="module")
def prescribing(good: Played) -> Orders:
    """The doctors of the good hospital who prescribe, and what they prescribe."""
    return orders(good, ON)


def test_volume_of_orders_is_valid_under_every_rule(good: Played, prescribing: Orders, guangdong: Regulator) -> None:
    """Prescriptions lead to no finding, neither by themselves nor against their visits, persons and staff."""
    desk = Desk(guangdong, INSTITUTION)
    for day in good.days:
        desk.judge(day)
    frames = {name: frame.clear() for name, frame in good.days[-1].frames.items()}
    frames["treatment_record"] = pl.concat(treatment_records(5_000, prescribing.whom, 1, ON))
    frames["treatment_order"] = pl.concat(treatment_orders(5_000, prescribing, 1, ON, frame_rows=2_000))
    assert frames["treatment_order"].columns == good.days[-1].frames["treatment_order"].columns
    assert frames["treatment_order"].n_unique(["CFMXMC", "CFKLYSGH"]) > 20
    assert desk.judge(Day(ON, frames, ())) == []


def test_volume_is_valid_under_every_rule(good: Played, whom: Parents, guangdong: Regulator) -> None:
    """Visits by the thousand lead to no finding, neither by themselves nor against persons, staff and departments."""
    desk = Desk(guangdong, INSTITUTION)
    for day in good.days:
        desk.judge(day)
    frames = {name: frame.clear() for name, frame in good.days[-1].frames.items()}
    for frame in treatment_records(30_000, whom, 1, ON, frame_rows=10_000):
        frames["treatment_record"] = frame
        assert desk.judge(Day(ON, frames, ())) == []


def test_volume_is_decided_by_its_seed_and_not_by_its_frames(whom: Parents) -> None:
    """Equal seeds give equal rows however they are cut; another seed gives other ones."""
    whole = pl.concat(treatment_records(1000, whom, 7, ON))
    assert whole.equals(pl.concat(treatment_records(1000, whom, 7, ON, frame_rows=64)))
    assert not whole.equals(pl.concat(treatment_records(1000, whom, 8, ON)))


def test_volume_is_spread(whom: Parents) -> None:
    """Visit numbers are unique; people, doctors and hours of the day all come about equally often."""
    frame = pl.concat(treatment_records(50_000, whom, 3, ON))
    assert frame["MZH"].is_unique().all()
    for column in ("KH", "JZRQSJ"):
        assert frame[column].n_unique() > min(whom.people.height, 30_000) * 0.9
    hours = frame["JZRQSJ"].str.slice(11, 2).value_counts()["count"]
    assert hours.len() == 14
    assert hours.min() > 0.9 * 50_000 / 14  # type: ignore[operator]
    assert frame["YZYSGH"].n_unique() > 10
    assert set(frame.dtypes) == {pl.String}


def test_volume_is_fast(whom: Parents) -> None:
    """A fifth of a million rows a second at the least, so that measurements do not wait for their rows."""
    rows = 400_000
    began = process_time()  # what others do meanwhile on a busy machine does not count
    made = sum(frame.height for frame in treatment_records(rows, whom, 5, ON))
    assert made == rows
    assert rows / (process_time() - began) > ROWS_PER_SECOND_MIN


def test_volume_needs_children_and_adults(plan_of: Callable[..., Plan], guangdong: Regulator) -> None:
    """A hospital with a single person is refused."""
    with pytest.raises(ConfigurationError):
        parents(play(plan_of(people=1, days=1), guangdong), ON)
