from __future__ import annotations

from datetime import datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.gateway.schedule import due_cut_off, is_quiet
from qianzhi.specs.model import Schedule

NIGHT = Schedule(cut_off=time(2), cycle=time(3))
EVENING = Schedule(cut_off=time(23), cycle=time(0, 30))  # pushing stops before midnight, the cycle begins after it
AT_ONCE = Schedule(cut_off=time(2), cycle=time(2))
MIDNIGHT = Schedule(cut_off=time(0), cycle=time(0))
SCHEDULES = st.builds(Schedule, cut_off=st.times(), cycle=st.times())
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1))


def on(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """Return a time of November 2026."""
    return datetime(2026, 11, day, hour, minute, second)


@pytest.mark.parametrize(
    ("now", "schedule", "cut_off"),
    [
        (on(20, 2, 59, 59), NIGHT, on(19, 2)),
        (on(20, 3), NIGHT, on(20, 2)),
        (on(20, 23, 59, 59), NIGHT, on(20, 2)),
        (on(21), NIGHT, on(20, 2)),
        (on(20, 0, 29), EVENING, on(18, 23)),
        (on(20, 0, 30), EVENING, on(19, 23)),
        (on(20, 23, 30), EVENING, on(19, 23)),
        (on(20, 2), AT_ONCE, on(20, 2)),
        (on(20, 1, 59, 59), AT_ONCE, on(19, 2)),
        (on(20), MIDNIGHT, on(20)),
        (on(19, 23, 59, 59), MIDNIGHT, on(19)),
        (datetime(2027, 1, 1, 1), NIGHT, datetime(2026, 12, 31, 2)),
    ],
)
def test_the_newest_cut_off_whose_cycle_has_begun_is_due(now: datetime, schedule: Schedule, cut_off: datetime) -> None:
    """Around the cut-off, the beginning of the cycle, midnight and the new year."""
    assert due_cut_off(now, schedule, None) == cut_off


def test_a_cut_off_is_due_once() -> None:
    """From the beginning of its cycle until it is worked through, and not again before the next night."""
    assert due_cut_off(on(20, 3), NIGHT, on(19, 2)) == on(20, 2)
    assert due_cut_off(on(20, 3, 1), NIGHT, on(20, 2)) is None
    assert due_cut_off(on(21, 2, 59), NIGHT, on(20, 2)) is None
    assert due_cut_off(on(21, 3), NIGHT, on(20, 2)) == on(21, 2)


def test_after_a_downtime_of_days_one_cycle_runs() -> None:
    """The newest cut-off takes what the missed ones would have taken."""
    assert due_cut_off(on(20, 9), NIGHT, on(12, 2)) == on(20, 2)
    assert due_cut_off(on(20, 9), NIGHT, on(20, 2)) is None


@pytest.mark.parametrize("back", [timedelta(minutes=1), timedelta(hours=1), timedelta(hours=20), timedelta(days=1)])
def test_a_clock_that_jumps_back_finds_its_cut_off_done(back: timedelta) -> None:
    """The cycle of this morning does not run again."""
    assert due_cut_off(on(20, 3, 5) - back, NIGHT, on(20, 2)) is None


def test_a_clock_that_jumps_ahead_runs_one_cycle() -> None:
    """The cut-off of the day that it shows, once."""
    ahead = datetime(2027, 11, 20, 9)
    assert due_cut_off(ahead, NIGHT, on(20, 2)) == datetime(2027, 11, 20, 2)
    assert due_cut_off(ahead, NIGHT, datetime(2027, 11, 20, 2)) is None


def test_a_clock_that_was_far_ahead_does_not_silence_the_nights_that_follow() -> None:
    """When it is set right, a cut-off of next year does not count as worked through."""
    assert due_cut_off(on(21, 3), NIGHT, datetime(2027, 11, 20, 2)) == on(21, 2)


@given(SCHEDULES, INSTANTS)
def test_a_cut_off_lies_in_the_day_before_its_cycle(schedule: Schedule, now: datetime) -> None:
    """It is never in the future, is the schedule's time of day, and its cycle began within the last day."""
    cut_off = due_cut_off(now, schedule, None)
    assert cut_off is not None
    assert cut_off.time() == schedule.cut_off
    began = next(
        began
        for days in range(3)
        if (began := datetime.combine(now.date() - timedelta(days=days), schedule.cycle)) <= now
    )
    assert began - timedelta(days=1) < cut_off <= began <= now


@given(SCHEDULES, st.lists(INSTANTS, min_size=1, max_size=20))
def test_the_cut_offs_worked_through_never_go_back(schedule: Schedule, ticks: list[datetime]) -> None:
    """Ticks at any times, with any gaps: each cut-off is worked through once, in order."""
    last: datetime | None = None
    for now in sorted(ticks):
        due = due_cut_off(now, schedule, last)
        if due is not None:
            assert last is None or due > last
            last = due
        assert due_cut_off(now, schedule, last) is None


@pytest.mark.parametrize(
    ("at", "begin", "end", "quiet"),
    [
        (time(4), time(4), time(6, 30), True),
        (time(6, 29, 59), time(4), time(6, 30), True),
        (time(6, 30), time(4), time(6, 30), False),
        (time(3, 59), time(4), time(6, 30), False),
        (time(23), time(22), time(1), True),
        (time(0, 59), time(22), time(1), True),
        (time(1), time(22), time(1), False),
        (time(12), time(12), time(12), False),
    ],
)
def test_quiet_hours_begin_and_end(at: time, begin: time, end: time, quiet: bool) -> None:
    """They may go over midnight; the end is no part of them."""
    assert is_quiet(at, begin, end) is quiet
