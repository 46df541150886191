from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from tests.gateway.conftest import REGULATOR, Answerer, stage, switch

from qianzhi.errors import OperatorError, RetryableError
from qianzhi.gateway import archive as archive_of
from qianzhi.gateway import parquet, report
from qianzhi.gateway.archive import Archivist
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.ledger import lanes
from qianzhi.ledger.archives import Archive
from qianzhi.ledger.batches import CycleKind
from qianzhi.ledger.lanes import Mode
from qianzhi.runtime import clock, keyfile
from qianzhi.runtime.keyfile import KeyFile

NOW = datetime(2026, 11, 20, 4, 30, tzinfo=clock.LOCAL)
DAYS = 31  # so that what was settled in September or before is due
SEPTEMBER, AUGUST, OCTOBER = (datetime(2026, month, 15, 3, tzinfo=clock.LOCAL) for month in (9, 8, 10))
# Here devices are no resource: they are the one dataset without a personal column.
WITH_DEVICES = replace(
    REGULATOR,
    datasets=tuple(replace(each, resource=None) if each.name == "device" else each for each in REGULATOR.datasets),
)

Make = Callable[..., Archivist]


@pytest.fixture
def make(workplace: Workplace, tmp_path: Path) -> Make:
    """Gives an archivist, with a key file or without."""

    def archivist(keys: KeyFile | None = None, *, days: int = DAYS) -> Archivist:
        return Archivist(workplace.dsn, tmp_path / "archive", [WITH_DEVICES], keys, staging_days=days)

    return archivist


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    """A key file."""
    keyfile.make(tmp_path / "key", now=NOW)
    return KeyFile(tmp_path / "key")


class House:
    """A gateway whose rows are settled when a test says."""

    def __init__(self, workplace: Workplace, destination: Destination, session: psycopg.Connection) -> None:
        self.workplace = workplace
        self.destination = destination
        self.session = session

    def settle(self, at: datetime, dataset: str = "person", count: int = 3) -> list[int]:
        """Stage rows, deliver them, and let that have been at an instant; return their ids."""
        before = self.newest(dataset)
        stage(self.session, dataset, count)
        self.deliver(at)
        return list(range(before + 1, before + count + 1))

    def deliver(self, at: datetime) -> None:
        """Let everything go that may, and let what was settled now have been settled at an instant."""
        begun_at = self.one("SELECT clock_timestamp()")
        with Dispatcher(self.workplace, self.destination) as dispatcher:
            dispatcher.advance(CycleKind.MANUAL, clock.now())
        for statement in (
            "UPDATE qianzhi.batches SET settled_at = %s WHERE settled_at >= %s",
            "UPDATE qianzhi.outcomes SET settled_at = %s WHERE settled_at >= %s",
        ):
            self.session.execute(statement, (at, begun_at - timedelta(seconds=1)))

    def newest(self, dataset: str) -> int:
        """Return the highest id that a row ever had."""
        known = self.session.execute("SELECT last_value, is_called FROM guangdong.%s_id_seq" % dataset).fetchone()  # noqa: UP031  (a name)  # type: ignore[arg-type]
        return int(known[0]) if known and known[1] else 0

    def staged(self, dataset: str = "person") -> list[int]:
        """Return the ids in a staging table."""
        statement = sql.SQL("SELECT id FROM {} ORDER BY id").format(sql.Identifier("guangdong", dataset))
        return [row_id for (row_id,) in self.session.execute(statement)]

    def one(self, statement: LiteralString) -> Any:
        """Return one value."""
        row = self.session.execute(statement).fetchone()
        return row[0] if row else None

    def tally(self, dataset: str = "person") -> Any:
        """Return where the rows of a dataset are."""
        return report.tallies(self.session, self.destination)[dataset]


@pytest.fixture
def house(workplace: Workplace, destination: Destination, ask: psycopg.Connection) -> House:
    """The gateway."""
    return House(workplace, destination, ask)


def run(archivist: Archivist) -> list[Archive]:
    """Archive all that is due."""
    made = []
    while (one := archivist.step(now=NOW)) is not None:
        made.append(one)
    return made


def test_settled_rows_of_old_months_leave_for_one_file_a_month(house: House, make: Make, tmp_path: Path) -> None:
    """The months are those in which rows were settled; younger rows and the present month stay."""
    august, september = house.settle(AUGUST), house.settle(SEPTEMBER, count=2)
    october, now = house.settle(OCTOBER), house.settle(NOW)
    expected = _table(house, august + september)

    made = run(make())

    assert [(each.dataset, f"{each.month:%Y-%m}", each.part, each.row_count) for each in made] == [
        ("person", "2026-08", 1, 3),
        ("person", "2026-09", 1, 2),
    ]
    assert house.staged() == october + now
    files = [tmp_path / "archive" / each.file for each in made]
    assert [path.name for path in files] == ["person.2026-08.parquet", "person.2026-09.parquet"]
    found = pl.concat(pl.read_parquet(path) for path in files)
    assert found.rows(named=True) == expected
    assert parquet.label_of(files[0]) == (parquet.Label("guangdong", "person", REGULATOR.edition, "2026-08", 1), None)
    assert make().listed() == made
    assert run(make()) == []


@given(st.datetimes(datetime(2024, 1, 1), datetime(2029, 1, 1)), st.integers(31, 500))
def test_what_is_archived_is_as_old_as_it_has_to_be(local_now: datetime, days: int) -> None:
    """Whatever the day: the newest month that goes ended long enough ago, so the present one is never touched."""
    now = local_now.replace(tzinfo=clock.LOCAL)
    ended_at = archive_of._begin(archive_of.month_of(now - timedelta(days=days)))
    assert timedelta(days=days) <= now - ended_at < timedelta(days=days + 31)
    assert ended_at.date() <= local_now.date().replace(day=1)


def test_tallies_count_archived_rows(house: House, make: Make) -> None:
    """What left the staging table was staged nevertheless, and the backstop misses none of it."""
    house.settle(SEPTEMBER)
    house.settle(NOW)
    before = house.tally()
    run(make())
    assert house.tally() == before
    assert before.is_accounted_for
    assert before.staged == 6
    with Dispatcher(house.workplace, house.destination) as dispatcher:
        assert dispatcher.backstop() == 0


def test_no_id_is_used_again(house: House, make: Make) -> None:
    """Also when a staging table is empty afterwards."""
    ids = house.settle(SEPTEMBER)
    run(make())
    assert house.staged() == []
    house.session.execute("VACUUM guangdong.person")
    assert house.settle(NOW) == [each + len(ids) for each in ids] == house.staged()


def test_a_row_that_is_not_settled_everywhere_stays(
    house: House, make: Make, answerer: Answerer, workplace: Workplace
) -> None:
    """Waiting, on the way, held, or quarantined; for one of the destinations or for one that was added later."""
    ids = house.settle(SEPTEMBER, count=6)
    on_the_way, waiting, held, quarantined, *free = ids
    answerer.answers = False
    stage(house.session, "person", 2)
    with Dispatcher(workplace, house.destination) as dispatcher:
        dispatcher.advance(CycleKind.MANUAL, clock.now())
    assert house.one("SELECT count(*) FROM qianzhi.batches WHERE state = 'sealed'") == 1
    lane = house.one("SELECT lane_id FROM qianzhi.lanes WHERE dataset = 'person'")
    house.session.execute(
        "UPDATE qianzhi.batches SET row_ids = row_ids + int8multirange(int8range(%s, %s, '[]')) WHERE state = 'sealed'",
        (on_the_way, on_the_way),
    )
    house.session.execute("INSERT INTO qianzhi.arrived VALUES (%s, %s, 0, now())", (lane, waiting))
    house.session.execute(
        "INSERT INTO qianzhi.held VALUES (%s, %s, 0, 0, 0, 'R01', 'KH', '', %s, 0, 0, 'x', now())", (lane, held, lane)
    )
    house.session.execute(
        "INSERT INTO qianzhi.outcomes VALUES (%s, %s, NULL, 'quarantined', %s)", (lane, quarantined, AUGUST)
    )
    with house.session.transaction():
        lanes.register(house.session, "other", REGULATOR, {})
    assert run(make()) == [], "the other destination has settled none of them"
    with house.session.transaction():
        lanes.register(house.session, "other", REGULATOR, dict.fromkeys([d.name for d in REGULATOR.datasets], Mode.OFF))
    (made,) = run(make())
    assert made.row_count == len(free)
    assert house.staged()[:4] == [on_the_way, waiting, held, quarantined]


def test_the_month_is_the_one_in_which_the_last_destination_settled(
    house: House, make: Make, destination: Destination
) -> None:
    """Two destinations, each with its own word on a row."""
    with house.session.transaction():
        lanes.register(house.session, "other", REGULATOR, {})
    house.settle(AUGUST)
    assert run(make()) == []
    other = Destination(
        "other", REGULATOR, "44", destination.open_door, REGULATOR.schedule, backoff=destination.backoff
    )
    House(house.workplace, other, house.session).deliver(SEPTEMBER)
    assert [f"{each.month:%Y-%m}" for each in run(make())] == ["2026-09"]


def test_what_people_keep_stays(house: House, make: Make) -> None:
    """Staff of years ago are corrected by a form that shows them."""
    house.settle(SEPTEMBER, "contacts")
    assert make().step(now=NOW) is None
    assert house.one("SELECT count(*) FROM guangdong.contacts") == 3


def test_a_dataset_that_is_submitted_nowhere_stays(house: House, make: Make) -> None:
    """Nobody has settled its rows."""
    stage(house.session, "person")
    switch(house.session, **{dataset.name: Mode.OFF for dataset in REGULATOR.datasets})
    assert run(make(days=31)) == []


def test_a_correction_of_an_archived_record_is_accepted(house: House, make: Make, answerer: Answerer) -> None:
    """The key states stay: a modification goes as one, a withdrawal is submitted, and children find their parent."""
    columns = ("44", "01", "7")
    house.session.execute("INSERT INTO guangdong.person (jgdm, klx, kh, cxbz) VALUES (%s, %s, %s, '1')", columns)
    house.deliver(SEPTEMBER)
    (row_id,) = house.staged()
    ((before, live),) = house.session.execute("SELECT row_id, live FROM qianzhi.key_states").fetchall()
    assert (before, live) == (row_id, True)
    run(make())
    assert house.staged() == []
    house.session.execute("INSERT INTO guangdong.person (jgdm, klx, kh, cxbz) VALUES (%s, %s, %s, '2')", columns)
    visit = "INSERT INTO guangdong.treatment_record (jgdm, klx, kh, mzh, cxbz) VALUES (%s, %s, %s, '1', '1')"
    house.session.execute(visit, columns)
    house.deliver(NOW)
    assert house.one("SELECT array_agg(live) FROM qianzhi.key_states") == [True, True]
    assert house.one("SELECT count(*) FROM qianzhi.held") == 0
    assert house.one("SELECT count(*) FROM qianzhi.findings WHERE code = 'V22'") == 0, "nobody took it for new"
    assert house.one("SELECT array_agg(kh) FROM guangdong.person") == ["7"]
    house.session.execute("INSERT INTO guangdong.person (jgdm, klx, kh, cxbz) VALUES (%s, %s, %s, '3')", columns)
    house.deliver(NOW)
    assert house.one("SELECT array_agg(live ORDER BY row_id DESC) FROM qianzhi.key_states") == [False, True]
    assert answerer.rows["person"] == 3
    assert house.tally().is_accounted_for


def test_many_rows_of_a_month_go_into_several_files(house: House, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is bounded; the parts are numbered."""
    house.settle(SEPTEMBER, count=7)
    monkeypatch.setattr(archive_of, "PART_ROWS_MAX", 3)
    made = run(make())
    assert [(each.part, each.row_count) for each in made] == [(1, 3), (2, 3), (3, 1)]
    assert [Path(each.file).name for each in made][1:] == ["person.2026-09.2.parquet", "person.2026-09.3.parquet"]
    for each in made:
        make().verify(each)


def test_columns_of_an_older_edition_are_archived_too(house: House, make: Make, keys: KeyFile, tmp_path: Path) -> None:
    """A staging table keeps them, so an archive does; as nobody knows what they say, they count as personal."""
    house.session.execute("ALTER TABLE guangdong.device ADD COLUMN gone text DEFAULT 'SECRETNAME'")
    house.settle(SEPTEMBER, "device")
    (made,) = run(make(keys))
    path = tmp_path / "archive" / made.file
    assert b"SECRETNAME" not in path.read_bytes()
    assert pl.concat(parquet.frames_of(path, keys))["gone"].to_list() == ["SECRETNAME"] * 3


@pytest.mark.parametrize("step", ["file written", "read back", "rows dropped"])
def test_a_process_that_is_killed_loses_nothing(house: House, make: Make, tmp_path: Path, step: str) -> None:
    """The rows stand in the table until the commit; the next process makes the same archive."""
    ids = house.settle(SEPTEMBER)
    if sys.platform == "win32":
        pytest.skip("there are no signals")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, step, house.workplace.dsn, str(tmp_path / "archive")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == -9
    assert house.staged() == ids
    assert make().listed() == []
    assert house.tally().is_accounted_for
    (made,) = run(make())
    make().verify(made)
    assert house.staged() == []
    assert [path.name for path in (tmp_path / "archive" / "guangdong").iterdir()] == ["person.2026-09.parquet"]


KILLED = f"""
import os, signal, sys
from datetime import datetime
from pathlib import Path
from qianzhi import regulators
from qianzhi.gateway import parquet, archive
from qianzhi.gateway.archive import Archivist

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

step, dsn, folder = sys.argv[1:]
if step == "file written":
    parquet.contents_of = die
if step == "read back":
    archive.archives.drop = die
if step == "rows dropped":
    archive.archives.record = die
archivist = Archivist(dsn, Path(folder), [regulators.regulator("guangdong")], None, staging_days={DAYS})
archivist.step(now=datetime.fromisoformat("{NOW.isoformat()}"))
"""


def test_a_file_that_is_not_what_was_written_drops_nothing(
    house: House, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Cut off on the disk, or with another value in it: refused, removed, and made anew the next time."""
    ids = house.settle(SEPTEMBER)
    write = parquet.write

    def cut_off(path: Path, *others: Any) -> Any:
        written = write(path, *others)
        path.write_bytes(path.read_bytes()[:-100])
        return written

    def changed(path: Path, frames: Any, *others: Any) -> Any:
        frames = [frame.with_columns(KH=pl.lit("other")) for frame in frames]
        write(path, frames, *others)
        return parquet.Contents(3, bytes(32))

    for damage in (cut_off, changed):
        monkeypatch.setattr(parquet, "write", damage)
        with pytest.raises(OperatorError):
            make().step(now=NOW)
        assert house.staged() == ids
        assert make().listed() == []
        assert list((tmp_path / "archive" / "guangdong").iterdir()) == []
    monkeypatch.undo()
    assert len(run(make())) == 1


def test_a_full_disk_drops_nothing(house: House, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is told in words, leaves no part of a file, and is made up for when there is room."""
    ids = house.settle(SEPTEMBER)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OperatorError, match="disk of the archive folder is full"):
            make().step(now=NOW)
    assert house.staged() == ids
    assert [path for path in (tmp_path / "archive").rglob("*") if path.is_file()] == []
    assert len(run(make())) == 1


def test_a_row_that_vanishes_meanwhile_fails_the_step(
    house: House, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is dropped is exactly what was read."""
    ids = house.settle(SEPTEMBER)
    contents_of = parquet.contents_of

    def meddle(*given: Any) -> Any:
        house.session.execute("DELETE FROM guangdong.person WHERE id = %s", (ids[0],))
        return contents_of(*given)

    monkeypatch.setattr(parquet, "contents_of", meddle)
    with pytest.raises((OperatorError, RetryableError)):
        make().step(now=NOW)
    assert house.staged() == ids[1:]
    assert make().listed() == []


def test_a_file_that_the_ledger_does_not_know_is_never_overwritten(house: House, make: Make, tmp_path: Path) -> None:
    """After the restore of an older database it may be the only copy of its rows."""
    house.settle(SEPTEMBER)
    (made,) = run(make())
    content = (tmp_path / "archive" / made.file).read_bytes()
    house.session.execute("DELETE FROM qianzhi.archives")
    house.settle(SEPTEMBER)
    with pytest.raises(OperatorError, match="rows of it are nowhere else"):
        make().step(now=NOW)
    assert (tmp_path / "archive" / made.file).read_bytes() == content


def test_a_file_is_kept_although_other_rows_got_the_ids_of_its_rows(house: House, make: Make, tmp_path: Path) -> None:
    """A restored database counts on from its own last id: what bears the ids of archived rows are other rows."""
    ids = house.settle(SEPTEMBER)
    (made,) = run(make())
    content = (tmp_path / "archive" / made.file).read_bytes()
    for statement in (
        "DELETE FROM qianzhi.archives",
        "ALTER SEQUENCE guangdong.person_id_seq RESTART",
        "TRUNCATE qianzhi.findings, qianzhi.outcomes, qianzhi.key_states",
        "DELETE FROM qianzhi.attempts",
        "DELETE FROM qianzhi.receipts",
        "DELETE FROM qianzhi.batches",
    ):
        house.session.execute(statement)
    keys = "jgdm, klx, kh"
    house.session.execute(
        f"INSERT INTO guangdong.person ({keys}) SELECT '44', '01', 'x' || n FROM generate_series(1, 3) AS n"
    )
    house.deliver(SEPTEMBER)
    assert house.staged() == ids
    with pytest.raises(OperatorError, match="rows of it are nowhere else"):
        make().step(now=NOW)
    assert (tmp_path / "archive" / made.file).read_bytes() == content
    assert house.staged() == ids


def test_two_archivists_are_not_at_work_at_once(house: House, make: Make) -> None:
    """The second is told to wait."""
    house.settle(SEPTEMBER)
    with make()._alone(), pytest.raises(RetryableError, match="archives already"):
        make().step(now=NOW)
    assert len(run(make())) == 1


def test_verifying_finds_a_damaged_archive(house: House, make: Make, tmp_path: Path) -> None:
    """A file that is gone, cut off, or another month's under its name."""
    house.settle(AUGUST)
    house.settle(SEPTEMBER)
    first, second = run(make())
    make().verify(first)
    path, other = (tmp_path / "archive" / each.file for each in (first, second))
    for content in (None, path.read_bytes()[:-1], other.read_bytes()):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(OperatorError, match=r"person\.2026-08\.parquet"):
            make().verify(first)
    make().verify(second)


def test_archives_are_encrypted_anew_when_asked(house: House, make: Make, keys: KeyFile, tmp_path: Path) -> None:
    """What was plain is encrypted, what an older version wrote is written under the newest; the rows are the same."""
    house.settle(AUGUST)
    house.settle(AUGUST, "device")
    run(make())
    house.settle(SEPTEMBER)
    run(make(keys))
    archivist = make(keys)
    rows = {each.file: _rows(archivist, each) for each in archivist.listed()}
    assert [each.key_id for each in archivist.listed() if each.dataset == "device"] == [None], "nothing is personal"
    assert (archivist.rewrite(), archivist.rewrite()) == (1, 0)
    keyfile.rotate(keys.path, now=NOW)
    assert (archivist.rewrite(), archivist.rewrite()) == (2, 0)
    for each in archivist.listed():
        archivist.verify(each)
        assert _rows(archivist, each) == rows[each.file]
        assert each.key_id == (None if each.dataset == "device" else keys.newest.key_id)
    assert not list((tmp_path / "archive").rglob("*.new"))


def test_encrypting_anew_survives_being_killed(
    house: House, make: Make, keys: KeyFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before the commit the old file counts, after it the new one, also while it has not taken the old one's name."""
    house.settle(SEPTEMBER)
    run(make())
    archivist = make(keys)
    replace = Path.replace

    def die(path: Path, target: Path) -> Any:
        if path.suffix == ".new":
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            archivist.rewrite()
    (made,) = archivist.listed()
    assert made.key_id == keys.newest.key_id
    archivist.verify(made)
    assert archivist.rewrite() == 0
    assert [path.name for path in (tmp_path / "archive" / "guangdong").iterdir()] == ["person.2026-09.parquet"]
    archivist.verify(made)


def test_without_the_key_nothing_is_archived(house: House, make: Make, keys: KeyFile) -> None:
    """A key file that is away stops archiving, and no row leaves."""
    ids = house.settle(SEPTEMBER)
    keys.path.unlink()
    with pytest.raises(OperatorError, match="key file"):
        make(keys).step(now=NOW)
    assert house.staged() == ids


def _table(house: House, ids: list[int]) -> list[dict[str, Any]]:
    names = [field.name for field in REGULATOR.dataset("person").fields]
    columns = sql.SQL(", ").join(sql.Identifier(name.lower()) for name in names)
    statement = sql.SQL("SELECT id, {} FROM guangdong.person WHERE id = ANY(%s) ORDER BY id").format(columns)
    return [dict(zip(["row_id", *names], row, strict=True)) for row in house.session.execute(statement, (ids,))]


def _rows(archivist: Archivist, archive: Archive) -> list[dict[str, Any]]:
    frames = parquet.frames_of(archivist.path(archive), archivist.keys)
    return pl.concat(frames).rows(named=True)
