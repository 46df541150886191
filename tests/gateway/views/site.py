"""A small site whose rows went the whole way: staged as us_pos, taken by cycles, judged by a hub in this process."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

import polars as pl
import psycopg
from psycopg import sql
from tests.faults import rows

from qianzhi import regulators
from qianzhi.db import migrate, roles, server
from qianzhi.db.server import connect, dsn_of_role
from qianzhi.errors import RetryableError, SenderError
from qianzhi.gateway import install
from qianzhi.gateway.backoff import Backoff
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.gateway.deliver import quarantine_findings
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.images import PathMap
from qianzhi.gateway.spool import Spool
from qianzhi.hub import blobs as hub_blobs
from qianzhi.hub import onboarding
from qianzhi.hub.bodies import Body
from qianzhi.hub.desk import Desk, open_desk
from qianzhi.hub.identity import Sender
from qianzhi.hub.reception import Answer
from qianzhi.ledger import arrivals, batches, findings, lanes, views
from qianzhi.ledger.batches import CycleKind, RowOutcome
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime import clock
from qianzhi.sealing import envelopes, receipts
from qianzhi.synthetic import Plan, images, insert, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from qianzhi.sealing.envelopes import Manifest
    from qianzhi.sealing.receipts import Receipt
    from qianzhi.synthetic import Played

REGULATOR = regulators.regulator("guangdong")
INSTITUTION = "440000000000000001"
HUB = "hub"
SENDER = "us_pos_of_views"
CORRECTED, QUARANTINED = "更正过的科室", "隔离的科室"
UNDER_WAY, WAITING = ["在途甲", "在途乙"], ["待上传甲", "待上传乙", "待上传丙"]
PASSWORD = "一个 long 'password'"  # noqa: S105  (of a role that the test drops)


@dataclass
class HubDoor:
    """A door to a hub in this process; the same rules, tables and receipts as over HTTPS."""

    desk: Desk
    sender: Sender
    answers: bool = True
    images_follow: bool = False

    def encode(self, manifest: Manifest, rows: pl.DataFrame) -> bytes:
        """Return what is sent."""
        return envelopes.seal(manifest, rows)

    def send(self, manifest: Manifest, sealed: bytes) -> tuple[Receipt, bytes]:
        """Let the hub judge a batch."""
        if not self.answers:
            raise RetryableError("Nobody answers.", remedy="Wait.")
        body = Body(sealed, envelopes.digest(sealed))
        answer = self.desk.reception.receive(self.sender, manifest.batch_id, body, envelopes.MEDIA_TYPE)
        if not isinstance(answer, Answer):
            raise SenderError(answer.detail, remedy=answer.remedy)
        return receipts.decode(answer.receipt), answer.receipt

    def offer(
        self, digest: bytes, media_type: str, content: bytes, *, goes_on: Callable[[], bool] = lambda: True
    ) -> bool:
        """Let the hub keep a blob in one piece."""
        assert goes_on()
        with self.desk.pool.connection() as session:
            body, institution_id = Body(content, digest), self.sender.institution_id
            return hub_blobs.store(session, self.desk.files, institution_id, body, media_type) is None

    def holds(self, _manifest: Manifest) -> bool:
        """Know of no batch."""
        return False

    def close(self) -> None:
        """Stay open."""


@dataclass
class Site:
    """The gateway's end of it."""

    workplace: Workplace
    destination: Destination
    door: HubDoor
    played: Played
    staged: dict[str, int] = field(default_factory=dict)

    @property
    def dsn(self) -> str:
        """The owner's address."""
        return self.workplace.dsn

    @property
    def sender_dsn(self) -> str:
        """The address of the hospital's account."""
        return dsn_of_role(self.dsn, SENDER, PASSWORD)

    def ask(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Ask the ledger itself."""
        with psycopg.connect(self.dsn) as session:
            return session.execute(statement, values).fetchall()

    def stage(self, frames: Mapping[str, pl.DataFrame]) -> dict[str, list[int]]:
        """Insert rows as the hospital does; return their ids."""
        with connect(self.sender_dsn, application="test") as session:
            ids = {name: insert.insert(session, f"{REGULATOR.key}.{name}", frame) for name, frame in frames.items()}
        for name, new in ids.items():
            self.staged[name] = self.staged.get(name, 0) + len(new)
        return ids

    def cycle(self) -> None:
        """Take every row as far as it goes."""
        with Dispatcher(self.workplace, self.destination) as dispatcher:
            dispatcher.advance(CycleKind.MANUAL, clock.now())


@contextmanager
def built(gateway_dsn: str, hub_dsn: str, folder: Path) -> Iterator[Site]:
    """Set both ends up, play three days into them and leave rows in every state."""
    migrate.upgrade(hub_dsn, "qianzhi.ledger", "hub")
    migrate.upgrade(gateway_dsn, "qianzhi.ledger", "gateway")
    for name in ("spool", "blobs", "hub", "images"):
        (folder / name).mkdir()
    with connect(gateway_dsn, application="test") as session:
        install.create_staging(session, REGULATOR)
        views.install(session, REGULATOR)
        lanes.register(session, HUB, REGULATOR, {})
        tables = [dataset.name for dataset in REGULATOR.datasets]
        roles.ensure_sender(session, SENDER, PASSWORD, schema=REGULATOR.key, tables=tables, views=views.VIEWS)
    on = clock.local_now().date()
    plan = Plan(40, 3, 5, on, INSTITUTION, folder / "images", fault_rate=0.3, rows_per_dataset=2)
    played = play(plan, REGULATOR)
    images.draw(folder / "images", played.members)
    images.spoil(folder / "images" / "spoilt.png")
    with server.pool(hub_dsn, application="test", size_max=6) as pool:
        desk = open_desk(pool, Blobs(folder / "hub"), [REGULATOR.key])
        with pool.connection() as session:
            added = onboarding.register(session, REGULATOR.key, INSTITUTION, "测试医院", actor="test")
        door = HubDoor(desk, Sender(added.institution_id, REGULATOR.key, INSTITUTION, added.state))
        site = Site(
            Workplace(
                gateway_dsn,
                Spool(folder / "spool"),
                Blobs(folder / "blobs"),
                PathMap({}),
                chunk_rows=50,
                pipeline_depth=2,
            ),
            Destination(HUB, REGULATOR, INSTITUTION, lambda: door, REGULATOR.schedule, backoff=Backoff(0.001, 0.002)),
            door,
            played,
        )
        for day in played.days[:2]:
            site.stage(day.frames)
            site.cycle()
        leave_in_every_state(site)
        yield site


def drop_sender(session: psycopg.Connection) -> None:
    """Drop the hospital's account, which the whole server has, unless another site still needs it and drops it then."""
    with suppress(psycopg.errors.DependentObjectsStillExist):
        session.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(SENDER)))


def leave_in_every_state(site: Site) -> None:
    """Correct a record that was rejected, seal rows that nobody takes, quarantine one, and leave some waiting."""
    site.stage({"contacts": rows.contacts([CORRECTED], FZRXM=None)})
    site.cycle()
    site.stage({"contacts": rows.contacts([CORRECTED])})
    site.cycle()
    site.stage({"contacts": rows.contacts([QUARANTINED])})
    (row_id,) = site.ask("SELECT max(id) FROM guangdong.contacts")[0]
    with connect(site.dsn, application="test") as session:
        (lane,) = [lane for lane in lanes.lanes_of(session, HUB, REGULATOR) if lane.dataset == "contacts"]
        none = pl.Series("row_id", [], dtype=pl.Int64)
        taken = arrivals.take(session, lane.lane_id, after=0, cut_off=clock.now(), leave=none, limit=1)
        assert taken["row_id"].to_list() == [row_id]
        batches.add_outcomes(session, lane.lane_id, taken["row_id"], RowOutcome.QUARANTINED)
        told = quarantine_findings(taken["row_id"])
        findings.record(session, lane.lane_id, told, "gateway", rows=taken, batch_id=None, now=clock.now())
    site.door.answers = False
    site.stage({"contacts": rows.contacts(UNDER_WAY)})
    site.cycle()
    site.stage({"contacts": rows.contacts(WAITING), "person": site.played.days[2].frames["person"]})
