from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pyarrow as pa
import pytest
from tests.faults import rows
from tests.faults.field import BODY_MIB_MAX, BODY_SECONDS_MAX, REGULATOR

from qianzhi.hub import assembly, onboarding
from qianzhi.runtime import clock
from qianzhi.runtime.sources import load_settings
from qianzhi.sealing.envelopes import MEDIA_TYPE as SEALED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.field import Field

SOON_SECONDS_MAX = 60.0

pytestmark = pytest.mark.faults

OTHER = "440000000000000777"  # so that the gateway's institution has no batch that its gateway does not know
JSON = "application/json"
BOMB_MIB = 2_048
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Sender:
    """A system of another institution, which speaks to the hub by itself."""

    field: Field
    client: httpx.Client
    secret: str

    def put(self, body: Any, *, media_type: str = JSON, **headers: str) -> httpx.Response:
        """Submit a body under a fresh id."""
        return self.client.put(f"/batches/{uuid4()}", content=body, headers={"Content-Type": media_type, **headers})

    def batch(self, **values: str | None) -> dict[str, Any]:
        """Return a good batch of one row; `values` replace fields of the row."""
        frame = rows.contacts([rows.label()], **({"JGDM": OTHER} | values))
        regulator = self.field.regulator
        return {
            "dataset": "contacts",
            "edition": regulator.edition,
            "ruleset": regulator.digest,
            "as_of": f"{clock.local_now():%Y-%m-%dT%H:%M:%S}",
            "institution": OTHER,
            "rows": [{"row_id": number, **row} for number, row in enumerate(frame.to_dicts(), 1)],
        }

    def connection(self) -> ssl.SSLSocket:
        """Open a connection on which a test writes what it likes."""
        context = ssl.create_default_context(cafile=self.field.authority)
        parts = urlsplit(self.field.hub_url)
        plain = socket.create_connection((parts.hostname, parts.port), timeout=90)
        return context.wrap_socket(plain, server_hostname=parts.hostname)

    def head(self, length: int) -> bytes:
        """Return the head of a request that submits a body of a length."""
        lines = (
            f"PUT /v1/{REGULATOR}/batches/{uuid4()} HTTP/1.1",
            "Host: hub",
            f"Authorization: Bearer {self.secret}",
            f"Content-Type: {JSON}",
            f"Content-Length: {length}",
        )
        return "\r\n".join((*lines, "", "")).encode()


@pytest.fixture(scope="module")
def sender(field: Field) -> Iterator[Sender]:
    """A system with a credential of its own; at the end its good batches are still taken."""
    with assembly.session(field.home, load_settings(field.home), application="test") as session:
        found = onboarding.register(session, REGULATOR, OTHER, "另一家互联网医院", actor="test")
        secret = onboarding.issue(session, found, actor="test")
    trust = ssl.create_default_context(cafile=field.authority)
    with httpx.Client(
        base_url=f"{field.hub_url}/v1/{REGULATOR}",
        headers={"Authorization": f"Bearer {secret}"},
        verify=trust,
        trust_env=False,
        timeout=60,
    ) as client:
        yield Sender(field, client, secret)


@pytest.fixture(autouse=True)
def _neighbours_pass(sender: Sender) -> Iterator[None]:
    """After whatever was sent, a good batch is accepted at once."""
    yield
    began = time.monotonic()
    answer = sender.put(json.dumps(sender.batch()))
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1), answer.text
    assert time.monotonic() - began < SOON_SECONDS_MAX


@pytest.mark.parametrize(
    "encoding", ["gbk", "utf-16", "utf-8-sig", "latin-1-amid-utf-8", "half a character", "lone surrogate"]
)
def test_a_wrong_encoding_is_refused(sender: Sender, encoding: str) -> None:
    """A body that is not UTF-8 gets a problem that says so, and nothing of it is guessed."""
    text = json.dumps(sender.batch(FZRXM="院长"), ensure_ascii=False)
    body = {
        "latin-1-amid-utf-8": text.encode().replace("院长".encode(), b"\xe9t\xe9"),
        "half a character": text.encode().replace("院长".encode(), "院".encode()[:2]),
        "lone surrogate": text.encode().replace("院长".encode(), b"\\ud800"),
    }.get(encoding) or text.encode(encoding)
    answer = sender.put(body)
    assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable")
    assert "UTF-8" in answer.json()["detail"]
    assert answer.json()["remedy"]


@pytest.mark.parametrize("spoilt", ["\x00", "张\x00三"])
def test_a_nul_is_a_finding(sender: Sender, spoilt: str) -> None:
    """What PostgreSQL cannot hold is told as what it is; the other rows of the batch are accepted."""
    batch = sender.batch()
    batch["rows"].append(sender.batch(FZRXM=spoilt)["rows"][0] | {"row_id": 2})
    answer = sender.put(json.dumps(batch))
    assert answer.status_code == 200
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, [2])
    told = {(each["row_id"], each["field"], each["class"]) for each in answer.json()["findings"]}
    assert (2, "FZRXM", "E03") in told


def test_a_text_of_ten_megabytes_is_a_finding(sender: Sender) -> None:
    """It is as long as the door allows, so it is judged; and the answer does not repeat it."""
    answer = sender.put(json.dumps(sender.batch(FZRXM="x" * 10 * MIB)))
    assert (answer.status_code, answer.json()["rejected"]) == (200, [1])
    assert len(answer.content) < MIB


def test_an_announced_body_that_is_too_large_is_refused(sender: Sender) -> None:
    """What the head announces is enough to refuse it; the answer comes when the sender has said its say."""
    answer = sender.put(bytes(BODY_MIB_MAX * MIB + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


def test_an_unannounced_body_that_is_too_large_is_cut_off(sender: Sender) -> None:
    """A body without a length is refused as soon as it passes the bound."""
    answer = sender.put(bytes(MIB) for _ in range(BODY_MIB_MAX + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


def test_a_slow_body_is_not_waited_for(sender: Sender) -> None:
    """A sender that dribbles gets an answer when its time is over."""
    began = time.monotonic()
    with sender.connection() as connection:
        connection.sendall(sender.head(1_000))
        connection.settimeout(BODY_SECONDS_MAX / 10)
        while time.monotonic() - began < SOON_SECONDS_MAX:
            try:
                connection.sendall(b" ")
                answer = connection.recv(1024)
                break
            except TimeoutError:
                continue
        else:
            pytest.fail("no answer")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began > BODY_SECONDS_MAX


def test_a_body_that_breaks_off_leaves_nothing(sender: Sender) -> None:
    """A connection that ends amid a body has not submitted anything."""
    before = sender.field.ask_hub("SELECT count(*) FROM qianzhi.batches")
    with sender.connection() as connection:
        connection.sendall(sender.head(1_000) + b"{")
    assert sender.field.ask_hub("SELECT count(*) FROM qianzhi.batches") == before


def test_another_institutions_batch_is_refused(sender: Sender) -> None:
    """A credential speaks for its own institution: neither a batch of another one nor a row of it gets in."""
    refused = sender.put(json.dumps(sender.batch() | {"institution": "440000000000000001"}))
    assert (refused.status_code, refused.json()["code"]) == (403, "foreign-institution")
    answer = sender.put(json.dumps(sender.batch(JGDM="440000000000000001")))
    assert (answer.status_code, answer.json()["rejected"]) == (200, [1])
    assert "V20" in {each["code"] for each in answer.json()["findings"]}


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x.y", "Basic eDp5", "Bearer " + "x" * 5_000])
def test_nobody_gets_in_without_a_credential(sender: Sender, authorization: str) -> None:
    """Whatever else is said, the answer is the same 401."""
    answer = sender.put(json.dumps(sender.batch()), Authorization=authorization)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("kind", ["zeros", "an Arrow stream of zeros"])
def test_a_bomb_does_not_go_off(sender: Sender, kind: str) -> None:
    """A few kilobytes that unpack to gigabytes are refused at the bound, soon, while others are served."""
    began = time.monotonic()
    answer = sender.put(bomb(kind), media_type=SEALED)
    assert (answer.status_code, answer.json()["code"]) == (422, "unprocessable")
    assert time.monotonic() - began < SOON_SECONDS_MAX


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Digest": "sha-256=:AAAA:"}, 400),
        ({"Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(b'x').digest()).decode()}:"}, 400),
        ({"Content-Type": "text/csv"}, 415),
    ],
)
def test_a_head_that_does_not_fit_is_refused(sender: Sender, headers: dict[str, str], status: int) -> None:
    """What the head says of the body must be true and known."""
    answer = sender.client.put(
        f"/batches/{uuid4()}", content=json.dumps(sender.batch()), headers={"Content-Type": JSON, **headers}
    )
    assert answer.status_code == status
    assert answer.json()["remedy"]


def bomb(kind: str) -> bytes:
    """Return a small zstd stream of very many zeros, bare or behind the beginning of an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        if kind != "zeros":
            schema = pa.schema([("row_id", pa.int64()), ("JGDM", pa.string())])
            stream.write(schema.serialize())
        for _ in range(BOMB_MIB // 16):
            stream.write(bytes(16 * MIB))
    return bytes(sink.getvalue())
