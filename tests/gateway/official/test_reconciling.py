"""A gateway restored to an older state, in front of an official machine that has seen more: nothing goes twice."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg
import pytest
from tests.faults import rows
from tests.gateway.conftest import REGULATOR
from tests.gateway.official.conftest import INSTITUTION, OFFICIAL, copied
from tests.gateway.official.test_delivery import cycle, stage, told

from qianzhi.errors import RetryableError
from qianzhi.gateway.backoff import Backoff
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.official.door import FrontDoor, LedgerJournal
from qianzhi.gateway.official.reconciling import reconcile, unknown
from qianzhi.gateway.official.tables import Table
from qianzhi.gateway.spool import Spool
from qianzhi.ledger import audit, deliveries, tally

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.gateway.official.machine import Official

    from qianzhi.db.embedded import Cluster
    from qianzhi.gateway.official.door import Machine
    from qianzhi.gateway.official.horizon import Beyond
    from qianzhi.synthetic import Played

MANY = [f"m{number:03d}" for number in range(40)]


class Site:
    """A gateway in front of the official machine, which can be set back to what it was."""

    def __init__(self, postgres: Cluster, official: Official, workplace: Workplace, folder: Path) -> None:
        self.official = official
        self.machine: Machine = official.machine()
        self.workplace = workplace
        self._postgres = postgres
        self._folder = folder

    @property
    def front(self) -> Destination:
        """The destination as this state of the gateway has it."""
        dsn = self.workplace.dsn
        return Destination(
            OFFICIAL,
            REGULATOR,
            INSTITUTION,
            lambda: FrontDoor(self.machine, REGULATOR, LedgerJournal(dsn, OFFICIAL)),
            REGULATOR.schedule,
            backoff=Backoff(0.001, 0.002),
            withholds_errors=True,
        )

    @contextmanager
    def ask(self) -> Iterator[psycopg.Connection]:
        """Have a session to look into the gateway's database; it must be over when a backup is taken."""
        with psycopg.connect(self.workplace.dsn, autocommit=True) as session:
            yield session

    def stage(self, dataset: str, frame: pl.DataFrame) -> None:
        """Insert rows as hospital systems do."""
        with self.ask() as session:
            stage(session, dataset, frame)

    def cycle(self) -> frozenset[str]:
        """Run a cycle; return the datasets that have to wait."""
        return cycle(self.workplace, self.front)

    @contextmanager
    def restored(self) -> Iterator[Site]:
        """Have the gateway as it is now, to go on with later: its database and its spool."""
        name = psycopg.conninfo.conninfo_to_dict(self.workplace.dsn)["dbname"]
        spool = self._folder / "restored"
        shutil.copytree(self.workplace.spool.folder, spool)
        with copied(self._postgres, str(name)) as dsn:
            again = replace(self.workplace, dsn=dsn, spool=Spool(spool))
            yield Site(self._postgres, self.official, again, spool)

    def reconcile(self, *, may_be_ours: bool = True) -> dict[str, tuple[int, int]]:
        """Decide about what is unknown; return the first and the last number by dataset."""
        done = reconcile(
            self.workplace.dsn, OFFICIAL, self.machine, REGULATOR, may_be_ours=may_be_ours, actor="operator"
        )
        return {each.dataset: (each.first, each.last) for each in done}

    def unknown(self) -> list[Beyond]:
        """Return what nobody has decided about."""
        return list(unknown(self.workplace.dsn, OFFICIAL, self.machine, REGULATOR))

    def offices(self) -> list[str]:
        """Return what stands in the official table of contacts."""
        return [office for (office,) in self.official.ask("SELECT bm FROM contacts ORDER BY bm")]

    def unaccounted(self) -> list[tuple[int, str]]:
        """Return rows over there that the ledger does not know under their number and with their content."""
        with self.ask() as session:
            known = session.execute(
                "SELECT remote_id, bm FROM qianzhi.deliveries JOIN guangdong.contacts ON id = row_id"
            ).fetchall()
        return sorted(set(self.official.ask("SELECT id, bm FROM contacts")) - set(known))


@pytest.fixture
def site(postgres: Cluster, official: Official, small: Workplace, tmp_path: Path) -> Site:
    """A gateway whose batches have three rows."""
    return Site(postgres, official, small, tmp_path)


def test_nothing_goes_before_somebody_has_decided(site: Site) -> None:
    """What was delivered after the backup is neither sent again nor lost; other tables go on."""
    site.stage("contacts", rows.contacts(list("abcd")))
    with site.restored() as again:
        assert site.cycle() == frozenset()
        assert again.cycle() == {"contacts"}
        assert again.cycle() == {"contacts"}
        assert again.offices() == list("abcd")
        with again.ask() as session:
            (trouble,) = tally.troubles(session, OFFICIAL)
        assert "has 4 rows that the ledger here does not know (ID 1 to 4)" in trouble["outcome"]
        assert "qianzhi gateway results reconcile" in trouble["outcome"]
        assert [(each.dataset, each.row_count) for each in again.unknown()] == [("contacts", 4)]


def test_what_is_there_is_recorded_and_what_is_not_goes(site: Site) -> None:
    """A batch that was sealed, rows that waited, rows that are inserted again, and new ones: each is there once."""
    site.stage("contacts", rows.contacts(["before"]))
    assert site.cycle() == frozenset()
    sealed_at_backup(site, rows.contacts(["s1", "s2"]))
    site.stage("contacts", rows.contacts(["w1", "w2", "w3", "w4"]))
    lost = rows.contacts(["l1", "l2"])
    with site.restored() as again:
        site.stage("contacts", lost)
        assert site.cycle() == frozenset()
        again.stage("contacts", lost)
        again.stage("contacts", rows.contacts(["n1", "n2"]))
        assert again.cycle() == {"contacts"}
        assert again.reconcile() == {"contacts": (2, 9)}
        assert again.reconcile() == {}
        assert again.cycle() == frozenset()
        assert again.offices() == sorted(["before", "s1", "s2", "w1", "w2", "w3", "w4", "l1", "l2", "n1", "n2"])
        assert again.unaccounted() == []
        with again.ask() as session:
            seen = told(session, again.front)
            (entry,) = audit.latest(session, "gateway:rows:reconciled")
        assert (seen.delivered, seen.is_accounted_for, entry.actor) == (11, True, "operator")
        assert list(again.workplace.spool.folder.iterdir()) == []


def test_rows_that_are_inserted_again_later_are_recognised_too(site: Site) -> None:
    """Also with another time of filling in; a corrected record is another row, and goes."""
    lost = rows.contacts(["a", "b", "c"], TBRQSJ=rows.moment(hours=3))
    with site.restored() as again:
        site.stage("contacts", lost)
        site.cycle()
        assert again.cycle() == frozenset()
        again.stage("contacts", rows.contacts(["new"]))
        assert again.cycle() == {"contacts"}
        again.reconcile()
        assert again.cycle() == frozenset()
        again.stage("contacts", lost.head(2).with_columns(TBRQSJ="SJSCSJ"))
        again.stage("contacts", lost.tail(1).with_columns(LXDH=pl.col("LXDH").str.replace("00", "11")))
        assert again.cycle() == frozenset()
        assert again.offices() == ["a", "b", "c", "c", "new"]


def test_rows_that_say_the_same_are_given_one_each(site: Site) -> None:
    """A table that has a row twice explains two of ours, and no third one."""
    twice = rows.contacts(["a"])
    with site.restored() as again:
        for _ in range(2):
            site.stage("contacts", twice)
            site.cycle()
        for _ in range(3):
            again.stage("contacts", twice)
        assert again.cycle() == {"contacts"}
        again.reconcile()
        assert again.cycle() == frozenset()
        assert again.offices() == ["a"] * 3
        assert again.unaccounted() == []


def test_a_recognition_that_breaks_off_is_repeated(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch was told apart and nothing was settled yet: each row is recognised again, under the same number."""
    real, broken = deliveries.deliver, iter([True])

    def breaking(*given: Any) -> bool:
        done = real(*given)
        if next(broken, False):
            raise RetryableError("It broke off.", remedy="Go on.")
        return done

    lost = rows.contacts(["a", "b"])
    with site.restored() as again:
        site.stage("contacts", lost)
        site.cycle()
        again.stage("contacts", lost)
        again.stage("contacts", rows.contacts(["c"]))
        assert again.cycle() == {"contacts"}
        again.reconcile()
        monkeypatch.setattr(deliveries, "deliver", breaking)
        assert again.cycle() == frozenset()
        assert next(broken, None) is None
        assert (again.offices(), again.unaccounted()) == (["a", "b", "c"], [])


def test_only_numbers_that_somebody_decided_about_are_left_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is inserted afterwards has newer numbers: the comparison does not grow with what was delivered since."""
    real, left_out = Table.same, list[int]()

    def same(*given: Any, but_for: Sequence[int], **named: Any) -> pl.DataFrame:
        left_out.extend(but_for)
        return real(*given, but_for=but_for, **named)

    lost = rows.contacts(["a", "b"])
    with site.restored() as again:
        site.stage("contacts", lost)
        site.cycle()
        again.stage("contacts", lost)
        assert again.cycle() == {"contacts"}
        again.reconcile()
        assert again.cycle() == frozenset()
        monkeypatch.setattr(Table, "same", same)
        for office in ("c", "d"):
            again.stage("contacts", rows.contacts([office]))
            assert again.cycle() == frozenset()
        assert (sorted(left_out), again.offices()) == ([1, 1, 2, 2], ["a", "b", "c", "d"])


def test_a_child_follows_a_parent_that_was_recognised(site: Site, played: Played) -> None:
    """What was delivered in the time that is forgotten is good enough for what waits for it."""
    card, number = rows.label(), rows.label()
    person = rows.person(played, card)
    site.stage("treatment_record", rows.visit(played, number, KH=card))
    with site.restored() as again:
        site.stage("person", person)
        site.cycle()
        again.stage("person", person)
        assert again.cycle() == {"person"}
        assert set(again.reconcile()) == {"person", "treatment_record"}
        assert again.cycle() == frozenset()
        assert [again.official.count(each) for each in ("person", "treatment_record")] == [1, 1]
        with again.ask() as session:
            assert told(session, again.front, "treatment_record").delivered == 1


def test_rows_of_others_are_not_compared(site: Site) -> None:
    """A table that was filled before this gateway came: it is said once; what others insert later is asked again."""
    stranger(site, "a")
    site.stage("contacts", rows.contacts(["a"]))
    assert site.cycle() == {"contacts"}
    assert site.reconcile(may_be_ours=False) == {"contacts": (1, 1)}
    assert site.cycle() == frozenset()
    stranger(site, "x")
    site.stage("contacts", rows.contacts(["b"]))
    assert site.cycle() == {"contacts"}
    site.reconcile(may_be_ours=False)
    assert site.cycle() == frozenset()
    assert site.offices() == ["a", "a", "b", "x"]


def test_a_shared_table_stops_only_for_rows_of_ours(site: Site) -> None:
    """Where others insert as well, numbers tell nothing: a row that says what ours says does."""
    site.machine = replace(site.machine, shared=frozenset({"contacts"}))
    lost = rows.contacts(["a", "b"])
    with site.restored() as again:
        again.machine = site.machine
        stranger(site, "x")
        site.stage("contacts", lost)
        assert site.cycle() == frozenset()
        again.stage("contacts", lost)
        assert again.cycle() == {"contacts"}
        again.reconcile()
        assert again.cycle() == frozenset()
        assert again.offices() == ["a", "b", "x"]


def test_numbers_of_rows_that_were_taken_away_stop_a_delivery(site: Site) -> None:
    """The official uploader may empty its tables: the next number tells that rows were there that nobody knows."""
    site.stage("contacts", rows.contacts(["a"]))
    assert site.cycle() == frozenset()
    with site.restored() as again:
        site.stage("contacts", rows.contacts(MANY))
        assert site.cycle() == frozenset()
        site.official.ask("DELETE FROM contacts")
        again.stage("contacts", rows.contacts(["b"]))
        assert again.cycle() == {"contacts"}
        assert again.cycle() == {"contacts"}
        assert again.offices() == []
        with again.ask() as session:
            (trouble,) = tally.troubles(session, OFFICIAL)
        assert f"stand there no longer (ID 2 to {len(MANY) + 1})" in trouble["outcome"]
        assert [(each.first, each.last, each.row_count) for each in again.unknown()] == [(2, len(MANY) + 1, 0)]
        assert again.reconcile() == {"contacts": (2, len(MANY) + 1)}
        assert again.cycle() == frozenset()
        again.stage("contacts", rows.contacts(["c"]))
        assert again.cycle() == frozenset()
        assert again.offices() == ["b", "c"]


def test_numbers_that_attempts_of_ours_have_used_stop_nothing(site: Site) -> None:
    """A batch that the table refuses uses numbers, and so does one that breaks off; nobody is asked for that."""
    site.workplace = replace(site.workplace, chunk_rows=len(MANY), pipeline_depth=2)
    site.official.ask("ALTER TABLE contacts ADD CHECK (bm <> 'bad')")
    site.official.ask(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END'"
    )
    site.official.ask("CREATE TRIGGER die AFTER INSERT ON contacts FOR EACH STATEMENT EXECUTE FUNCTION die()")
    site.stage("contacts", rows.contacts(MANY))
    assert site.cycle() == {"contacts"}
    site.official.ask("DROP TRIGGER die ON contacts")
    more = [f"{office}+" for office in MANY]
    for offices in ([], ["bad", *more], ["last"]):
        site.stage("contacts", rows.contacts(offices))
        assert site.cycle() == frozenset()
    assert site.offices() == sorted([*MANY, *more, "last"])
    assert site.unaccounted() == []


def test_rows_that_are_refused_one_by_one_leave_known_what_went_before(site: Site) -> None:
    """However many attempts come to nothing, a row that was delivered before them is no unknown one."""
    site.official.ask("ALTER TABLE contacts ADD CHECK (left(bm, 1) <> 'm')")
    for offices in (["a"], MANY, ["b"]):
        site.stage("contacts", rows.contacts(offices))
        assert site.cycle() == frozenset()
    assert site.offices() == ["a", "b"]
    assert site.unaccounted() == []


def sealed_at_backup(site: Site, frame: pl.DataFrame) -> None:
    """Let rows be in a sealed batch that nobody has answered yet."""
    site.stage("contacts", frame)
    reached, site.machine = site.machine, replace(site.machine, dsn="host=127.0.0.1 port=9 dbname=x user=us_pos")
    assert site.cycle() == {"contacts"}
    site.machine = reached


def stranger(site: Site, office: str) -> None:
    """Let another system insert a row."""
    site.official.ask("INSERT INTO contacts (jgdm, bm) VALUES ('44', %s)", office)
