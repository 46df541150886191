"""What a supervisor does next with its parts: pure decisions over what they are and when they ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Phase(StrEnum):
    """Where a part is in its life."""

    DOWN = "down"  # to be started, not before `start_at`
    STARTING = "starting"  # started, not ready yet
    UP = "up"  # ready; what needs it may start
    STOPPED = "stopped"  # ended because it was asked to


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a part that ended by itself stays down: twice as long each time, until it was up for long enough."""

    first_seconds: float = 0.5
    max_seconds: float = 30.0
    stable_seconds: float = 60.0

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row."""
        doublings = min(failures - 1, 32)  # beyond, the power only grows without any use
        return min(self.first_seconds * 2.0**doublings, self.max_seconds)


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of one part; instants are monotonic seconds."""

    phase: Phase = Phase.DOWN
    since: float = 0.0
    start_at: float = 0.0
    failures: int = 0  # in a row

    def started(self, now: float) -> Life:
        """Return its life after it was started."""
        return replace(self, phase=Phase.STARTING, since=now)

    def became_ready(self, now: float) -> Life:
        """Return its life after it answered."""
        return replace(self, phase=Phase.UP, since=now)

    def ended(self, now: float, backoff: Backoff) -> Life:
        """Return its life after it ended by itself."""
        was_stable = self.phase is Phase.UP and now - self.since >= backoff.stable_seconds
        failures = 1 if was_stable else self.failures + 1
        return Life(Phase.DOWN, since=now, start_at=now + backoff.pause(failures), failures=failures)

    def stopped(self, now: float) -> Life:
        """Return its life after it was stopped."""
        return replace(self, phase=Phase.STOPPED, since=now)


def due(lives: Mapping[str, Life], needs: Mapping[str, Sequence[str]], now: float) -> list[str]:
    """Return the parts to start now: those that are down, have waited, and whose needs are all up."""
    return [
        name
        for name, life in lives.items()
        if life.phase is Phase.DOWN
        and now >= life.start_at
        and all(lives[needed].phase is Phase.UP for needed in needs[name])
    ]
