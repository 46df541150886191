"""Killing a gateway in front of an official machine, and taking the machine away: each row stands there once."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults import rows
from tests.gateway.official.test_delivery import cycle, stage, told

from qianzhi.gateway.cycle import Dispatcher
from qianzhi.ledger import tally
from qianzhi.ledger.batches import CycleKind
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from tests.gateway.official.machine import Official

    from qianzhi.gateway.destination import Destination, Workplace

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a process is killed there otherwise")

OFFICES = [f"office {number}" for number in range(8)]
ENDED_SECONDS_MAX = 60.0
# Where the process dies: a function of the product, and whether before or after its own work.
POINTS = {
    "rows inserted, transaction not noted": ("qianzhi.gateway.official.door", "LedgerJournal.note", "before"),
    "transaction noted, not committed": ("qianzhi.gateway.official.door", "LedgerJournal.note", "after"),
    "committed over there, nothing known here": ("qianzhi.gateway.official.door", "FrontDoor.send", "after"),
    "delivery entered, not committed": ("qianzhi.ledger.deliveries", "deliver", "after"),
    "delivery settled, spool not cleared": ("qianzhi.gateway.spool", "Spool.remove", "before"),
}


@dataclass(frozen=True, slots=True)
class Site:
    """What a process needs to run a cycle: no part of it is shared with this one."""

    dsn: str
    spool: Path
    blobs: Path
    machine: Any


@pytest.fixture
def site(small: Workplace, official: Official) -> Site:
    """The gateway under test, as another process gets it."""
    return Site(small.dsn, small.spool.folder, small.blobs.folder, official.machine())


def run_and_die(site: Site, module: str, name: str, when: str) -> None:
    """Run a cycle that ends by SIGKILL the second time that it comes to a point."""
    from dataclasses import replace

    from tests.gateway.conftest import REGULATOR
    from tests.gateway.official.conftest import INSTITUTION, OFFICIAL

    from qianzhi.gateway.backoff import Backoff
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.gateway.images import PathMap
    from qianzhi.gateway.official.door import FrontDoor, LedgerJournal
    from qianzhi.gateway.spool import Spool
    from qianzhi.ledger.blobs import Blobs

    plant(module, name, when)
    destination = Destination(
        OFFICIAL,
        REGULATOR,
        INSTITUTION,
        lambda: FrontDoor(site.machine, REGULATOR, LedgerJournal(site.dsn, OFFICIAL)),
        REGULATOR.schedule,
        backoff=Backoff(0.001, 0.002),
        withholds_errors=True,
    )
    workplace = Workplace(dsn=site.dsn, spool=Spool(site.spool), blobs=Blobs(site.blobs), paths=PathMap({}))
    with Dispatcher(replace(workplace, chunk_rows=3, pipeline_depth=1), destination) as dispatcher:
        dispatcher.advance(CycleKind.MANUAL, clock.now())


def plant(module: str, name: str, when: str) -> None:
    """Let a function of the product end its process the second time it is called."""
    *path, last = name.split(".")
    owner: Any = importlib.import_module(module)
    for part in path:
        owner = getattr(owner, part)
    real, calls = getattr(owner, last), iter(range(1000))

    def deadly(*given: Any, **named: Any) -> Any:
        is_second = next(calls) == 1
        if is_second and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*given, **named)
        if is_second:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, last, deadly)


@pytest.mark.parametrize("point", POINTS)
def test_killing_a_cycle_loses_and_doubles_nothing(
    small: Workplace, front: Destination, official: Official, ask: psycopg.Connection, site: Site, point: str
) -> None:
    """Whatever it was doing, the next cycle leaves each row over there exactly once, and says so."""
    stage(ask, "contacts", rows.contacts(OFFICES))
    running = multiprocessing.get_context("forkserver").Process(target=run_and_die, args=(site, *POINTS[point]))
    running.start()
    running.join(ENDED_SECONDS_MAX)
    assert running.exitcode == -signal.SIGKILL
    with Dispatcher(small, front) as dispatcher:
        assert dispatcher.backstop() == 0
        assert dispatcher.advance(CycleKind.MANUAL, clock.now()).postponed == frozenset()
    assert_once(official, ask)
    assert told(ask, front).delivered == len(OFFICES)
    assert list(small.spool.folder.iterdir()) == []


def test_a_machine_that_goes_away_in_mid_batch_gets_each_row_once(
    small: Workplace, front: Destination, official: Official, ask: psycopg.Connection
) -> None:
    """Its sessions end while a batch is on its way: the batch waits, and goes whole when the machine is back."""
    official.ask(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'"
    )
    official.ask(
        "CREATE TRIGGER die BEFORE INSERT ON contacts FOR EACH ROW WHEN (NEW.bm = 'office 4') EXECUTE FUNCTION die()"
    )
    stage(ask, "contacts", rows.contacts(OFFICES))
    assert cycle(small, front) == {"contacts"}
    assert (official.count("contacts"), told(ask, front).delivered) == (3, 3)
    (trouble,) = tally.troubles(ask, front.name)
    assert trouble["outcome"].startswith("RetryableError")
    official.ask("DROP TRIGGER die ON contacts")
    assert cycle(small, front) == frozenset()
    assert_once(official, ask)


def test_an_answer_to_the_commit_that_is_lost_doubles_nothing(
    small: Workplace,
    front: Destination,
    official: Official,
    ask: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows are there and nobody told us: the next attempt asks what became of the transaction."""
    from qianzhi.errors import RetryableError
    from qianzhi.gateway.official.door import FrontDoor

    real, lost = FrontDoor._insert, iter([True])

    def losing(self: FrontDoor, *given: Any) -> list[int]:
        found = real(self, *given)
        if next(lost, False):
            raise RetryableError("The answer was lost.", remedy="Ask again.")
        return found

    monkeypatch.setattr(FrontDoor, "_insert", losing)
    stage(ask, "contacts", rows.contacts(OFFICES))
    assert cycle(small, front) == frozenset()
    assert_once(official, ask)


def assert_once(official: Official, ask: psycopg.Connection) -> None:
    """Compare both sides: every office once over there, under the number that we know it by."""
    there = official.ask("SELECT id, bm FROM contacts ORDER BY id")
    assert sorted(office for _, office in there) == OFFICES
    known = ask.execute(
        "SELECT remote_id, bm FROM qianzhi.deliveries JOIN guangdong.contacts ON id = row_id ORDER BY 1"
    ).fetchall()
    assert known == there
    assert ask.execute("SELECT DISTINCT state::text FROM qianzhi.batches").fetchall() == [("delivered",)]
