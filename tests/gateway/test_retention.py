from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pydantic import ValidationError
from tests.gateway.conftest import REGULATOR, Answerer, stage
from tests.gateway.test_porter import stage_staff, submit

from qianzhi.errors import OperatorError
from qianzhi.gateway import retention
from qianzhi.gateway.archive import Archivist
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.porter import opened_porter
from qianzhi.gateway.retention import Keeper, clear_blobs
from qianzhi.gateway.worker import Chores, Worker
from qianzhi.ledger import lanes
from qianzhi.runtime import clock
from qianzhi.runtime.settings import Retention

QUIET = datetime(2026, 11, 20, 4, 30, tzinfo=clock.LOCAL)
DAY = timedelta(days=1)
LATER = clock.now() + DAY  # whatever is stored now was stored before that


@pytest.fixture
def archivist(workplace: Workplace, tmp_path: Path) -> Archivist:
    """An archivist without a key."""
    return Archivist(workplace.dsn, tmp_path / "archive", [REGULATOR], None, staging_days=31)


@pytest.fixture
def keeper(workplace: Workplace, archivist: Archivist, tmp_path: Path) -> Keeper:
    """A keeper with the shortest times."""
    said = Retention(staging_days=31, blob_days=31, log_days=31)
    return Keeper(workplace, archivist, tmp_path, said)


def blobs(workplace: Workplace) -> int:
    """Return how many images are kept."""
    return len([path for path in workplace.blobs.folder.rglob("*") if path.is_file()])


@pytest.mark.parametrize("follows", [True, False])
def test_an_image_stays_until_it_is_sent_and_old(
    workplace: Workplace,
    destination: Destination,
    answerer: Answerer,
    ask: psycopg.Connection,
    tmp_path: Path,
    follows: bool,
) -> None:
    """While a batch that names it is on its way, and while it is promised; then as long as images are kept."""
    answerer.images_follow = follows
    answerer.answers = False
    stage_staff(ask, tmp_path, "red")
    submit(workplace, destination)
    assert clear_blobs(workplace, before=LATER) == 0
    answerer.answers = True
    submit(workplace, destination)
    if follows:
        assert clear_blobs(workplace, before=LATER) == 0, "it is promised"
        with opened_porter(workplace, destination) as porter:
            assert porter.carry(lambda: True).sent_count == 1
    assert clear_blobs(workplace, before=clock.now() - DAY) == 0
    assert clear_blobs(workplace, before=LATER) == 1
    assert blobs(workplace) == 0


def test_an_image_that_another_part_keeps_is_not_removed(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection
) -> None:
    """What any table of the ledger names stays, also one that is made later."""
    digests = [workplace.blobs.put(content) for content in (b"a document", b"another")]
    ask.execute("INSERT INTO qianzhi.blobs VALUES (%s, 10, 'application/pdf')", (digests[0],))
    ask.execute("CREATE TABLE qianzhi.later (digest bytea)")
    ask.execute("INSERT INTO qianzhi.later VALUES (%s), (NULL)", (digests[1],))
    assert clear_blobs(workplace, before=LATER) == 0
    ask.execute("DROP TABLE qianzhi.later")
    assert clear_blobs(workplace, before=LATER) == 1
    assert [workplace.blobs.holds(each) for each in digests] == [True, False]


def test_images_are_left_alone_while_a_cycle_is_at_work(workplace: Workplace, ask: psycopg.Connection) -> None:
    """It may be about to name one."""
    workplace.blobs.put(b"image")
    with psycopg.connect(workplace.dsn) as session, lanes.locked(session, lanes.every(session)[0]):
        assert clear_blobs(workplace, before=LATER) is None
    assert clear_blobs(workplace, before=LATER) == 1


def test_a_batch_that_cannot_be_read_keeps_every_image(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection, tmp_path: Path
) -> None:
    """Nobody can say which ones it names."""
    answerer.answers = False
    answerer.images_follow = False
    stage_staff(ask, tmp_path, "red")
    submit(workplace, destination)
    for path in (tmp_path / "spool").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(OperatorError, match="has changed in the spool"):
        clear_blobs(workplace, before=LATER)
    assert blobs(workplace) == 1


def test_a_keeper_works_in_quiet_hours_a_step_at_a_time(
    keeper: Keeper, archivist: Archivist, workplace: Workplace, ask: psycopg.Connection, destination: Destination
) -> None:
    """Images and logs first, and an archive a tick, until nothing is left for the day."""
    for days in (93, 62):
        stage(ask, "person")
        submit(workplace, destination)
        settled_at = QUIET - days * DAY
        ask.execute("UPDATE qianzhi.batches SET settled_at = %s WHERE settled_at > %s", (settled_at, QUIET - DAY))
    keeper.tick(QUIET - timedelta(hours=1))
    counts = []
    for _ in range(5):
        counts.append(len(archivist.listed()))
        keeper.tick(QUIET)
    assert counts == [0, 1, 2, 2, 2]
    assert archivist.listed()[0].archived_at == QUIET


def test_a_batch_that_cannot_be_read_keeps_images_and_no_archive_waiting(
    keeper: Keeper,
    archivist: Archivist,
    workplace: Workplace,
    answerer: Answerer,
    ask: psycopg.Connection,
    destination: Destination,
) -> None:
    """What images it names nobody knows; the rows of old months are none of its own."""
    stage(ask, "person")
    submit(workplace, destination)
    ask.execute("UPDATE qianzhi.batches SET settled_at = %s", (QUIET - 62 * DAY,))
    workplace.blobs.put(b"an image")
    answerer.answers = False
    stage(ask, "department")
    submit(workplace, destination)
    (sealed,) = workplace.spool.folder.iterdir()
    sealed.unlink()
    with pytest.raises(OperatorError, match="missing from the spool"):
        keeper.tick(QUIET)
    assert (len(archivist.listed()), blobs(workplace)) == (1, 1)


def test_archiving_can_be_switched_off(
    workplace: Workplace, archivist: Archivist, ask: psycopg.Connection, destination: Destination, tmp_path: Path
) -> None:
    """Then every row stays in its staging table."""
    stage(ask, "person")
    submit(workplace, destination)
    ask.execute("UPDATE qianzhi.batches SET settled_at = %s", (QUIET - 900 * DAY,))
    keeper = Keeper(workplace, archivist, tmp_path, Retention(archive=False))
    for _ in range(3):
        keeper.tick(QUIET)
    assert archivist.listed() == []


@pytest.mark.parametrize("name", ["staging_days", "blob_days", "log_days"])
def test_the_month_that_the_document_asks_for_stays_in_any_case(name: str) -> None:
    """No setting makes data leave before 31 days."""
    Retention.model_validate({name: 31})
    with pytest.raises(ValidationError):
        Retention.model_validate({name: 30})


def test_old_logs_go_and_the_present_one_stays(keeper: Keeper, tmp_path: Path) -> None:
    """Only those that were set aside, by the time of their last entry."""
    for name, age in (("worker.log", 90), ("worker.log.1", 30), ("worker.log.2", 32), ("worker.log.lock", 90)):
        (tmp_path / name).write_text("", encoding="utf-8")
        os.utime(tmp_path / name, ((QUIET - age * DAY).timestamp(),) * 2)
    keeper.tick(QUIET)
    assert sorted(path.name for path in tmp_path.glob("worker*")) == ["worker.log", "worker.log.1", "worker.log.lock"]


def test_a_worker_goes_on_when_its_keeper_fails(
    workplace: Workplace, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told in the log and tried again with the next tick."""
    calls = []

    def fail(_keeper: Keeper, now: datetime) -> None:
        calls.append(now)
        raise OperatorError("The disk is full.", remedy="Free space.") if len(calls) == 1 else ValueError

    monkeypatch.setattr(retention.Keeper, "tick", fail)
    worker = Worker(workplace, [], Chores(keeper=keeper))
    worker._keep()
    worker._keep()
    Worker(workplace, [])._keep()
    assert len(calls) == 2
