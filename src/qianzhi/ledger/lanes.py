"""Lanes: one dataset towards one destination, the unit of order and of locking."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from qianzhi.db.queries import load
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg

    from qianzhi.specs.model import Regulator

_SQL = load("qianzhi.ledger", "lanes.sql")
LOCK_LOOK_SECONDS = 0.1
_LOCK_SPACE = 0x716C  # "ql": keeps lane locks apart from every other advisory lock of the database


class Mode(StrEnum):
    """When the rows of a lane go."""

    NIGHTLY = "nightly"  # with the cycle
    REALTIME = "realtime"  # as they arrive
    OFF = "off"  # not at all: arrivals are not even noted; the backstop finds them later


@dataclass(frozen=True, slots=True)
class Lane:
    """One dataset towards one destination."""

    lane_id: int
    destination_id: int
    regulator: str
    dataset: str
    mode: Mode


def register(connection: psycopg.Connection, name: str, regulator: Regulator, modes: Mapping[str, Mode]) -> None:
    """Register a destination and a lane for each dataset of its regulator. Safe to repeat; modes may change."""
    connection.execute(_SQL.add_destination, {"name": name, "regulator": regulator.key})
    for dataset in regulator.datasets:
        mode = modes.get(dataset.name, Mode.NIGHTLY)
        connection.execute(_SQL.add_lane, {"name": name, "dataset": dataset.name, "mode": mode.value})


def lanes_of(connection: psycopg.Connection, name: str, regulator: Regulator) -> list[Lane]:
    """Return a destination's lanes, parents before the datasets that refer to them."""
    order = {dataset.name: position for position, dataset in enumerate(regulator.datasets)}
    found = map(_lane, connection.execute(_SQL.lanes, {"name": name}).fetchall())
    return sorted((lane for lane in found if lane.dataset in order), key=lambda lane: order[lane.dataset])


def every(connection: psycopg.Connection) -> list[Lane]:
    """Return the lanes of all destinations."""
    return [_lane(row) for row in connection.execute(_SQL.every).fetchall()]


@contextmanager
def locked(connection: psycopg.Connection, lane: Lane, *, patience_seconds: float = 0.0) -> Iterator[bool]:
    """
    Yield whether this session is now the one worker of the lane; let go at the end.

    Waits so long for another worker to let go. Whoever holds a lane never waits for a second one but in the
    order of the lanes, so that two cannot wait for each other.
    """
    parameters = {"space": _LOCK_SPACE, "lane_id": lane.lane_id}
    until = clock.monotonic() + patience_seconds
    while not _is_locked(connection, parameters):
        if clock.monotonic() >= until:
            yield False
            return
        clock.sleep(LOCK_LOOK_SECONDS)
    try:
        yield True
    finally:
        if not connection.closed:
            connection.rollback()
            connection.execute(_SQL.unlock, parameters)
            connection.commit()


@contextmanager
def every_locked(connection: psycopg.Connection) -> Iterator[bool]:
    """Yield whether this session is now the one worker of every lane, so that no cycle is under way anywhere."""
    with ExitStack() as stack:
        yield all(stack.enter_context(locked(connection, lane)) for lane in every(connection))


def _lane(row: Sequence[Any]) -> Lane:
    lane_id, destination_id, regulator, dataset, mode = row
    return Lane(lane_id, destination_id, regulator, dataset, Mode(mode))


def _is_locked(connection: psycopg.Connection, parameters: Mapping[str, int]) -> bool:
    row = connection.execute(_SQL.lock, parameters).fetchone()
    connection.commit()
    return bool(row and row[0])
