"""A plan played: the rows of every dataset and day, and what must be found on them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING

import polars as pl

from qianzhi.synthetic.faults import KINDS, Finding, Kind, Planted, keys_of
from qianzhi.synthetic.guangdong import Tables
from qianzhi.synthetic.hospital import Hospital
from qianzhi.synthetic.spares import Spares

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime

    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic.guangdong_resources import Row
    from qianzhi.synthetic.plan import Plan


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be found on one row: the row at `position` of the dataset's frame of day `on`."""

    kind: str
    on: date
    dataset: str
    position: int
    key: Mapping[str, str | None]
    finding: Finding


@dataclass(frozen=True, slots=True)
class Day:
    """
    The rows of one day, to be inserted before the cycle of the next morning.

    `frames`: for every dataset, parents first, String columns in the regulator's order, rows in the order of insertion.
    """

    on: date
    frames: Mapping[str, pl.DataFrame]
    expected: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class Played:
    """All days, and the staff numbers whose pictures must exist."""

    days: tuple[Day, ...]
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Written:
    """A row and the moment that places it."""

    at: datetime
    row: Row
    fault: Planted | None = None


def play(plan: Plan, regulator: Regulator) -> Played:
    """
    Play a plan: equal plans and editions give equal frames, and the good rows do not depend on the fault rate.

    Touches no disk: the pictures are drawn by `images.draw`.
    """
    hospital = Hospital(plan)
    for on in plan.dates:
        hospital.live(on)
    tables = Tables(regulator, hospital.institution, plan.images)
    sower = _Sower(hospital, tables)
    days = tuple(_day(on, hospital, tables, sower) for on in plan.dates)
    return Played(days, tuple(member.number for member in hospital.staff))


class _Sower:
    """Plants one kind of fault after the other, each kind once before any comes again."""

    def __init__(self, hospital: Hospital, tables: Tables) -> None:
        rng = Random(f"faults of {hospital.plan.seed}")  # noqa: S311  # made-up faults, no secrets
        self._spares = Spares(hospital, rng)
        self._tables = tables
        self._rate = hospital.plan.fault_rate
        self._kinds: Iterator[Kind] = cycle(rng.sample(KINDS, len(KINDS)))

    def sow(self, on: date, good: int) -> list[Planted]:
        """Return the faulty rows for a day with so many good ones."""
        wanted = round(good * self._rate)
        planted: list[Planted] = []
        for _ in range(wanted * 2):  # a kind that finds nothing to build on is passed over
            if len(planted) >= wanted:
                break
            planted += next(self._kinds).plant(self._spares, self._tables, on)
        return planted


def _day(on: date, hospital: Hospital, tables: Tables, sower: _Sower) -> Day:
    written: dict[str, list[_Written]] = {dataset.name: [] for dataset in tables.regulator.datasets}
    happenings = hospital.diary.on(on)
    for happening in happenings:
        written[happening.subject.subject].append(_Written(happening.at, tables.row(happening)))
    for planted in sower.sow(on, len(happenings)):
        written[planted.dataset].append(_Written(planted.at, planted.row, planted))
    frames, expected = {}, []
    for dataset in tables.regulator.datasets:
        entries = sorted(written[dataset.name], key=lambda entry: entry.at)
        frames[dataset.name] = _frame(tables.columns(dataset.name), [entry.row for entry in entries])
        expected += [
            Expected(fault.kind, on, dataset.name, position, keys_of(fault.row, dataset.key), fault.finding)
            for position, entry in enumerate(entries)
            if (fault := entry.fault) is not None
        ]
    return Day(on, frames, tuple(expected))


def _frame(columns: list[str], rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(
        {column: [row[column] for row in rows] for column in columns},
        schema=dict.fromkeys(columns, pl.String),
    )
