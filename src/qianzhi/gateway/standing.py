"""How a destination stands: where its rows are, its last cycle, and what waits for another attempt."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from qianzhi.gateway import reminder, report
from qianzhi.ledger import promises, tally
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from qianzhi.gateway.destination import Destination
    from qianzhi.gateway.reminder import Reminder
    from qianzhi.ledger.promises import Left
    from qianzhi.ledger.tally import Tally


@dataclass(frozen=True, slots=True)
class Standing:
    """What `gateway status` says of one destination."""

    regulator: str
    datasets: Mapping[str, Tally]
    last_cycle: dict[str, Any] | None  # kind, cut_off, started_at, finished_at
    running_cycle: dict[str, Any] | None  # kind, cut_off, started_at: under way, or broken off
    troubles: list[dict[str, Any]]
    images: Left  # of accepted rows, still to be sent
    reminder: Reminder | None = None  # errors that the check ahead of the cut-off found

    def as_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "regulator": self.regulator,
            "datasets": {dataset: each.in_full() for dataset, each in self.datasets.items()},
            "last_cycle": self.last_cycle,
            "running_cycle": self.running_cycle,
            "troubles": self.troubles,
            "images": asdict(self.images),
            "reminder": self.reminder.as_json() if self.reminder is not None else None,
        }


def standing(connection: psycopg.Connection, destination: Destination) -> Standing:
    """Return how a destination stands now."""
    return Standing(
        regulator=destination.regulator.key,
        datasets=report.tallies(connection, destination),
        last_cycle=tally.last_cycle(connection, destination.name),
        running_cycle=tally.running_cycle(connection, destination.name),
        troubles=tally.troubles(connection, destination.name),
        images=promises.left(connection, destination.name),
        reminder=reminder.standing(connection, destination.name, local_now=clock.local_now()),
    )
