"""Documents and publications over HTTPS: handed in, reviewed, fetched by those they are for and by nobody else."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from tests.hub.samples import CODE, GUANGDONG, OTHER_CODE
from tests.hub.server import Hub, answering, problem
from tests.runtime import papers as made

from qianzhi.db.server import connect
from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.hub import assembly, certificates, documents, onboarding, publications
from qianzhi.hub.documents import Verdict
from qianzhi.hub.publications import Draft, PublicationKind
from qianzhi.runtime import clock
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qianzhi.db.embedded import Cluster
    from qianzhi.hub.publications import Publication

NOTICE = "/documents/protection_level_notice?dated=2026-03-01"


@pytest.fixture(scope="module")
def hub(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that answers, with two institutions."""
    with answering(postgres, tmp_path_factory.mktemp("hub"), free_port()) as answers:
        yield answers


@pytest.fixture
def client(hub: Hub) -> Iterator[httpx.Client]:
    """The client of the institution."""
    with hub.client() as opened:
        yield opened


@pytest.fixture(scope="module")
def other(hub: Hub) -> Iterator[httpx.Client]:
    """The client of another institution."""
    with hub.client(hub.issue(OTHER_CODE)) as opened:
        yield opened


def publish(hub: Hub, *codes: str, content: bytes = b"text", name: str = "a.txt", title: str = "通知") -> Publication:
    """Publish a file for some institutions, or for all."""
    with connect(hub.dsn, application="test") as session:
        audience = [onboarding.find(session, GUANGDONG, code) for code in codes] or None
        draft = Draft(PublicationKind.NOTICE, title, name, content)
        return publications.publish(session, assembly.blobs(hub.home), GUANGDONG, draft, audience, "test", clock.now())


def review(hub: Hub, verdict: Verdict, reason: str = "") -> None:
    """Say what is thought of the newest version."""
    with connect(hub.dsn, application="test") as session:
        newest = documents.versions(session, limit=1)[0]
        documents.review(session, newest.document_seq, verdict, reason=reason, actor="test", now=clock.now())


def listed(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    """Return a list of the institution."""
    found: list[dict[str, Any]] = client.get(path).json()
    return found


def test_a_document_is_handed_in_and_reviewed(hub: Hub, client: httpx.Client, other: httpx.Client) -> None:
    """Submitted, returned with its reason, handed in anew, reviewed; another institution sees none of it."""
    first = client.put(NOTICE, content=made.pdf(2, "first"))
    assert first.status_code == HTTPStatus.OK
    assert (first.json()["state"], first.json()["dated_on"]) == ("submitted", "2026-03-01")
    assert client.put(NOTICE, content=made.pdf(2, "first")).json() == first.json()
    assert len(listed(client, "/documents")) == 1

    review(hub, Verdict.RETURNED, "缺少备案证明")
    assert listed(client, "/documents")[0]["state"] == "returned"
    assert listed(client, "/documents")[0]["reason"] == "缺少备案证明"

    client.put(NOTICE, content=made.pdf(2, "second"))
    review(hub, Verdict.REVIEWED)
    assert [each["state"] for each in listed(client, "/documents")] == ["reviewed", "returned"]
    assert listed(other, "/documents") == []


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        ("/documents/nothing?dated=2026-03-01", made.pdf(), HTTPStatus.NOT_FOUND, "document-unknown"),
        (NOTICE, made.encrypted_pdf(), HTTPStatus.UNPROCESSABLE_ENTITY, "document-refused"),
        (NOTICE, made.hidden_pdf(b"<</S/Launch>>"), HTTPStatus.UNPROCESSABLE_ENTITY, "document-refused"),
        (NOTICE, made.page_tree(40), HTTPStatus.UNPROCESSABLE_ENTITY, "document-refused"),
        (NOTICE, made.image(), HTTPStatus.UNPROCESSABLE_ENTITY, "document-refused"),
        ("/documents/protection_level_notice", made.pdf(), HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
        (NOTICE.replace("2026-03-01", "yesterday"), b"x", HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request"),
        ("/documents/..%2Fbatches?dated=2026-03-01", b"x", HTTPStatus.NOT_FOUND, "not-found"),
    ],
)
def test_what_is_no_document_is_refused(
    client: httpx.Client, path: str, content: bytes, status: HTTPStatus, code: str
) -> None:
    """The hub looks for itself, whatever a gateway says; what is refused is not kept."""
    before = len(listed(client, "/documents"))
    answer = client.put(path, content=content)
    assert (answer.status_code, problem(answer)) == (status, code)
    assert len(listed(client, "/documents")) == before


def test_a_document_that_changed_on_the_way_is_refused(client: httpx.Client) -> None:
    """Content-Digest is compared; a file too large is not read to its end."""
    headers = {"Content-Digest": "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"}
    assert problem(client.put(NOTICE, content=made.pdf(), headers=headers)) == "digest-mismatch"
    assert problem(client.put(NOTICE, content=bytes(21 * 2**20))) == "body-too-large"


def test_nobody_without_a_credential_hands_in_or_reads(hub: Hub) -> None:
    """Every route asks who it is."""
    with hub.client("id.guess") as stranger:
        for answer in (
            stranger.put(NOTICE, content=made.pdf()),
            stranger.get("/documents"),
            stranger.get("/publications"),
            stranger.get(f"/publications/{uuid4()}"),
        ):
            assert (answer.status_code, problem(answer)) == (HTTPStatus.UNAUTHORIZED, "unauthenticated")


def test_the_store_of_one_institution_is_bounded(
    hub: Hub, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many versions of a document and no more; the bound is looked at where the version is kept."""
    client.put(NOTICE, content=made.pdf(1, "bound"))
    with connect(hub.dsn, application="test") as session:
        found = onboarding.find(session, GUANGDONG, CODE)
        of = {"institution_id": found.institution_id, "document": "protection_level_notice"}
        assert documents._has_room(session, of, 1)
        assert not documents._has_room(session, of, documents.BYTES_MAX)
        monkeypatch.setattr(documents, "VERSIONS_MAX", 1)
        assert not documents._has_room(session, of, 1)


def test_a_publication_is_fetched_by_those_it_is_for(hub: Hub, client: httpx.Client, other: httpx.Client) -> None:
    """One for all, one for each: nobody sees or fetches what is not addressed to it, even by its id."""
    everybody, mine, theirs = (
        publish(hub, content=b"for all"),
        publish(hub, CODE, content=b"for one"),
        publish(hub, OTHER_CODE, content=b"for the other"),
    )
    for reader, unseen, seen in ((client, theirs, mine), (other, mine, theirs)):
        ids = {each["publication_id"] for each in listed(reader, "/publications")}
        assert {str(everybody.publication_id), str(seen.publication_id)} <= ids
        assert str(unseen.publication_id) not in ids
        refused = reader.get(f"/publications/{unseen.publication_id}")
        assert (refused.status_code, problem(refused)) == (HTTPStatus.NOT_FOUND, "publication-unknown")
        assert reader.head(f"/blobs/{unseen.digest.hex()}").status_code == HTTPStatus.NOT_FOUND
        fetched = reader.get(f"/publications/{seen.publication_id}")
        assert hashlib.sha256(fetched.content).digest() == seen.digest
        assert fetched.headers["content-disposition"].startswith("attachment")
        assert fetched.headers["x-content-type-options"] == "nosniff"


def test_what_is_withdrawn_is_gone(hub: Hub, client: httpx.Client) -> None:
    """From the list and by its id; withdrawing twice is a mistake."""
    made_one = publish(hub)
    with connect(hub.dsn, application="test") as session:
        publications.withdraw(session, made_one.publication_id, actor="test", now=clock.now())
        with pytest.raises(ConfigurationError):
            publications.withdraw(session, made_one.publication_id, actor="test", now=clock.now())
    assert problem(client.get(f"/publications/{made_one.publication_id}")) == "publication-unknown"


def test_a_suspended_institution_fetches_nothing(hub: Hub) -> None:
    """Also what was published for it before."""
    code = "440000000000000077"
    credential = hub.issue(code)
    made_one = publish(hub, code)
    with connect(hub.dsn, application="test") as session:
        found = onboarding.find(session, GUANGDONG, code)
        onboarding.set_state(session, found, onboarding.InstitutionState.SUSPENDED, actor="test")
    with hub.client(credential) as suspended:
        assert problem(suspended.get(f"/publications/{made_one.publication_id}")) == "suspended"


@pytest.mark.parametrize(
    ("content", "title", "codes"),
    [(b"", "a", ()), (bytes(publications.FILE_BYTES_MAX + 1), "a", ()), (b"a", " ", ()), (b"a", "a" * 201, ())],
)
def test_what_cannot_be_published_is_a_mistake(hub: Hub, content: bytes, title: str, codes: tuple[str, ...]) -> None:
    """Empty, too large, without a title."""
    with pytest.raises(ConfigurationError):
        publish(hub, *codes, content=content, title=title)


def test_a_publication_for_nobody_is_a_mistake(hub: Hub) -> None:
    """An audience that is empty is not all."""
    draft = Draft(PublicationKind.FILE, "a", "a.txt", b"a")
    with connect(hub.dsn, application="test") as session, pytest.raises(ConfigurationError):
        publications.publish(session, assembly.blobs(hub.home), GUANGDONG, draft, [], "test", clock.now())


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("a\r\nSet-Cookie: b.txt", "a__Set-Cookie_ b.txt"),
        ('规范"V3.0".zip', "规范_V3.0_.zip"),
        ("...", "file"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_a_file_name_leads_nowhere(name: str, wanted: str) -> None:
    """Names come from people and go into headers and folders."""
    assert publications.safe_name(name) == wanted


def test_a_returned_document_needs_a_reason(hub: Hub, client: httpx.Client) -> None:
    """Otherwise nobody knows what to change; a number that nobody has is a mistake too."""
    client.put(NOTICE, content=made.pdf(1, "reason"))
    with pytest.raises(ConfigurationError):
        review(hub, Verdict.RETURNED, "  ")
    with connect(hub.dsn, application="test") as session, pytest.raises(ConfigurationError):
        documents.review(session, 10**9, Verdict.REVIEWED, actor="test", now=clock.now())


def issue(hub: Hub, code: str, given: bytes | None = None) -> Publication:
    """Issue a certificate."""
    with connect(hub.dsn, application="test") as session:
        seal = certificates.open_seal(hub.home.end(End.HUB).credentials)
        found = onboarding.find(session, GUANGDONG, code)
        blobs = assembly.blobs(hub.home)
        return certificates.issue(session, blobs, seal, found, given=given, actor="test", now=clock.now())


def read(hub: Hub, content: bytes) -> dict[str, Any] | None:
    """Return what a certificate says, if it is one."""
    with connect(hub.dsn, application="test") as session:
        return certificates.read(session, content, certificates.open_seal(hub.home.end(End.HUB).credentials))


def test_a_certificate_is_for_one_institution(hub: Hub, client: httpx.Client, other: httpx.Client) -> None:
    """It alone can fetch it; its signature holds until anything in it changes."""
    issued = issue(hub, CODE)
    assert problem(other.get(f"/publications/{issued.publication_id}")) == "publication-unknown"
    page = client.get(f"/publications/{issued.publication_id}").content
    record = read(hub, page)
    assert record is not None
    assert (record["institution"], record["regulator"]) == (CODE, GUANGDONG)
    assert record["number"].encode() in page
    marked = page.index(b"qianzhi-certificate:") + 25
    assert read(hub, page[:marked] + bytes([page[marked] ^ 1]) + page[marked + 1 :]) is None
    assert read(hub, page.replace(CODE.encode(), b"440000000000000099", 1)) is None
    assert read(hub, page + b" ") is None
    assert read(hub, b"<html>") is None


def test_a_certificate_may_be_a_pdf_of_the_operator(hub: Hub, client: httpx.Client) -> None:
    """Stamped, say; its digest is signed. What is no PDF is not sent to anybody as one."""
    content = made.pdf(1, "certificate")
    issued = issue(hub, CODE, content)
    assert client.get(f"/publications/{issued.publication_id}").content == content
    record = read(hub, content)
    assert record is not None
    assert record["file_sha256"] == hashlib.sha256(content).hexdigest()
    with pytest.raises(ConfigurationError):
        issue(hub, CODE, made.image())


def test_a_page_holds_names_as_text(hub: Hub) -> None:
    """A name with signs of HTML is printed as it is."""
    code = "440000000000000088"
    with connect(hub.dsn, application="test") as session:
        name = "<script>alert(1)</script> qianzhi-certificate:QQ==:QQ=="
        onboarding.register(session, GUANGDONG, code, name, actor="test")
    issued = issue(hub, code)
    page = assembly.blobs(hub.home).get(issued.digest)
    assert b"<script" not in page
    assert b"&lt;script&gt;" in page
    assert read(hub, page) is not None


def test_a_damaged_seal_signs_nothing(tmp_path: Path) -> None:
    """Rather than making another one, whose signatures nobody knows."""
    (tmp_path / certificates.KEY_FILE).write_bytes(b"no key")
    with pytest.raises(OperatorError):
        certificates.open_seal(tmp_path)


def test_the_api_is_described(hub: Hub) -> None:
    """The routes stand in the description for programs."""
    with hub.client() as client:
        described = json.loads(client.get(f"https://127.0.0.1:{hub.port}/openapi.json").content)
    assert {"/v1/{regulator}/documents/{document}", "/v1/{regulator}/publications"} <= described["paths"].keys()
