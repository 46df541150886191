"""When a failed delivery is tried again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling pauses, each drawn from its upper half, so that many gateways do not come back at one instant."""

    first_seconds: float = 1.0
    max_seconds: float = 600.0

    def pause_seconds(self, failed_count: int, random: Random) -> float:
        """Return the pause after the given number of failures in a row (at least one)."""
        ceiling = min(self.max_seconds, self.first_seconds * 2.0 ** min(failed_count - 1, 32))
        return random.uniform(ceiling / 2, ceiling)
