"""A gateway restored to an older state, in front of a hub that has seen more: nothing doubled, nothing stuck."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl
import psycopg
import pytest
from PIL import Image
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from tests.faults import rows
from tests.gateway.conftest import HUB, REGULATOR
from tests.hub.server import Hub, answering

from qianzhi.gateway import report
from qianzhi.gateway.backoff import Backoff
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.porter import opened_porter
from qianzhi.gateway.spool import Spool
from qianzhi.ledger.batches import CycleKind
from qianzhi.regulators.guangdong.deliver import open_door
from qianzhi.runtime import clock
from qianzhi.synthetic import Plan, Played, play
from qianzhi.synthetic.insert import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import LiteralString

    from qianzhi.db.embedded import Cluster


@pytest.fixture(scope="module")
def hub(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that answers."""
    with answering(postgres, tmp_path_factory.mktemp("hub"), free_port()) as ready:
        yield ready


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A hospital whose rows are models."""
    plan = Plan(
        people=10,
        days=1,
        seed=3,
        last_on=clock.local_now().date() - timedelta(days=1),
        institution="440000000000000001",
        images=tmp_path_factory.mktemp("images"),
    )
    return play(plan, REGULATOR)


class Site:
    """A gateway of an institution of its own, which can be set back to what it was."""

    def __init__(self, postgres: Cluster, hub: Hub, workplace: Workplace, code: str, credential: str) -> None:
        self.code = code
        self.workplace = workplace
        self.is_cut = False
        self._postgres = postgres
        self._hub = hub
        self._credential = credential

    @property
    def destination(self) -> Destination:
        """The hub as this state of the gateway sends to it."""
        port = 9 if self.is_cut else self._hub.port
        return Destination(
            HUB,
            REGULATOR,
            self.code,
            lambda: open_door(f"https://127.0.0.1:{port}", lambda: self._credential, self._hub.tls),
            REGULATOR.schedule,
            backoff=Backoff(0.001, 0.002),
        )

    def stage(self, dataset: str, frame: pl.DataFrame) -> None:
        """Insert rows of the institution as hospital systems do."""
        with psycopg.connect(self.workplace.dsn) as session:
            insert(session, f"{REGULATOR.key}.{dataset}", frame.with_columns(JGDM=pl.lit(self.code)))

    def cycle(self) -> frozenset[str]:
        """Run a cycle; return the datasets that have to wait."""
        with Dispatcher(self.workplace, self.destination) as dispatcher:
            return dispatcher.advance(CycleKind.MANUAL, clock.now()).postponed

    @contextmanager
    def restored(self) -> Iterator[Site]:
        """Have the gateway as it is now, to go on with later: its database and its spool."""
        name = f"test_{uuid4().hex}"
        spool = self.workplace.spool.folder.with_name(name)
        shutil.copytree(self.workplace.spool.folder, spool)
        names = sql.Identifier(name), sql.Identifier(str(conninfo_to_dict(self.workplace.dsn)["dbname"]))
        with psycopg.connect(self._postgres.dsn(), autocommit=True) as session:
            session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
            again = replace(self.workplace, dsn=self._postgres.dsn(name), spool=Spool(spool))
            yield Site(self._postgres, self._hub, again, self.code, self._credential)
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))

    def tally(self, dataset: str) -> dict[str, int]:
        """Return where the rows of a dataset are."""
        with psycopg.connect(self.workplace.dsn) as session:
            return report.tallies(session, self.destination)[dataset].as_json()

    def codes(self) -> list[tuple[int, str]]:
        """Return which rows have which finding that asks for a correction."""
        with psycopg.connect(self.workplace.dsn) as session:
            found = report.findings_of(session, self.destination)
        return [(each["row_id"], each["code"]) for each in found if each["severity"] == "error"]

    def carry(self) -> int:
        """Send images that follow; return how many."""
        with opened_porter(self.workplace, self.destination) as porter:
            return porter.carry(lambda: True).sent_count

    def owed(self) -> int:
        """Return how many images the hub was promised and does not hold."""
        owed: LiteralString = (
            "SELECT count(*)::text FROM qianzhi.promised_images AS p JOIN qianzhi.institutions USING (institution_id)"
            " WHERE code = %s AND digest NOT IN (SELECT digest FROM qianzhi.blobs)"
        )
        return int(self.held_there(owed)[0][0])

    def held_there(self, query: LiteralString) -> list[tuple[str, ...]]:
        """Ask what the hub holds of the institution."""
        with psycopg.connect(self._hub.dsn) as session:
            return session.execute(query, (self.code,)).fetchall()


@pytest.fixture
def site(postgres: Cluster, hub: Hub, workplace: Workplace) -> Site:
    """A gateway that sends to the hub."""
    code = f"44{uuid4().int % 10**16:016d}"
    return Site(postgres, hub, workplace, code, hub.issue(code))


CONTACTS: LiteralString = "SELECT bm, lxdh FROM guangdong.current_contacts WHERE jgdm = %s ORDER BY bm"


def test_a_batch_that_was_sealed_is_answered_with_its_first_receipt(site: Site) -> None:
    """The hub knows it by its id and its bytes: nothing is judged twice, nothing is found."""
    site.is_cut = True
    site.stage("contacts", rows.contacts(["a", "b"]))
    assert site.cycle() == {"contacts"}
    with site.restored() as again:
        site.is_cut = False
        assert site.cycle() == again.cycle() == frozenset()
        assert [each.tally("contacts")["accepted"] for each in (site, again)] == [2, 2]
        assert again.codes() == []
        assert again.held_there("SELECT count(*)::text FROM guangdong.contacts WHERE jgdm = %s") == [("2",)]


def test_rows_that_come_again_are_repeats_and_what_follows_on_them_goes(site: Site) -> None:
    """The hub's word that it has the record counts: later changes are changes, and the record stands there once."""
    with site.restored() as again:
        office = rows.contacts(["a"], SJSCSJ=rows.moment(minutes=50))
        for each in (site, again):
            each.stage("contacts", office)
            assert each.cycle() == frozenset()
        assert again.codes() == [(1, "V21")]
        changed = rows.contacts(["a"], LXDH="020-11111111", CXBZ=rows.MODIFY, SJSCSJ=rows.moment(minutes=40))
        again.stage("contacts", changed)
        again.cycle()
        assert again.held_there(CONTACTS) == [("a", "020-11111111")]
        again.stage("contacts", rows.contacts(["a"], CXBZ=rows.REVOKE, SJSCSJ=rows.moment(minutes=30)))
        again.cycle()
        assert again.held_there(CONTACTS) == []
        assert (again.tally("contacts")["accepted"], again.codes()) == (2, [(1, "V21")])


def test_a_record_that_was_revoked_meanwhile_can_come_anew(site: Site) -> None:
    """A change of what the hub holds no longer is refused once; then the gateway knows, and sends it as new."""
    site.stage("contacts", rows.contacts(["a"], SJSCSJ=rows.moment(minutes=50)))
    site.cycle()
    with site.restored() as again:
        site.stage("contacts", rows.contacts(["a"], CXBZ=rows.REVOKE, SJSCSJ=rows.moment(minutes=40)))
        site.cycle()
        changed = rows.contacts(["a"], CXBZ=rows.MODIFY, SJSCSJ=rows.moment(minutes=30))
        for _ in range(2):
            again.stage("contacts", changed)
            again.cycle()
        assert [code for _, code in again.codes()] == ["V22"]
        assert [office for office, _ in again.held_there(CONTACTS)] == ["a"]


def test_a_child_does_not_wait_for_a_parent_that_the_hub_has(site: Site, played: Played) -> None:
    """A person that comes again is a repeat, and good enough for the visit that waited."""
    card, number = rows.label(), rows.label()
    person = rows.person(played, card)
    site.stage("treatment_record", rows.visit(played, number, KH=card))
    with site.restored() as again:
        site.stage("person", person)
        site.cycle()
        again.cycle()
        assert again.tally("treatment_record")["held"] == 1
        again.stage("person", person)
        again.cycle()
        assert again.tally("treatment_record")["held"] == 0
        visits = "SELECT count(*)::text FROM guangdong.treatment_record WHERE jgdm = %s"
        assert again.held_there(visits) == [("2",)]


def test_an_image_that_was_still_to_come_comes(site: Site, played: Played, tmp_path: Path) -> None:
    """The hub accepted a row and waits for its photo; the gateway has forgotten both, and sends it all the same."""
    photo = tmp_path / "photo.png"
    Image.new("RGB", (8, 8), "red").save(photo)
    day = played.days[0]
    faulty = {each.position for each in day.expected if each.dataset == "staff"}
    staff = day.frames["staff"].with_row_index().filter(~pl.col("index").is_in(faulty), pl.col("CXBZ") == rows.NEW)
    pictured = [pl.lit(str(photo)).alias(each.name) for each in REGULATOR.dataset("staff").fields if each.image]
    staff = staff.drop("index").head(1).with_columns(pictured)
    site.stage("department", day.frames["department"])
    site.cycle()
    with site.restored() as again:
        for each in (site, again):
            each.stage("staff", staff)
            each.cycle()
        assert "V21" in [code for _, code in again.codes()]
        assert (again.owed(), again.carry(), again.owed()) == (1, 1, 0)
