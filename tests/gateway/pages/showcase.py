"""A hospital that ran for a month, with something on every page: what pictures of the console are taken of."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl
import psycopg
from tests.faults import rows
from tests.gateway.evidence.conftest import SAMPLES
from tests.runtime import papers

from qianzhi import regulators
from qianzhi.cli.stage import DESTINATION, INSTITUTION, REGULATOR, Stage
from qianzhi.console import accounts
from qianzhi.console.roles import Role
from qianzhi.db.server import connect
from qianzhi.gateway import assembly, reminder
from qianzhi.gateway.documents.dossier import Upload
from qianzhi.gateway.documents.opening import dossier
from qianzhi.gateway.evidence import register
from qianzhi.hub import assembly as hub_assembly
from qianzhi.hub import certificates, documents, onboarding, publications
from qianzhi.hub.documents import Verdict
from qianzhi.hub.publications import Draft, PublicationKind
from qianzhi.ledger import evidence
from qianzhi.ledger.evidence import Noted
from qianzhi.runtime import clock
from qianzhi.runtime.home import End
from qianzhi.runtime.sources import load_settings, write_settings
from qianzhi.synthetic import Plan, SynthPlan
from qianzhi.synthetic import run as run_synth
from qianzhi.synthetic.insert import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qianzhi.gateway.cycle import Dispatcher
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

PASSWORD: Final = "Right-1-password"  # noqa: S105 - of accounts that exist for the pictures
DAYS: Final = 30
PEOPLE: Final = 400
NAMES: Final = {"li.na": Role.ADMINISTRATOR, "chen.jie": Role.OPERATOR, "wang.wei": Role.VIEWER}
CORRECTED: Final = "心理咨询科"
WAITING: Final = ["便民门诊", "护理咨询科", "药学咨询科"]
RECORD: Final = "2019031782837361728"
SHOWN: Final = {"doctor_video": "visit.mp4", "patient_video": "visit.mp4", "audio": "talk.mp3"}
PAPERS: Final = {
    "protection_level_notice": 345,
    "network_diagram": 40,
    "service_management": 40,
    "system_use": 40,
    "emergency_power": 12,
    "emergency_network": 12,
}
REVIEWED: Final = {"protection_level_notice", "network_diagram", "service_management", "emergency_network"}
RETURNED, REASON = "emergency_power", "预案缺少主管院长签字，请补签后重新上传。"
PUBLISHED: Final = {
    PublicationKind.FILE: "数据上传质量月度通报（2026 年 10 月）",
    PublicationKind.NOTICE: "关于开展互联网医疗服务数据核查的通知",
}
# All that happened in a cycle of a day is put back to that day.
PUT_BACK: Final = (
    "UPDATE qianzhi.batches SET settled_at = settled_at - %(back)s WHERE sealed_at >= %(since)s",
    "UPDATE qianzhi.batches SET sealed_at = sealed_at - %(back)s WHERE sealed_at >= %(since)s",
    "UPDATE qianzhi.attempts SET attempted_at = attempted_at - %(back)s WHERE attempted_at >= %(since)s",
    "UPDATE qianzhi.findings SET found_at = found_at - %(back)s WHERE found_at >= %(since)s",
    "UPDATE qianzhi.outcomes SET settled_at = settled_at - %(back)s WHERE settled_at >= %(since)s",
    "UPDATE qianzhi.staged_counts SET staged_on = %(on)s WHERE staged_on = %(today)s",
    "UPDATE qianzhi.held SET held_at = held_at - %(back)s WHERE held_at >= %(since)s",
)


@dataclass(frozen=True, slots=True)
class Showcase:
    """Where it is, and where its console answers."""

    home: Home
    base: str

    def record(self) -> str:
        """Return the address of the record that was rejected and then corrected."""
        with psycopg.connect(assembly.owner_dsn(self.home, load_settings(self.home))) as session:
            found = session.execute("SELECT max(id) FROM guangdong.contacts WHERE bm = %s", [CORRECTED]).fetchone()
        return f"/record?destination={DESTINATION}&dataset=contacts&row={found[0] if found else 0}"


@contextmanager
def showcase(home: Home, free_port: Callable[[], int]) -> Iterator[Showcase]:
    """Set both ends up, play the month, and serve it."""
    media, photos = home.path / "media", home.end(End.GATEWAY).root / "images"
    for folder in (media, photos):
        folder.mkdir(parents=True)
    write_settings(
        home,
        {
            "gateway.evidence.enabled": True,
            "gateway.evidence.port": free_port(),
            "gateway.evidence.public_base_url": "https://evidence.hospital.example",
            "gateway.evidence.folders.media.folder": str(media),
            "gateway.images.photos.prefix": str(photos),
            "gateway.images.photos.folder": str(photos),
            "gateway.whitelist": ("192.168.10.0/24",),
        },
    )
    with Stage(home, lambda _line: None) as stage:
        settings = load_settings(home)
        play_a_month(home, settings)
        leave_something_to_do(home, settings)
        remind(home, settings)
        hand_papers_in(home, settings)
        be_asked(home, settings)
        with connect(assembly.owner_dsn(home, settings), application="test") as session:
            for name, role in NAMES.items():
                accounts.add(session, name, role, PASSWORD, actor="test")
        stage.require_running()
        yield Showcase(home, f"http://127.0.0.1:{settings.gateway.console.port}")


def dispatching(home: Home, settings: Settings) -> Dispatcher:
    """Return what takes rows as far as they go."""
    from qianzhi.gateway.cycle import Dispatcher

    return Dispatcher(assembly.workplace(home, settings), assembly.destination(home, settings, DESTINATION))


def play_a_month(home: Home, settings: Settings) -> None:
    """Play thirty days, each with its cycle."""
    from qianzhi.gateway.cycle import PATIENCE_SECONDS
    from qianzhi.ledger.batches import CycleKind

    regulator, today = regulators.regulator(REGULATOR), clock.local_now().date()
    rooms = home.end(End.GATEWAY)
    plan = Plan(PEOPLE, DAYS, 7, today, INSTITUTION, rooms.root / "images", fault_rate=0.03)
    dsn = assembly.owner_dsn(home, settings)

    def after_day(on: date) -> None:
        since = clock.now()
        with dispatching(home, settings) as dispatcher:
            dispatcher.advance(CycleKind.NIGHTLY, clock.now(), patience_seconds=PATIENCE_SECONDS)
        with psycopg.connect(dsn) as session:
            for statement in PUT_BACK:
                session.execute(statement, {"back": today - on, "since": since, "on": on, "today": today})

    sender = assembly.role_dsn(home, settings, regulator.sender)
    run_synth(SynthPlan(plan, regulator, sender, rooms.root / "expected.json"), after_day)


def leave_something_to_do(home: Home, settings: Settings) -> None:
    """Reject a record and put it right, and leave rows for tonight, some of which would be rejected."""
    from qianzhi.gateway.cycle import PATIENCE_SECONDS
    from qianzhi.ledger.batches import CycleKind

    for head in (None, "陈静"):
        stage(home, settings, "contacts", rows.contacts([CORRECTED], FZRXM=head))
        with dispatching(home, settings) as dispatcher:
            dispatcher.advance(CycleKind.MANUAL, clock.now(), patience_seconds=PATIENCE_SECONDS)
    stage(home, settings, "contacts", rows.contacts(WAITING, FZRXM=None))


def remind(home: Home, settings: Settings) -> None:
    """Let the check ahead of the cut-off look at what waits."""
    workplace, destination = assembly.workplace(home, settings), assembly.destination(home, settings, DESTINATION)
    now = clock.local_now()
    reminder.check(workplace, destination, at=[now.time()], local_now=now)


def stage(home: Home, settings: Settings, dataset: str, frame: pl.DataFrame) -> None:
    """Insert rows as the hospital does."""
    sender = regulators.regulator(REGULATOR).sender
    with connect(assembly.role_dsn(home, settings, sender), application="test") as session:
        insert(session, f"{REGULATOR}.{dataset}", frame)


def hand_papers_in(home: Home, settings: Settings) -> None:
    """Let a document be reviewed, one be returned, one wait and one expire; publish files; issue the certificate."""
    today = clock.local_now().date()
    held = dossier(home, settings, DESTINATION)
    for key, days in PAPERS.items():
        upload = Upload(f"{key}.pdf", b"", today - timedelta(days=days), "console:li.na")
        held.bring(key, [papers.pdf(3, key)], upload, clock.now())
    held.sync(clock.now())
    with hub_assembly.session(home, settings, application="test") as session:
        now = clock.now()
        for version in documents.versions(session):
            if version.document in REVIEWED:
                documents.review(session, version.document_seq, Verdict.REVIEWED, reason="", actor="test", now=now)
            if version.document == RETURNED:
                documents.review(session, version.document_seq, Verdict.RETURNED, reason=REASON, actor="test", now=now)
        institution = onboarding.find(session, REGULATOR, INSTITUTION)
        seal, blobs = certificates.open_seal(home.end(End.HUB).credentials), hub_assembly.blobs(home)
        certificates.issue(session, blobs, seal, institution, given=None, actor="test", now=now)
        for kind, title in PUBLISHED.items():
            draft = Draft(kind, title, f"{title}.pdf", papers.pdf(2, title))
            publications.publish(session, blobs, REGULATOR, draft, None, "test", now)
    held.sync(clock.now())


def be_asked(home: Home, settings: Settings) -> None:
    """Register what may be shown, and note who asked."""
    media = home.path / "media"
    with connect(assembly.owner_dsn(home, settings), application="test") as session:
        for kind, sample in SHOWN.items():
            file = media / f"{RECORD}.{kind}{Path(sample).suffix}"
            shutil.copyfile(SAMPLES / sample, file)
            register.register(session, settings, RECORD, kind, str(file))
        outcomes = ("served", "served", "unknown", "unproven", "served", "served")
        evidence.note(
            session, [_asked(hours, outcome) for hours, outcome in zip(range(7, 1, -1), outcomes, strict=True)]
        )


def _asked(hours: int, outcome: str) -> Noted:
    digest = f"{2**127 // hours:032x}"
    return Noted(clock.now() - timedelta(hours=hours), "GetDoctorVedio", outcome, "203.0.113.9", digest, None, 0)
