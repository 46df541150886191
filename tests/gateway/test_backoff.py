from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.gateway.backoff import Backoff


@pytest.mark.parametrize(
    ("failed_count", "ceiling"), [(1, 1), (2, 2), (3, 4), (5, 16), (10, 512), (11, 600), (1_000, 600), (10**9, 600)]
)
def test_pauses_double_up_to_the_longest(failed_count: int, ceiling: float) -> None:
    """Each lies in the upper half below its ceiling, however often it failed."""
    pauses = [Backoff().pause_seconds(failed_count, Random(seed)) for seed in range(200)]
    assert ceiling / 2 <= min(pauses) < ceiling * 0.55
    assert ceiling * 0.95 < max(pauses) <= ceiling


@given(st.integers(1, 10**6), st.floats(0.001, 100), st.floats(0.001, 10_000), st.integers())
def test_no_pause_is_longer_than_the_longest(failed_count: int, first: float, longest: float, seed: int) -> None:
    """Nor is any zero: a hub that is down is not hammered."""
    pause = Backoff(first, longest).pause_seconds(failed_count, Random(seed))
    assert 0 < pause <= longest


def test_two_gateways_come_back_at_different_times() -> None:
    """Chance spreads them."""
    assert Backoff().pause_seconds(5, Random(1)) != Backoff().pause_seconds(5, Random(2))
