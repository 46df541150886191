"""Which lanes a cycle takes, and when a cycle that was broken off is closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.gateway.conftest import HUB, Answerer, stage, switch

from qianzhi.gateway.backoff import Backoff
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.gateway.health import health
from qianzhi.gateway.worker import Worker
from qianzhi.ledger import batches, lanes, tally
from qianzhi.ledger.batches import CycleKind
from qianzhi.ledger.lanes import Mode
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home

if TYPE_CHECKING:
    from pathlib import Path

    from qianzhi.gateway.destination import Destination, Workplace


def waiting(session: psycopg.Connection) -> dict[str, int]:
    """Return how many rows wait in each lane."""
    rows = session.execute(
        "SELECT dataset, count(*) FROM qianzhi.arrived JOIN qianzhi.lanes USING (lane_id) GROUP BY 1"
    )
    return {str(dataset): int(count) for dataset, count in rows}


def test_a_lane_that_is_off_is_left_alone(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection
) -> None:
    """Neither what waited before, nor what the backstop would find, nor what is asked for by name goes."""
    stage(ask, "contacts", 2)
    switch(ask, contacts=Mode.OFF)
    stage(ask, "contacts")
    stage(ask, "person")
    with Dispatcher(workplace, destination) as dispatcher:
        assert "contacts" not in {lane.dataset for lane in dispatcher.lanes}
        assert dispatcher.backstop() == 0
        dispatcher.advance(CycleKind.MANUAL, clock.now())
        dispatcher.advance(CycleKind.MANUAL, clock.now(), datasets={"contacts"})
    assert answerer.rows == {"person": 1}
    assert waiting(ask) == {"contacts": 2}


def test_a_lane_that_is_on_again_goes_with_everything(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection
) -> None:
    """What came while it was off is found by the backstop."""
    switch(ask, contacts=Mode.OFF)
    stage(ask, "contacts", 3)
    switch(ask, contacts=Mode.NIGHTLY)
    with Dispatcher(workplace, destination) as dispatcher:
        assert dispatcher.backstop() == 3
        dispatcher.advance(CycleKind.MANUAL, clock.now())
    assert answerer.rows == {"contacts": 3}


def test_what_was_sealed_of_a_lane_that_is_off_now_stays(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection
) -> None:
    """It is sent when the lane is on again; until then nobody is told of a trouble."""
    answerer.answers = False
    stage(ask, "person")
    with Dispatcher(workplace, destination) as dispatcher:
        dispatcher.advance(CycleKind.MANUAL, clock.now())
    assert len(tally.troubles(ask, HUB)) == 1
    answerer.answers = True
    switch(ask, person=Mode.OFF)
    Worker(workplace, [destination]).resume(destination)
    assert (answerer.rows, tally.troubles(ask, HUB)) == ({}, [])
    switch(ask, person=Mode.NIGHTLY)
    Worker(workplace, [destination]).resume(destination)
    assert answerer.rows == {"person": 1}


def test_a_cycle_whose_batches_settle_later_is_closed_then(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection, tmp_path: Path
) -> None:
    """Until then health tells that it is under way; the one that was finished before stays the last."""
    home = Home(tmp_path / "home")
    home.create(End.GATEWAY)
    with Dispatcher(workplace, destination) as dispatcher:
        dispatcher.advance(CycleKind.MANUAL, clock.now())
        first = health(home, workplace, [destination])["destinations"][HUB]
        answerer.answers = False
        stage(ask, "person")
        dispatcher.advance(CycleKind.MANUAL, clock.now())
    between = health(home, workplace, [destination])["destinations"][HUB]
    answerer.answers = True
    Worker(workplace, [destination]).resume(destination)
    after = health(home, workplace, [destination])["destinations"][HUB]

    assert (first["last_cycle_finished_at"] is None, first["running_cycle_started_at"]) == (False, None)
    assert between["last_cycle_finished_at"] == first["last_cycle_finished_at"]
    assert between["running_cycle_started_at"] > first["last_cycle_finished_at"]
    assert after["running_cycle_started_at"] is None
    assert after["last_cycle_finished_at"] > between["running_cycle_started_at"]


@pytest.mark.parametrize("kind", [CycleKind.MANUAL, CycleKind.NIGHTLY])
def test_a_cycle_by_hand_waits_for_no_pause(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection, kind: CycleKind
) -> None:
    """Who has just put the cause right says that it is time; a clock that ticks waits for the next attempt."""
    patient = replace(destination, backoff=Backoff(3600, 7200))
    answerer.answers = False
    stage(ask, "person")
    with Dispatcher(workplace, patient) as dispatcher:
        for attempts in (1, 2):
            dispatcher.advance(CycleKind.MANUAL, clock.now())
            assert ask.execute("SELECT count(*) FROM qianzhi.attempts").fetchone() == (attempts,)
        answerer.answers = True
        done = dispatcher.advance(kind, clock.now())
    by_hand = kind is CycleKind.MANUAL
    assert (answerer.rows, bool(done.postponed)) == (({"person": 1}, False) if by_hand else ({}, True))


def open_cycle(session: psycopg.Connection, kind: CycleKind, *, days_ago: int = 0) -> int:
    """Begin a cycle and break it off."""
    now = clock.now()
    with session.transaction():
        opened = batches.open_cycle(
            session, 1, kind, cut_off=now - timedelta(days=days_ago), as_of=clock.local(now), now=now
        )
    assert opened.cycle_id is not None
    return opened.cycle_id


def unfinished(session: psycopg.Connection) -> set[int]:
    """Return the cycles that were not closed."""
    return {
        cycle_id for (cycle_id,) in session.execute("SELECT cycle_id FROM qianzhi.cycles WHERE finished_at IS NULL")
    }


@pytest.mark.parametrize("kind", [CycleKind.MANUAL, CycleKind.BACKFILL])
def test_a_cycle_that_was_killed_before_it_sealed_anything_is_closed(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection, kind: CycleKind
) -> None:
    """Nothing of it is open, so nobody need go on with it."""
    assert open_cycle(ask, kind) in unfinished(ask)
    Worker(workplace, [destination]).resume(destination)
    assert unfinished(ask) == set()


def test_a_cycle_that_may_be_under_way_is_not_closed(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection
) -> None:
    """Whoever is at a cycle has a lane."""
    cycle_id = open_cycle(ask, CycleKind.MANUAL)
    with psycopg.connect(workplace.dsn) as other:
        lane = lanes.lanes_of(other, HUB, destination.regulator)[3]
        with lanes.locked(other, lane) as is_ours:
            assert is_ours
            Worker(workplace, [destination]).resume(destination)
            assert unfinished(ask) == {cycle_id}
    Worker(workplace, [destination]).resume(destination)
    assert unfinished(ask) == set()


def test_a_nightly_cycle_is_closed_by_its_own_tick_or_by_a_later_one(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection
) -> None:
    """Rows that it has not taken are still to go with it, until a later one has taken them."""
    older, newer = open_cycle(ask, CycleKind.NIGHTLY, days_ago=2), open_cycle(ask, CycleKind.NIGHTLY, days_ago=1)
    worker = Worker(workplace, [destination])
    worker.resume(destination)
    assert unfinished(ask) == {older, newer}
    ask.execute("UPDATE qianzhi.cycles SET finished_at = now() WHERE cycle_id = %s", [newer])
    worker.resume(destination)
    assert unfinished(ask) == set()
