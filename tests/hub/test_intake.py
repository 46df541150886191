"""The intake over HTTPS: a real server process, a real client."""

from __future__ import annotations

import base64
import hashlib
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pyarrow as pa
import pytest
from tests.hub.samples import CODE, GUANGDONG, OTHER_CODE, sealed
from tests.hub.server import BODY_BYTES_MAX, BODY_SECONDS_MAX, Hub, answering, dribble, person, problem, put

from qianzhi.db.server import connect
from qianzhi.hub import onboarding
from qianzhi.hub.bodies import DRAIN_PAUSE_SECONDS_MAX as PAUSE_SECONDS_MAX
from qianzhi.hub.bodies import DRAIN_SECONDS_MAX
from qianzhi.hub.identity import REMEMBERED_SECONDS
from qianzhi.sealing import envelopes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qianzhi.db.embedded import Cluster


@pytest.fixture(scope="module")
def hub(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that answers."""
    with answering(postgres, tmp_path_factory.mktemp("hub"), free_port()) as answers:
        yield answers


@pytest.fixture
def client(hub: Hub) -> Iterator[httpx.Client]:
    """The client of the institution."""
    with hub.client() as opened:
        yield opened


def test_a_batch_is_answered_with_its_receipt(client: httpx.Client) -> None:
    """PUT gives the receipt; the same PUT and GET give the same bytes."""
    batch = sealed("person", person())
    digest = base64.b64encode(hashlib.sha256(batch[1]).digest()).decode()
    first = put(client, batch, Content_Digest=f"sha-256=:{digest}:")
    assert first.status_code == HTTPStatus.OK
    assert (first.json()["accepted"], first.json()["rejected"]) == (1, [])
    assert put(client, batch).content == client.get(f"/batches/{batch[0]}").content == first.content


def test_other_content_of_a_known_batch_is_a_conflict(client: httpx.Client) -> None:
    """409 with a code of its own."""
    batch_id, content = sealed("person", person())
    put(client, (batch_id, content))
    assert problem(put(client, sealed("person", person(), batch_id=batch_id))) == "batch-conflict"


def test_a_receipt_is_for_its_sender_only(hub: Hub, client: httpx.Client) -> None:
    """Another institution does not see that the batch exists."""
    batch = sealed("person", person())
    put(client, batch)
    with hub.client(hub.issue(OTHER_CODE)) as other:
        assert problem(other.get(f"/batches/{batch[0]}")) == "batch-unknown"


def test_a_batch_of_another_institution_is_forbidden(hub: Hub) -> None:
    """The credential must be that of the institution that the batch names."""
    with hub.client(hub.issue(OTHER_CODE)) as other:
        response = put(other, sealed("person", person()))
    assert (response.status_code, problem(response)) == (HTTPStatus.FORBIDDEN, "foreign-institution")


@pytest.mark.parametrize("credential", ["nobody.nothing", "x", "." * 300])
def test_an_unknown_credential_learns_nothing(hub: Hub, credential: str) -> None:
    """One answer for everybody who is not known, and it says how to authenticate."""
    with hub.client() as client:
        client.headers["Authorization"] = f"Bearer {credential}"
        response = put(client, sealed("person", person()))
    assert (response.status_code, problem(response)) == (HTTPStatus.UNAUTHORIZED, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_revoked_credential_ends_within_seconds(hub: Hub) -> None:
    """Revocation works although credentials are remembered for a moment; a wrong secret never worked."""
    credential = hub.issue(CODE)
    credential_id = credential.partition(".")[0]
    with hub.client(credential) as client, hub.client(f"{credential_id}.guess") as guessing:
        assert put(client, sealed("person", person())).status_code == HTTPStatus.OK
        assert put(guessing, sealed("person", person())).status_code == HTTPStatus.UNAUTHORIZED
        with connect(hub.dsn, application="test") as session:
            onboarding.revoke(session, credential_id, actor="test")
        time.sleep(REMEMBERED_SECONDS + 0.2)
        assert put(client, sealed("person", person())).status_code == HTTPStatus.UNAUTHORIZED


def test_a_rotation_overlaps(hub: Hub) -> None:
    """After a rotation both credentials work, until the older one's overlap is over."""
    old = hub.issue(CODE)
    with connect(hub.dsn, application="test") as session:
        found = onboarding.find(session, GUANGDONG, CODE)
        new = onboarding.rotate(session, found, overlap_hours=1, actor="test")
    with hub.client(old) as before, hub.client(new) as after:
        assert [put(each, sealed("person", person())).status_code for each in (before, after)] == [200, 200]
        with connect(hub.dsn, application="test") as session:
            session.execute("UPDATE qianzhi.credentials SET expires_at = expires_at - interval '1 hour'")
        time.sleep(REMEMBERED_SECONDS + 0.2)
        assert [put(each, sealed("person", person())).status_code for each in (before, after)] == [401, 200]
    # The credential of the other tests ended with the rotation too.
    with connect(hub.dsn, application="test") as session:
        session.execute("UPDATE qianzhi.credentials SET expires_at = NULL")


def test_an_oversized_body_is_refused_with_a_reason(client: httpx.Client) -> None:
    """413 although the client sends everything first: with its length said, and without."""
    content = b"\x00" * (BODY_BYTES_MAX + 1)
    said = put(client, (uuid4(), content))
    assert (said.status_code, problem(said)) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large")
    unsaid = client.put(
        "/batches/0190f3a4-0000-4000-8000-000000000009",
        content=(content[at : at + 65536] for at in range(0, len(content), 65536)),
        headers={"Content-Type": envelopes.MEDIA_TYPE},
    )
    assert problem(unsaid) == "body-too-large"


def test_who_pauses_amid_a_refused_body_is_answered_soon(hub: Hub) -> None:
    """413 while the announced body is still to come: there is nothing to wait for."""
    with dribble(hub, f"/batches/{uuid4()}", length=BODY_BYTES_MAX + 1) as connection:
        began = time.monotonic()
        assert b" 413 " in connection.recv(4096).split(b"\r\n")[0]
        assert time.monotonic() - began < DRAIN_SECONDS_MAX


def test_who_goes_on_writing_a_refused_body_reads_the_answer(hub: Hub) -> None:
    """A slow line is no pause: the answer waits until the sender has said its say, and is not lost."""
    with dribble(hub, f"/batches/{uuid4()}", length=BODY_BYTES_MAX + 1) as connection:
        began, left = time.monotonic(), BODY_BYTES_MAX + 1
        while left:
            time.sleep(PAUSE_SECONDS_MAX / 5)
            left -= connection.send(bytes(min(left, BODY_BYTES_MAX // 9)))
        assert time.monotonic() - began > PAUSE_SECONDS_MAX
        assert b" 413 " in connection.recv(4096).split(b"\r\n")[0]


def test_a_body_that_is_not_what_its_digest_says_is_refused(client: httpx.Client) -> None:
    """A digest of other bytes, or a malformed one, is found out before anything is looked at."""
    batch = sealed("person", person())
    other = base64.b64encode(bytes(32)).decode()
    assert problem(put(client, batch, Content_Digest=f"sha-256=:{other}:")) == "digest-mismatch"
    assert problem(put(client, batch, Content_Digest="sha-256=:AAAA:")) == "digest-malformed"


def test_a_slow_body_is_cut_off(hub: Hub) -> None:
    """A body that dribbles in is answered with 408 after its time and takes nobody else's place."""
    with dribble(hub, "/batches/0190f3a4-0000-4000-8000-000000000009", length=1000) as connection:
        began = time.monotonic()
        with hub.client() as client:
            assert put(client, sealed("person", person())).status_code == HTTPStatus.OK
        assert b" 408 " in connection.recv(4096).split(b"\r\n")[0]
        assert time.monotonic() - began < BODY_SECONDS_MAX + 60


def test_a_truncated_body_leaves_nothing(hub: Hub, client: httpx.Client) -> None:
    """A connection that breaks in the middle of a batch is as if nothing had been sent."""
    batch_id, content = sealed("person", person())
    with dribble(hub, f"/batches/{batch_id}", length=len(content)) as connection:
        connection.sendall(content[: len(content) // 2])
    time.sleep(0.3)
    assert client.get(f"/batches/{batch_id}").status_code == HTTPStatus.NOT_FOUND
    assert put(client, (batch_id, content)).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", pa.Codec("zstd").compress(bytes(envelopes.DECODED_BYTES_MAX + 1), asbytes=True)]
)
def test_what_is_no_batch_is_refused_and_stops_nobody(client: httpx.Client, content: bytes) -> None:
    """Nonsense and bombs get 422, and the next batch is taken."""
    response = put(client, (uuid4(), content))
    assert (response.status_code, problem(response)) == (HTTPStatus.UNPROCESSABLE_ENTITY, "unprocessable")
    assert put(client, sealed("person", person())).status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/batches/5", HTTPStatus.UNPROCESSABLE_ENTITY),
        ("POST", "/batches/0190f3a4-0000-4000-8000-000000000009", HTTPStatus.METHOD_NOT_ALLOWED),
        ("GET", "/nothing", HTTPStatus.NOT_FOUND),
        ("GET", "/log?from=yesterday", HTTPStatus.UNPROCESSABLE_ENTITY),
        ("GET", "/../../elsewhere/log", HTTPStatus.NOT_FOUND),
        ("PUT", f"/blobs/{'A' * 64}", HTTPStatus.UNPROCESSABLE_ENTITY),
    ],
)
def test_every_error_has_the_same_form(client: httpx.Client, method: str, path: str, status: HTTPStatus) -> None:
    """Whatever is wrong with a request, the answer is a problem with a code and a remedy."""
    response = client.request(method, path, content=b"x" if method == "PUT" else None)
    assert response.status_code == status
    assert problem(response)


def test_a_body_of_another_kind_is_refused(client: httpx.Client) -> None:
    """415 says what is taken."""
    assert problem(put(client, sealed("person", person()), Content_Type="text/csv")) == "media-type"
    assert problem(put(client, sealed("person", person()), Content_Encoding="gzip")) == "content-encoding"
