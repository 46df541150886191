"""Today at a glance: where the rows of each dataset are, the days before, and when the next cycle takes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from qianzhi.db.queries import load
from qianzhi.gateway.schedule import DAY, following
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    import psycopg

    from qianzhi.gateway.destination import Destination
    from qianzhi.specs.model import Schedule

_SQL = load("qianzhi.gateway.views", "today.sql")

DAYS_SHOWN: Final = 30


@dataclass(frozen=True, slots=True)
class DayOfDataset:
    """What happened to the rows of one dataset on one day, towards one destination."""

    on: date
    destination: str
    dataset: str
    staged: int = 0
    submitted: int = 0
    accepted: int = 0
    failed: int = 0  # rejected by the destination, or ended at the gateway
    delivered: int = 0  # of `submitted`: the destination has them and has said nothing yet
    ended: int = 0  # of `failed`: ended at the gateway, never sent


@dataclass(frozen=True, slots=True)
class DatasetNow:
    """One dataset towards one destination: its day so far, and what has no outcome now, of whatever day."""

    title: str
    regulator: str
    day: DayOfDataset
    held: int
    waiting: int  # for the next cycle
    under_way: int  # sent, or about to be
    delivered: int  # there, and nothing is said of them yet
    open_errors: int  # findings that reject and ask for a correction


@dataclass(frozen=True, slots=True)
class Due:
    """When a destination's next cycle takes rows; local times of Asia/Shanghai, without zone."""

    destination: str
    cut_off_at: datetime
    cycle_at: datetime
    seconds_to_cut_off: float


@dataclass(frozen=True, slots=True)
class Today:
    """The first page: datasets in the regulator's order, days ascending without a gap."""

    datasets: Sequence[DatasetNow]
    days: Sequence[DayOfDataset]
    due: Sequence[Due]

    @property
    def staged(self) -> int:
        """How many rows were staged today: each once, however many destinations it goes to."""
        return sum({(each.regulator, each.day.dataset): each.day.staged for each in self.datasets}.values())

    @property
    def open_errors(self) -> int:
        """How many findings ask for a correction before the cut-off."""
        return sum(dataset.open_errors for dataset in self.datasets)


def due(destination: str, schedule: Schedule, local_now: datetime) -> Due:
    """Return the next cut-off and the next cycle of a destination. Pure."""
    cut_off_at, cycle_at = (following(local_now, each) for each in (schedule.cut_off, schedule.cycle))
    return Due(destination, cut_off_at, cycle_at, (cut_off_at - local_now).total_seconds())


def today(
    connection: psycopg.Connection,
    destinations: Iterable[Destination],
    *,
    now: datetime,
    days: int = DAYS_SHOWN,
) -> Today:
    """Return what the first page shows, with the last `days` days, today included."""
    local_now = clock.local(now)
    dates = [local_now.date() - DAY * back for back in reversed(range(days))]
    standing: list[DatasetNow] = []
    series: list[DayOfDataset] = []
    ahead: list[Due] = []
    for destination in destinations:
        by_day = _days(connection, destination, dates)
        standing += _standing(connection, destination, by_day, dates[-1])
        series += [by_day[on, dataset.name] for on in dates for dataset in destination.regulator.datasets]
        ahead.append(due(destination.name, destination.schedule, local_now))
    return Today(standing, series, ahead)


def _days(
    connection: psycopg.Connection, destination: Destination, dates: Sequence[date]
) -> Mapping[tuple[date, str], DayOfDataset]:
    name, regulator = destination.name, destination.regulator
    since = datetime.combine(dates[0], datetime.min.time(), clock.LOCAL)
    parameters = {"destination": name, "regulator": regulator.key, "since_on": dates[0], "since": since}
    staged = {(on, dataset): count for on, dataset, count in connection.execute(_SQL.staged, parameters)}
    settled = {(on, dataset): said for on, dataset, *said in connection.execute(_SQL.settled, parameters)}
    return {
        (on, dataset.name): DayOfDataset(
            on,
            name,
            dataset.name,
            staged.get((on, dataset.name), 0),
            *settled.get((on, dataset.name), (0, 0, 0, 0, 0)),
        )
        for on in dates
        for dataset in regulator.datasets
    }


def _standing(
    connection: psycopg.Connection,
    destination: Destination,
    by_day: Mapping[tuple[date, str], DayOfDataset],
    on: date,
) -> list[DatasetNow]:
    found = {dataset: said for dataset, *said in connection.execute(_SQL.standing, {"destination": destination.name})}
    return [
        DatasetNow(dataset.title, destination.regulator.key, by_day[on, dataset.name], *found[dataset.name])
        for dataset in destination.regulator.datasets
        if dataset.name in found
    ]
