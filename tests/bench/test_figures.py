from __future__ import annotations

import pytest

from qianzhi.bench.figures import Report, Series, percentiles, ratio


def series(name: str, *values: float) -> Series:
    """A series of rows a second."""
    return Series(name, "rows/s", values)


@pytest.mark.parametrize(
    ("values", "middle"), [((7.0,), 7.0), ((9.0, 1.0, 5.0), 5.0), ((4.0, 1.0, 3.0, 2.0), 2.5), ((1.0, 1.0, 900.0), 1.0)]
)
def test_the_middle_is_the_median(values: tuple[float, ...], middle: float) -> None:
    """The middle value of an odd number, the mean of the two in the middle of an even one; an outlier moves nothing."""
    assert series("x", *values).middle == middle


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_medians() -> None:
    """Rounds 0.5, 0.25 and 0.4 give 0.4, although the medians 200 and 400 would give 0.5."""
    assert ratio(series("ours", 50, 200, 400), series("floor", 100, 800, 1000)) == pytest.approx(0.4)


def test_a_ratio_needs_both_sides_of_every_round() -> None:
    """A round that lacks one side is no round."""
    with pytest.raises(ValueError, match="zip"):
        ratio(series("ours", 1, 2), series("floor", 1))


def test_percentiles_interpolate_between_neighbours() -> None:
    """Of 0 … 100, p50, p95 and p99 are themselves; of 10 and 20 they lie between, by their share."""
    assert percentiles([float(value) for value in range(101)]) == pytest.approx({"p50": 50, "p95": 95, "p99": 99})
    assert percentiles([20.0, 10.0]) == pytest.approx({"p50": 15.0, "p95": 19.5, "p99": 19.9})


def test_a_report_says_each_goal_that_is_missed() -> None:
    """A ratio that equals its goal reaches it; one below is named with both numbers."""
    reached = Report("pipeline", [series("row", 1)], ratios={"row": 0.40}, goals={"row": 0.40})
    missed = Report(
        "pipeline", [series("all", 1)], ratios={"row": 0.41, "all": 0.2494}, goals={"row": 0.40, "all": 0.25}
    )
    assert reached.missed == []
    assert missed.missed == ["pipeline: the ratio all is 0.249, below 0.25."]


def test_a_bound_holds_for_every_value_and_not_for_the_median() -> None:
    """One round above the bound is a miss, whatever the others say."""
    report = Report("pipeline", [Series("hub peak", "MiB", [400, 601, 410])], bounds={"hub peak": 600})
    assert report.missed == ["pipeline: hub peak is 601 MiB, above 600."]
    assert Report("pipeline", [Series("hub peak", "MiB", [400, 600])], bounds={"hub peak": 600}).missed == []


def test_the_public_form_holds_every_value() -> None:
    """Figures, ratios, goals, bounds, facts and misses, in plain types."""
    report = Report("check", [series("x", 3, 1, 2)], ratios={"x": 0.5}, goals={"x": 0.6}, facts={"rows": 10})
    assert report.as_json() == {
        "bench": "check",
        "figures": {"x": {"unit": "rows/s", "median": 2, "values": [3, 1, 2]}},
        "ratios": {"x": 0.5},
        "goals": {"x": 0.6},
        "bounds": {},
        "facts": {"rows": 10},
        "missed": ["check: the ratio x is 0.500, below 0.6."],
    }
