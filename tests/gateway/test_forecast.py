"""When a run will be over, against times worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.gateway.forecast import Experience, Line, Waiting, predict, throughput

NOON = datetime(2026, 11, 19, 4, tzinfo=UTC)
THREE = datetime(2026, 11, 19, 19, tzinfo=UTC)  # 03:00 in Guangdong
AT_ONCE = Line(2_000_000, round_trip_seconds=0.0)


def test_the_night_of_a_large_hospital_takes_longer_than_a_night() -> None:
    """50,000 records and 2 GB of images over the document's 2 Mb/s: 8,000 s for the bytes alone, and headers."""
    night = Waiting(rows={"treatment_record": 50_000}, image_count=10_000, image_bytes=2_000_000_000)
    told = predict(NOON, night, Experience({"treatment_record": 250.0}), AT_ONCE, begins_at=THREE)
    assert told.begins_at == THREE
    # 12.5 MB of records at 250,000 bytes a second: 50 s, and 5.5 % more for headers.
    assert (told.records_done_at - THREE).total_seconds() == pytest.approx(50 * 1.055, rel=0.01)
    # 8,000 s for the images, 20,000 requests of 700 bytes, all with headers.
    assert (told.ends_at - told.records_done_at).total_seconds() == pytest.approx((8000 + 56) * 1.055, rel=0.01)
    assert not told.is_measured


def test_round_trips_count_for_many_small_images() -> None:
    """Each is asked for and then sent: 0.1 s twice."""
    told = predict(
        NOON,
        Waiting(image_count=1000, image_bytes=1),
        Experience(),
        Line(10**9, round_trip_seconds=0.1),
        begins_at=THREE,
    )
    assert told.seconds == pytest.approx(200, rel=0.01)


def test_what_was_measured_goes_over_what_was_set() -> None:
    """The line carried half of what it is said to; its headers were on the way then too."""
    told = predict(
        NOON, Waiting(sealed_bytes=125_000_000), Experience(bytes_per_second=125_000), AT_ONCE, begins_at=NOON
    )
    assert told.seconds == pytest.approx(1000)
    assert told.is_measured


def test_a_run_that_should_have_begun_begins_now() -> None:
    """And nothing that waits takes no time."""
    told = predict(NOON, Waiting(), Experience(), AT_ONCE, begins_at=NOON - timedelta(hours=1))
    assert (told.begins_at, told.ends_at) == (NOON, NOON)


def test_attempts_that_share_the_line_share_its_time() -> None:
    """Three couriers at once, each for ten seconds: 3 MB in 10 s are 300,000 bytes a second; the pause is not busy."""
    together = [(NOON + timedelta(seconds=each), 10.0 - each, 1_000_000) for each in range(3)]
    assert throughput(together) == pytest.approx(300_000)
    later = [(NOON + timedelta(hours=1), 10.0, 3_000_000)]
    assert throughput([*later, *together]) == pytest.approx(300_000)


def test_little_tells_nothing() -> None:
    """Small batches show how fast the hub answers, and few bytes hardly anything."""
    assert throughput([]) is None
    assert throughput([(NOON, 1.0, 500_000)]) is None
    assert throughput([(NOON, 0.01, 60_000)] * 1000) is None


@given(
    more=st.integers(0, 10**9),
    rows=st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 10**6)),
    images=st.integers(0, 10**5),
)
def test_more_never_takes_less(more: int, rows: dict[str, int], images: int) -> None:
    """Of anything; and records are done before the run is."""
    base = Waiting(rows=rows, image_count=images, image_bytes=images * 1000)
    larger = Waiting(rows=rows, image_count=images, image_bytes=images * 1000 + more, sealed_bytes=more)
    first, second = (predict(NOON, each, Experience(), Line(2_000_000), begins_at=THREE) for each in (base, larger))
    assert first.begins_at <= first.records_done_at <= first.ends_at <= second.ends_at
