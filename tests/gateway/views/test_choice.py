from __future__ import annotations

from datetime import UTC, date, datetime

from qianzhi.gateway.views.choice import instants


def test_days_begin_and_end_at_midnight() -> None:
    """The last day is wanted whole."""
    since, until = instants(date(2026, 11, 1), date(2026, 11, 30), UTC)
    assert (since, until) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    assert instants(None, None, UTC) == (None, None)


def test_the_last_of_all_days_is_no_bound() -> None:
    """A date field of a browser offers it, and there is none after it."""
    assert instants(None, date(9999, 12, 31), UTC) == (None, None)
