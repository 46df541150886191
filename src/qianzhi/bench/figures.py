"""Figures of a measurement: values of several interleaved rounds, told by their median. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROUNDS_MIN = 5
"""With fewer rounds a median says little: good for trying a bench out, not for a claim."""


@dataclass(frozen=True, slots=True)
class Series:
    """One figure in every round."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def middle(self) -> float:
        """The median: one slow round on a noisy machine does not move it."""
        return median(self.values)

    def as_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {"unit": self.unit, "median": self.middle, "values": list(self.values)}


@dataclass(frozen=True, slots=True)
class Report:
    """
    What one bench says.

    `ratios` are what is claimed, `goals` what a ratio has to reach, `bounds` what no value of a figure may exceed;
    `facts` say under which conditions that was found.
    """

    name: str
    series: Sequence[Series]
    ratios: Mapping[str, float] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)
    bounds: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """One sentence for each goal that is not reached and each bound that is exceeded."""
        low = [
            f"{self.name}: the ratio {name} is {self.ratios[name]:.3f}, below {goal:g}."
            for name, goal in self.goals.items()
            if self.ratios[name] < goal
        ]
        high = [
            f"{self.name}: {each.name} is {max(each.values):,.0f} {each.unit}, above {self.bounds[each.name]:,.0f}."
            for each in self.series
            if each.name in self.bounds and max(each.values) > self.bounds[each.name]
        ]
        return low + high

    def as_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "bench": self.name,
            "figures": {each.name: each.as_json() for each in self.series},
            "ratios": dict(self.ratios),
            "goals": dict(self.goals),
            "bounds": dict(self.bounds),
            "facts": dict(self.facts),
            "missed": self.missed,
        }


def ratio(first: Series, second: Series) -> float:
    """Return the median of the round-by-round ratios: both sides of each were measured next to each other."""
    return median(one / other for one, other in zip(first.values, second.values, strict=True))


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99, interpolated between the values next to them; takes two values at least."""
    cuts = quantiles(values, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}
