"""Documents and publications between a gateway and a hub that answers over HTTPS."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from tests.hub.samples import CODE, GUANGDONG, OTHER_CODE
from tests.hub.server import Hub, answering
from tests.runtime import papers as made

from qianzhi.db import migrate
from qianzhi.db.server import connect
from qianzhi.errors import ConfigurationError, OperatorError, RetryableError, SenderError
from qianzhi.gateway.documents.checklist import State
from qianzhi.gateway.documents.dossier import Dossier, Upload
from qianzhi.hub import assembly, certificates, onboarding, publications
from qianzhi.hub import documents as hub_documents
from qianzhi.hub.documents import Verdict
from qianzhi.hub.publications import Draft, PublicationKind
from qianzhi.ledger import lanes
from qianzhi.ledger.blobs import Blobs
from qianzhi.ledger.documents import Version
from qianzhi.regulators import paperwork, regulator
from qianzhi.regulators.guangdong.documents import open_cabinet
from qianzhi.regulators.protocols import Cabinet, Publication, Review
from qianzhi.runtime import clock
from qianzhi.runtime.home import End
from qianzhi.runtime.papers import Objection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qianzhi.db.embedded import Cluster

NOTICE, DIAGRAM = "protection_level_notice", "network_diagram"
ON = date(2026, 3, 1)


@pytest.fixture(scope="module")
def hub(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that answers."""
    with answering(postgres, tmp_path_factory.mktemp("hub"), free_port()) as answers:
        answers.issue(OTHER_CODE)
        yield answers


@pytest.fixture(scope="module")
def ledger(postgres: Cluster) -> str:
    """A gateway's ledger that knows a destination."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    dsn = postgres.dsn(name)
    migrate.upgrade(dsn, "qianzhi.ledger", "gateway")
    return dsn


@pytest.fixture
def dossier(hub: Hub, ledger: str, tmp_path: Path) -> Dossier:
    """The dossier of a fresh destination that leads to the hub."""
    name = f"hub_{uuid4().hex[:8]}"
    with connect(ledger, application="test") as session:
        lanes.register(session, name, regulator(GUANGDONG), {})
    (tmp_path / "blobs").mkdir()
    return Dossier(name, ledger, Blobs(tmp_path / "blobs"), paperwork(GUANGDONG), lambda: cabinet(hub))


def cabinet(hub: Hub, credential: str | None = None, tls: ssl.SSLContext | None = None) -> Cabinet:
    """Open the hub's place for documents."""
    said = credential or hub.credential
    return open_cabinet(f"https://127.0.0.1:{hub.port}", lambda: said, tls or hub.tls)


def upload(content: bytes, dated_on: date = ON, name: str = "扫描件.pdf") -> Upload:
    """Return a file that somebody brings."""
    return Upload(name, content, dated_on, "test")


def add(dossier: Dossier, key: str, content: bytes, dated_on: date = ON) -> Version:
    """Keep a version that nobody objects to."""
    added = dossier.add(key, upload(content, dated_on), clock.now())
    assert isinstance(added, Version)
    return added


def state(dossier: Dossier, key: str, on: date = ON) -> tuple[State, str]:
    """Return where a document stands, and why."""
    line = next(line for line in dossier.lines(on) if line.document.key == key)
    return line.state, line.version.reason if line.version else ""


def review(hub: Hub, content_mark: bytes, verdict: Verdict, reason: str = "") -> None:
    """Say what is thought of the version with a digest."""
    with connect(hub.dsn, application="test") as session:
        found = next(each for each in hub_documents.versions(session) if each.digest == content_mark)
        hub_documents.review(session, found.document_seq, verdict, reason=reason, actor="test", now=clock.now())


def publish(hub: Hub, content: bytes, *codes: str) -> UUID:
    """Publish a file."""
    with connect(hub.dsn, application="test") as session:
        audience = [onboarding.find(session, GUANGDONG, code) for code in codes] or None
        draft = Draft(PublicationKind.FILE, "接口规范", "规范.xlsx", content)
        made_one = publications.publish(
            session, assembly.blobs(hub.home), GUANGDONG, draft, audience, "test", clock.now()
        )
    return made_one.publication_id


def test_the_way_of_a_document(hub: Hub, dossier: Dossier) -> None:
    """Missing, present, submitted, returned for a reason, brought again, reviewed, and at last expired."""
    assert state(dossier, NOTICE) == (State.MISSING, "")
    first = add(dossier, NOTICE, made.pdf(2, dossier.destination))
    assert state(dossier, NOTICE) == (State.PRESENT, "")
    assert dossier.sync(clock.now()).submitted_count == 1
    assert state(dossier, NOTICE) == (State.SUBMITTED, "")
    assert dossier.sync(clock.now()).submitted_count == 0

    review(hub, first.digest, Verdict.RETURNED, "缺少备案证明")
    assert dossier.sync(clock.now()).changed_count == 1
    assert state(dossier, NOTICE) == (State.RETURNED, "缺少备案证明")

    second = add(dossier, NOTICE, made.pdf(3, dossier.destination))
    dossier.sync(clock.now())
    review(hub, second.digest, Verdict.REVIEWED)
    dossier.sync(clock.now())
    assert dossier.sync(clock.now()).changed_count == 0
    assert state(dossier, NOTICE) == (State.REVIEWED, "")
    assert state(dossier, NOTICE, ON + timedelta(days=365)) == (State.EXPIRED, "")
    assert [each.step for each in dossier.versions(NOTICE)] == ["reviewed", "returned"]
    assert dossier.content(second) == made.pdf(3, dossier.destination)


def test_two_scans_become_the_one_pdf(dossier: Dossier) -> None:
    """The notice's receipt and the certificate of filing, a photograph and a PDF."""
    merged = dossier.merge(NOTICE, [made.image("JPEG", 200), made.pdf()], upload(b"", name="等保.pdf"), clock.now())
    assert isinstance(merged, Version)
    assert (merged.page_count, merged.media_type, merged.file_name) == (2, "application/pdf", "等保.pdf")
    assert state(dossier, NOTICE) == (State.PRESENT, "")


def test_the_same_file_of_the_same_day_is_the_same_version(dossier: Dossier) -> None:
    """A double click brings no second one; another day does."""
    first, second = (add(dossier, NOTICE, made.pdf(1, "same")) for _ in range(2))
    assert first.document_id == second.document_id
    assert add(dossier, NOTICE, made.pdf(1, "same"), ON + timedelta(days=1)).document_id != first.document_id


@pytest.mark.parametrize("content", [made.image(), made.encrypted_pdf(), made.hidden_pdf(b"<</S/Launch>>"), b""])
def test_what_must_not_be_kept_is_not(dossier: Dossier, content: bytes) -> None:
    """The finding says why; no version and no file is left."""
    assert isinstance(dossier.add(NOTICE, upload(content), clock.now()), Objection)
    assert state(dossier, NOTICE) == (State.MISSING, "")
    assert list(dossier.blobs.folder.iterdir()) == []


def test_a_document_that_nobody_asks_for_is_a_mistake(dossier: Dossier) -> None:
    """So is a day that lies ahead, and a merge where no PDF is wanted."""
    with pytest.raises(ConfigurationError):
        dossier.add("nothing", upload(made.pdf()), clock.now())
    with pytest.raises(ConfigurationError):
        dossier.add(NOTICE, upload(made.pdf(), date(2999, 1, 1)), clock.now())
    with pytest.raises(ConfigurationError):
        dossier.versions("../../etc")


def test_a_name_is_only_a_name(dossier: Dossier) -> None:
    """Folders and control characters of whoever uploads it lead nowhere."""
    added = dossier.add(DIAGRAM, upload(made.image(), name="C:\\a\\..\\..\\b\r\n\x00图.png"), clock.now())
    assert isinstance(added, Version)
    assert added.file_name == "b图.png"


def test_what_the_hub_refuses_comes_back(hub: Hub, dossier: Dossier) -> None:
    """An older gateway may let through what the hub does not; it is returned, and the others go on."""

    class Strict:
        """A cabinet whose hub refuses every document."""

        def __init__(self) -> None:
            self.inner = cabinet(hub)

        def hand_in(self, *_: object) -> Review:
            """Refuse."""
            raise SenderError("The hub answered 422 (document-refused).", remedy="P06 文件含有脚本。")

        def reviews(self) -> list[Review]:
            """Say nothing."""
            return []

        def publications(self) -> list[Publication]:
            """Publish nothing."""
            return []

        def close(self) -> None:
            """Release what was opened."""
            self.inner.close()

    add(dossier, DIAGRAM, made.image())
    strict = replace(dossier, open_cabinet=Strict)  # type: ignore[arg-type]  # it fetches nothing
    assert strict.sync(clock.now()).submitted_count == 0
    assert state(dossier, DIAGRAM)[0] is State.RETURNED
    assert "P06" in state(dossier, DIAGRAM)[1]


def test_a_hub_that_is_away_loses_nothing(dossier: Dossier, free_port: Callable[[], int]) -> None:
    """The document stays present, and goes with the next exchange."""
    add(dossier, DIAGRAM, made.image(colour="blue"))
    nowhere = f"https://127.0.0.1:{free_port()}"
    away = replace(dossier, open_cabinet=lambda: open_cabinet(nowhere, lambda: "a.b", ssl.create_default_context()))
    with pytest.raises(RetryableError):
        away.sync(clock.now())
    assert state(dossier, DIAGRAM) == (State.PRESENT, "")
    assert dossier.sync(clock.now()).submitted_count == 1


def test_a_foreign_credential_hands_nothing_in(hub: Hub, dossier: Dossier) -> None:
    """The operator is told, and the document waits."""
    add(dossier, DIAGRAM, made.image(colour="green"))
    with pytest.raises(OperatorError):
        replace(dossier, open_cabinet=lambda: cabinet(hub, "id.guess")).sync(clock.now())
    assert state(dossier, DIAGRAM) == (State.PRESENT, "")


def test_files_are_listed_and_fetched(hub: Hub, dossier: Dossier) -> None:
    """Announced by the exchange, fetched once, read from here afterwards, also when withdrawn there."""
    published = publish(hub, b"content")
    for_other = publish(hub, b"secret", OTHER_CODE)
    dossier.sync(clock.now())
    known = {each.publication_id for each in dossier.publications()}
    assert published in known
    assert for_other not in known
    assert dossier.fetch(published, clock.now())[1] == b"content"
    with connect(hub.dsn, application="test") as session:
        publications.withdraw(session, published, actor="test", now=clock.now())
    dossier.sync(clock.now())
    found, content = dossier.fetch(published, clock.now())
    assert (content, found.withdrawn_at is not None) == (b"content", True)
    with pytest.raises(ConfigurationError):
        dossier.fetch(for_other, clock.now())


def test_what_was_withdrawn_before_it_was_fetched_is_gone(hub: Hub, dossier: Dossier) -> None:
    """The list says so, and nobody asks the hub again."""
    published = publish(hub, b"gone")
    dossier.sync(clock.now())
    with connect(hub.dsn, application="test") as session:
        publications.withdraw(session, published, actor="test", now=clock.now())
    dossier.sync(clock.now())
    with pytest.raises(ConfigurationError):
        dossier.fetch(published, clock.now())


def test_a_file_that_is_not_what_was_announced_is_not_kept(hub: Hub, dossier: Dossier) -> None:
    """The digest of the list decides."""
    published = publish(hub, b"as announced")
    dossier.sync(clock.now())
    found = next(each for each in dossier.publications() if each.publication_id == published)
    assembly.blobs(hub.home).path(found.digest).write_bytes(b"as AnnouncED")
    with pytest.raises(OperatorError):
        dossier.fetch(published, clock.now())
    assert next(each for each in dossier.publications() if each.publication_id == published).fetched_at is None
    assert not dossier.blobs.holds(found.digest)


def test_a_certificate_comes_to_its_institution(hub: Hub, dossier: Dossier) -> None:
    """As a file of its own kind, and as it was issued."""
    with connect(hub.dsn, application="test") as session:
        seal = certificates.open_seal(hub.home.end(End.HUB).credentials)
        mine, theirs = (onboarding.find(session, GUANGDONG, code) for code in (CODE, OTHER_CODE))
        blobs = assembly.blobs(hub.home)
        issued, other = (
            certificates.issue(session, blobs, seal, each, given=None, actor="test", now=clock.now())
            for each in (mine, theirs)
        )
    dossier.sync(clock.now())
    kinds = {each.publication_id: each.kind for each in dossier.publications()}
    assert kinds[issued.publication_id] == "certificate"
    assert other.publication_id not in kinds
    assert dossier.fetch(issued.publication_id, clock.now())[1] == assembly.blobs(hub.home).get(issued.digest)


def test_where_nothing_comes_over_a_line_people_say_what_became_of_it(dossier: Dossier) -> None:
    """In front of an official machine the official console has the word; a return needs its reason."""
    official = replace(dossier, open_cabinet=None)
    with pytest.raises(ConfigurationError):
        official.record(DIAGRAM, "reviewed", clock.now())
    add(official, DIAGRAM, made.image(colour="black"))
    assert official.sync(clock.now()).submitted_count == 0
    with pytest.raises(ConfigurationError):
        official.record(DIAGRAM, "returned", clock.now())
    official.record(DIAGRAM, "submitted", clock.now())
    assert state(official, DIAGRAM) == (State.SUBMITTED, "")
    official.record(DIAGRAM, "returned", clock.now(), "看不清")
    assert state(official, DIAGRAM) == (State.RETURNED, "看不清")
    with pytest.raises(ConfigurationError):
        dossier.record(DIAGRAM, "reviewed", clock.now())


def test_so_many_versions_and_no_more(dossier: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is bounded."""
    monkeypatch.setattr("qianzhi.gateway.documents.dossier.VERSIONS_MAX", 1)
    add(dossier, DIAGRAM, made.image(side=31))
    with pytest.raises(ConfigurationError):
        add(dossier, DIAGRAM, made.image(side=32))


def test_an_unknown_destination_is_a_mistake(dossier: Dossier) -> None:
    """`gateway init` makes it known."""
    with pytest.raises(ConfigurationError):
        add(replace(dossier, destination="nowhere"), DIAGRAM, made.image())


def test_instants_are_the_hubs(hub: Hub, dossier: Dossier) -> None:
    """A clock here that is wrong does not change the order of what became of a document."""
    added = dossier.add(DIAGRAM, upload(made.image(side=33)), datetime(2026, 3, 2, tzinfo=UTC))
    assert isinstance(added, Version)
    dossier.sync(datetime(2026, 3, 2, tzinfo=UTC))
    review(hub, added.digest, Verdict.REVIEWED)
    dossier.sync(datetime(2026, 3, 2, tzinfo=UTC))
    assert state(dossier, DIAGRAM) == (State.REVIEWED, "")
