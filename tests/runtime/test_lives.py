from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qianzhi.runtime.lives import Backoff, Life, Phase, due

BACKOFF = Backoff(first_seconds=1, max_seconds=8, stable_seconds=60)


def test_what_ends_again_and_again_waits_twice_as_long_each_time_up_to_a_bound() -> None:
    """Pauses double from the first to the greatest."""
    life, now, pauses = Life(), 0.0, []
    for _ in range(6):
        life = life.started(now).became_ready(now).ended(now, BACKOFF)
        pauses.append(life.start_at - now)
        now = life.start_at

    assert pauses == [1, 2, 4, 8, 8, 8]


def test_what_was_up_for_long_enough_starts_again_at_once_as_after_a_first_failure() -> None:
    """A part that proved stable begins with the first pause."""
    life = Life(failures=5).started(100).became_ready(100)

    assert life.ended(159, BACKOFF).start_at == 159 + 8
    assert life.ended(160, BACKOFF).start_at == 160 + 1


def test_the_time_it_took_to_start_does_not_count_as_stable() -> None:
    """A part that starts for minutes and then ends was never up."""
    assert Life(failures=2).started(0).ended(600, BACKOFF).failures == 3


@given(st.integers(min_value=1, max_value=10_000))
def test_a_pause_is_within_its_bounds(failures: int) -> None:
    """However often a part failed, the pause is bounded."""
    assert 1 <= BACKOFF.pause(failures) <= 8


def test_a_part_starts_when_all_it_needs_is_up() -> None:
    """What is needed comes first; independent parts start together."""
    needs = {"database": (), "intake": ("database",), "watch": ("database",), "other": ()}
    lives = dict.fromkeys(needs, Life())

    assert due(lives, needs, now=0) == ["database", "other"]

    lives["database"] = lives["database"].started(0)
    assert due(lives, needs, now=0) == ["other"]

    lives["database"] = lives["database"].became_ready(1)
    assert due(lives, needs, now=1) == ["intake", "watch", "other"]


def test_a_part_that_keeps_failing_does_not_keep_others_down() -> None:
    """One part in its pause delays only what needs it."""
    needs = {"intake": (), "watch": (), "report": ("intake",)}
    lives = dict.fromkeys(needs, Life())
    lives["intake"] = lives["intake"].started(0).ended(0, BACKOFF)

    assert due(lives, needs, now=0.5) == ["watch"]
    assert due(lives, needs, now=1) == ["intake", "watch"]


def test_what_was_stopped_is_not_started_again() -> None:
    """A stopped part stays stopped."""
    life = Life().started(0).became_ready(0).stopped(1)

    assert life.phase is Phase.STOPPED
    assert due({"worker": life}, {"worker": ()}, now=1000) == []
