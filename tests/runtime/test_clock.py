from __future__ import annotations

from datetime import UTC, datetime, timedelta

from qianzhi.runtime import clock


def test_now_is_aware_and_in_utc() -> None:
    """The present instant has the zone UTC."""
    assert clock.now().utcoffset() == timedelta(0)


def test_local_now_is_eight_hours_ahead_and_without_zone() -> None:
    """The wall time of Asia/Shanghai is UTC and eight hours, whatever the zone of the machine."""
    local = clock.local_now()

    assert local.tzinfo is None
    assert abs(local - timedelta(hours=8) - clock.now().replace(tzinfo=None)) < timedelta(seconds=5)


def test_local_knows_the_summer_time_of_1986() -> None:
    """In the summers of 1986 to 1991 the clocks were one hour further ahead."""
    assert clock.local(datetime(1986, 7, 1, 12, tzinfo=UTC)) == datetime(1986, 7, 1, 21)
    assert clock.local(datetime(2026, 7, 1, 12, tzinfo=UTC)) == datetime(2026, 7, 1, 20)
