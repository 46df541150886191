from __future__ import annotations

import base64
import gc
import gzip
import hashlib
import socket
import ssl
import struct
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import polars as pl
import pytest

from qianzhi.errors import OperatorError, QianzhiError, RetryableError, SenderError
from qianzhi.regulators.guangdong.deliver import PIECE_BYTES, HubDoor, open_door
from qianzhi.runtime import clock
from qianzhi.runtime.certificates import own_identity
from qianzhi.sealing import envelopes
from qianzhi.sealing.envelopes import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH_ID = UUID("0190f3a4-0000-4000-8000-000000000001")
MANIFEST = Manifest(BATCH_ID, "guangdong", "person", "1", "ab" * 32, "44", datetime(2026, 11, 20, 2, 0))
SEALED = b"sealed\x00bytes"
DIGEST = hashlib.sha256(SEALED).digest()
RECEIPT = orjson.dumps(
    {
        "batch_id": str(BATCH_ID),
        "digest": DIGEST.hex(),
        "received_at": "2026-11-20T03:00:00+08:00",
        "submitted": 1,
        "accepted": 1,
        "rejected": [],
        "findings": [],
    }
)
PROBLEM = orjson.dumps({"code": "some-code", "remedy": "Do something."})
ANSWER_SECONDS = 90.0
PATIENCE_SECONDS = 0.6


@dataclass
class Hub:
    """A server of this machine that answers as a test says, and remembers what it was asked."""

    port: int
    authority: str
    reply: Callable[[BaseHTTPRequestHandler], None]
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://localhost:{self.port}"

    @property
    def tls(self) -> ssl.SSLContext:
        """The context of a client that trusts it."""
        return ssl.create_default_context(cafile=self.authority)

    def door(self, **more: Any) -> HubDoor:
        """Return a door to it."""
        return HubDoor(self.url, "guangdong", secret, self.tls, **({"answer_seconds": ANSWER_SECONDS} | more))


def secret() -> str:
    """Be what tells the credential."""
    return "secret"


def answering(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return a reply of one status, body and further headers."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return reply


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Certificate, key and authority of a server on this machine."""
    made = own_identity(tmp_path_factory.mktemp("certificates"), ["localhost", "127.0.0.1"], now=clock.now())
    return str(made.certificate), str(made.key), str(made.authority)


@pytest.fixture
def hub(identity: tuple[str, str, str]) -> Iterator[Hub]:
    """A hub that accepts everything, until the test says otherwise."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # the client has had enough
                self.close_connection = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            served.asked.append((self.command, self.path, dict(self.headers), body))
            served.reply(self)

        do_PUT = do_HEAD = do_GET = do_POST = do_PATCH = _answer  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    certificate, key, authority = identity
    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    served = Hub(server.server_address[1], authority, answering(200, RECEIPT))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def failure(hub: Hub, reply: Callable[[BaseHTTPRequestHandler], None], **more: Any) -> QianzhiError:
    """Send a batch that the hub does not answer with a receipt; return what is raised."""
    hub.reply = reply
    door = hub.door(**more)
    try:
        with pytest.raises(QianzhiError) as caught:
            door.send(MANIFEST, SEALED)
    finally:
        door.close()
    return caught.value


def test_a_batch_that_was_sent_is_held_by_nobody(hub: Hub) -> None:
    """The garbage collector comes rarely; megabytes must not wait for it, whatever the hub answered."""
    sealed = bytes(bytearray(SEALED))  # ours alone
    door = hub.door()
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(sealed)
        for status in (200, 503):
            hub.reply = answering(status, RECEIPT if status == 200 else PROBLEM)
            with suppress(RetryableError):
                door.send(MANIFEST, sealed)
        assert sys.getrefcount(sealed) == before
    finally:
        gc.enable()
        door.close()


def test_a_batch_is_delivered_by_one_put_under_its_id(hub: Hub) -> None:
    """With credential, type and digest; the receipt comes back read, and as it came."""
    door = hub.door()
    receipt, document = door.send(MANIFEST, SEALED)
    door.close()
    assert document == RECEIPT
    assert (receipt.batch_id, receipt.digest, receipt.accepted_count) == (BATCH_ID, DIGEST, 1)
    ((method, path, headers, body),) = hub.asked
    assert (method, path, body) == ("PUT", f"/v1/guangdong/batches/{BATCH_ID}", SEALED)
    assert headers["Authorization"] == "Bearer secret"
    assert headers["Content-Type"] == envelopes.MEDIA_TYPE
    assert headers["Content-Digest"] == f"sha-256=:{base64.b64encode(DIGEST).decode()}:"


def test_a_door_keeps_its_connection(hub: Hub) -> None:
    """Batches of a night do not shake hands each."""
    ports = []
    accept = answering(201, RECEIPT)

    def reply(request: BaseHTTPRequestHandler) -> None:
        ports.append(request.client_address[1])
        accept(request)

    hub.reply = reply
    door = open_door(hub.url + "/", secret, hub.tls)
    for _ in range(3):
        door.send(MANIFEST, SEALED)
    door.close()
    assert len(ports) == 3
    assert len(set(ports)) == 1
    assert {path for _, path, *_ in hub.asked} == {f"/v1/guangdong/batches/{BATCH_ID}"}


def test_a_rotated_credential_goes_with_the_next_request(hub: Hub) -> None:
    """A door stays open for days; nobody opens it anew for a credential."""
    credentials = iter(("old.secret", "new.secret"))
    hub.reply = answering(201, RECEIPT)
    door = open_door(hub.url, lambda: next(credentials), hub.tls)
    for _ in range(2):
        door.send(MANIFEST, SEALED)
    door.close()
    assert [headers["Authorization"] for _, _, headers, _ in hub.asked] == ["Bearer old.secret", "Bearer new.secret"]


def test_the_bytes_that_a_door_encodes_are_an_envelope(hub: Hub) -> None:
    """Which the other end can open."""
    door = hub.door()
    rows = pl.DataFrame({"row_id": [1], "XM": ["张三"]})
    opened = envelopes.open_envelope(door.encode(MANIFEST, rows))
    door.close()
    assert opened.manifest == MANIFEST
    assert opened.rows.equals(rows)
    assert hub.asked == []


@pytest.mark.parametrize("body", [b"", b"OK", b"{}", b"[]", b"<html></html>", RECEIPT[:-1]])
def test_nonsense_with_status_200_is_an_operators_business(hub: Hub, body: bytes) -> None:
    """Whoever answers so is no hub, and its word is no receipt."""
    assert isinstance(failure(hub, answering(200, body)), OperatorError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (413, SenderError),
        (415, OperatorError),
        (422, OperatorError),
        (400, RetryableError),
        (401, OperatorError),
        (403, OperatorError),
        (404, OperatorError),
        (405, OperatorError),
        (409, OperatorError),
        (408, RetryableError),
        (429, RetryableError),
        (500, RetryableError),
        (502, RetryableError),
        (503, RetryableError),
        (504, RetryableError),
        (507, RetryableError),
    ],
)
def test_a_refusal_says_who_must_act(hub: Hub, status: int, kind: type[QianzhiError]) -> None:
    """The batch, the gateway's operator, or nobody; with the hub's own code, and its remedy where people must act."""
    error = failure(hub, answering(status, PROBLEM))
    assert type(error) is kind
    assert error.what == f"The hub answered {status} (some-code)."
    assert error.remedy == ("The batch stays sealed and is sent again." if kind is RetryableError else "Do something.")


def test_what_the_hub_cannot_process_is_of_the_batch(hub: Hub) -> None:
    """Smaller batches may do better; an edition it does not hold, though also 422, must not cost a row."""
    problem = orjson.dumps({"code": "unprocessable", "remedy": "Send it in smaller batches."})
    assert type(failure(hub, answering(422, problem))) is SenderError
    other = orjson.dumps({"code": "ruleset-unknown", "remedy": "Import the same files."})
    assert type(failure(hub, answering(422, other))) is OperatorError


@pytest.mark.parametrize("body", [b"", b"<html>413</html>", b"[]", b'"x"', b"null", b'{"code":1}', b"\xff\xfe"])
def test_a_refusal_without_a_problem_is_one_all_the_same(hub: Hub, body: bytes) -> None:
    """The status decides; a proxy in between knows nothing of our problems."""
    error = failure(hub, answering(413, body))
    assert type(error) is SenderError
    assert error.what == "The hub answered 413 (no code)."


def test_a_long_problem_is_cut(hub: Hub) -> None:
    """It goes into the ledger and the log."""
    error = failure(hub, answering(422, orjson.dumps({"code": "c" * 10_000, "remedy": "r" * 10_000})))
    assert len(str(error)) < 2_000


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused(hub: Hub, status: int) -> None:
    """Patients' data does not follow whoever points elsewhere, not even to the same host."""
    error = failure(hub, answering(status, b"", Location=f"{hub.url}/elsewhere"))
    assert isinstance(error, OperatorError)
    assert len(hub.asked) == 1


def test_a_refused_connection_is_tried_again(identity: tuple[str, str, str], free_port: Callable[[], int]) -> None:
    """Nobody listens yet."""
    door = Hub(free_port(), identity[2], answering(200)).door()
    with pytest.raises(RetryableError, match="ConnectError"):
        door.send(MANIFEST, SEALED)
    door.close()


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"], ids=len
)
def test_a_cut_connection_is_tried_again(hub: Hub, begun: bytes) -> None:
    """Before the answer, within its head, within its body."""

    def cut(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(begun)
        request.wfile.flush()
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()
        request.close_connection = True

    assert isinstance(failure(hub, cut), RetryableError)


def test_what_is_no_http_is_tried_again(hub: Hub) -> None:
    """Something else listens at the port, for now."""

    def noise(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        request.close_connection = True

    assert isinstance(failure(hub, noise), RetryableError)


def test_an_answer_that_does_not_come_is_tried_again(hub: Hub) -> None:
    """After the time that the door has for it, and not only when the connection ends."""
    over = threading.Event()
    in_vain: list[bool] = []

    def silent(request: BaseHTTPRequestHandler) -> None:
        in_vain.append(not over.wait(ANSWER_SECONDS))
        request.close_connection = True

    assert isinstance(failure(hub, silent, answer_seconds=PATIENCE_SECONDS), RetryableError)
    assert not in_vain
    over.set()


def test_an_answer_that_drips_is_given_up(hub: Hub) -> None:
    """Each byte comes in time, and the whole would come next year."""

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000000")
        request.end_headers()
        for _ in range(3_000):
            request.wfile.write(b" ")
            time.sleep(PATIENCE_SECONDS / 20)
        to_the_end.append(True)

    to_the_end: list[bool] = []
    assert isinstance(failure(hub, drip, answer_seconds=PATIENCE_SECONDS), RetryableError)
    assert not to_the_end


@pytest.mark.parametrize("status", [200, 500])
def test_an_endless_answer_is_cut_off(hub: Hub, status: int) -> None:
    """At its bound: it can fill neither the memory nor the time of the gateway."""
    sent: list[int] = []

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        chunk = b"10000\r\n" + b"x" * 2**16 + b"\r\n"
        while len(sent) < 10_000:
            request.wfile.write(chunk)
            sent.append(2**16)

    error = failure(hub, endless, receipt_bytes_max=2**20)
    assert isinstance(error, OperatorError)
    assert error.what == "The answer is larger than 1048576 bytes."
    assert sum(sent) < 64 * 2**20


def test_an_answer_that_unpacks_without_end_is_cut_off(hub: Hub) -> None:
    """The bound is on what comes out."""
    bomb = gzip.compress(bytes(64 * 2**20))
    error = failure(
        hub, answering(200, bomb, Content_Encoding="gzip"), receipt_bytes_max=2**20, answer_seconds=ANSWER_SECONDS
    )
    assert isinstance(error, OperatorError)


def test_a_receipt_of_the_largest_size_is_read(hub: Hub) -> None:
    """The bound itself is taken, one byte less is not enough."""
    hub.reply = answering(200, RECEIPT)
    door = hub.door(receipt_bytes_max=len(RECEIPT))
    assert door.send(MANIFEST, SEALED)[1] == RECEIPT
    door.close()
    assert isinstance(failure(hub, answering(200, RECEIPT), receipt_bytes_max=len(RECEIPT) - 1), OperatorError)


def test_a_hub_that_refuses_before_it_has_read_all_is_understood(hub: Hub, identity: tuple[str, str, str]) -> None:
    """A batch too large for it is known from its head; the refusal counts, not the broken pipe."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*identity[:2])

        def serve() -> None:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.recv(2**16)
                secured.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                secured.settimeout(60)
                while secured.recv(2**16):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        door = HubDoor(f"https://localhost:{listener.getsockname()[1]}", "guangdong", secret, hub.tls)
        with pytest.raises(SenderError, match="413"):
            door.send(MANIFEST, bytes(8 * 2**20))
        door.close()
        thread.join()


def test_a_server_that_nobody_vouches_for_learns_nothing(
    hub: Hub, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the credential nor the batch leaves for a hub with another authority, or under another name."""
    other = own_identity(tmp_path_factory.mktemp("other"), ["localhost"], now=clock.now())
    assert other.authority is not None
    strange = HubDoor(hub.url, "guangdong", secret, ssl.create_default_context(cafile=str(other.authority)))
    here = socket.getaddrinfo("127.0.0.1", hub.port, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)
    misnamed = HubDoor(f"https://hub.example:{hub.port}", "guangdong", secret, hub.tls)
    for door in (strange, misnamed):
        with pytest.raises(RetryableError):
            door.send(MANIFEST, SEALED)
        door.close()
    assert hub.asked == []


def test_nothing_leaves_for_another_host(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a proxy of the environment nor a credential file of the account is asked."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.2)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for spelt in (name, name.lower()):
                monkeypatch.setenv(spelt, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
        door = hub.door()
        door.send(MANIFEST, SEALED)
        door.offer(DIGEST, "image/png", b"x")
        door.close()
        with pytest.raises(TimeoutError):
            proxy.accept()
    assert [method for method, *_ in hub.asked] == ["PUT", "HEAD"]


def test_a_blob_that_the_hub_holds_is_not_sent(hub: Hub) -> None:
    """It is asked for by its digest first."""
    hub.reply = answering(200)
    door = hub.door()
    door.offer(DIGEST, "image/png", b"x")
    door.close()
    assert [(method, path) for method, path, *_ in hub.asked] == [("HEAD", f"/v1/guangdong/blobs/{DIGEST.hex()}")]


def test_a_blob_that_the_hub_lacks_is_sent(hub: Hub) -> None:
    """With its type, under its digest."""
    missing, stored = answering(404), answering(201)
    hub.reply = lambda request: missing(request) if request.command == "HEAD" else stored(request)
    door = hub.door()
    door.offer(DIGEST, "image/png", b"x")
    door.close()
    method, path, headers, body = hub.asked[-1]
    assert (method, path, body) == ("PUT", f"/v1/guangdong/blobs/{DIGEST.hex()}", b"x")
    assert headers["Content-Type"] == "image/png"


def taking_pieces(hub: Hub, *, there: int, cut_after: int = 100) -> bytearray:
    """Let the hub take pieces behind `there`, and close the connection instead of taking more than so many."""
    kept, left = bytearray(there), [cut_after]

    def reply(request: BaseHTTPRequestHandler) -> None:
        if request.command == "HEAD":
            answering(404, Upload_Offset=str(len(kept)))(request)
            return
        if not left[0]:
            request.close_connection = True
            return
        left[0] -= 1
        assert int(request.headers["Upload-Offset"]) == len(kept)
        kept.extend(hub.asked[-1][3])
        answering(204, Upload_Offset=str(len(kept)))(request)

    hub.reply = reply
    return kept


def test_a_large_blob_goes_in_pieces(hub: Hub) -> None:
    """Each says where it begins and how long the whole is."""
    content = bytes(range(256)) * 3000
    kept = taking_pieces(hub, there=0)
    door = hub.door()
    assert door.offer(DIGEST, "image/png", content)
    door.close()
    assert bytes(kept) == content
    assert {headers["Upload-Length"] for method, _, headers, _ in hub.asked if method == "PATCH"} == {"768000"}


def test_a_cut_line_costs_no_more_than_a_piece(hub: Hub) -> None:
    """The next offer goes on behind what the hub has."""
    content = bytes(1_000_000)
    kept = taking_pieces(hub, there=0, cut_after=2)
    door = hub.door()
    with pytest.raises(RetryableError):
        door.offer(DIGEST, "image/png", content)
    taken = len(kept)
    kept = taking_pieces(hub, there=taken)
    hub.asked.clear()
    assert door.offer(DIGEST, "image/png", content)
    door.close()
    assert taken == 2 * PIECE_BYTES
    assert sum(len(body) for _, _, _, body in hub.asked) == len(content) - taken


@pytest.mark.parametrize("length", [100, PIECE_BYTES + 100, 4 * PIECE_BYTES])
def test_a_blob_that_came_whole_and_is_not_held_is_not_taken_for_sent(hub: Hub, length: int) -> None:
    """The hub ended, or its disk was full, when the last piece had come: that piece goes once more."""
    content = bytes(range(251)) * (length // 251) + bytes(length % 251)
    missing, taken = answering(404, Upload_Offset=str(length)), answering(204, Upload_Offset=str(length))
    hub.reply = lambda request: missing(request) if request.command == "HEAD" else taken(request)
    door = hub.door()
    assert door.offer(DIGEST, "image/png", content)
    door.close()
    ((method, _, headers, body),) = hub.asked[1:]
    assert (method, headers["Upload-Length"]) == ("PATCH", str(length))
    assert body == content[int(headers["Upload-Offset"]) :] == content[-PIECE_BYTES:]


def test_a_blob_waits_between_pieces_when_it_is_told(hub: Hub) -> None:
    """Rows go first: a piece is sent only if the caller says so."""
    kept = taking_pieces(hub, there=0)
    turns = iter([True, False])
    door = hub.door()
    assert not door.offer(DIGEST, "image/png", bytes(1_000_000), goes_on=lambda: next(turns))
    door.close()
    assert len(kept) == PIECE_BYTES


@pytest.mark.parametrize("offset", ["-1", "x", "1000001", "9" * 20, "\u00b2"])
def test_an_impossible_offset_stops_the_blob(hub: Hub, offset: str) -> None:
    """Whoever answers so is no hub."""
    hub.reply = answering(404, Upload_Offset=offset)
    door = hub.door()
    with pytest.raises(OperatorError):
        door.offer(DIGEST, "image/png", bytes(1_000_000))
    door.close()


def test_an_offset_that_does_not_grow_stops_the_blob(hub: Hub) -> None:
    """Sending would never end."""
    missing, standing = answering(404), answering(204, Upload_Offset="0")
    hub.reply = lambda request: missing(request) if request.command == "HEAD" else standing(request)
    door = hub.door()
    with pytest.raises(OperatorError):
        door.offer(DIGEST, "image/png", bytes(1_000_000))
    door.close()


@pytest.mark.parametrize(("status", "kind"), [(401, OperatorError), (503, RetryableError), (413, SenderError)])
@pytest.mark.parametrize("method", ["HEAD", "PUT"])
def test_a_refused_blob_says_who_must_act(hub: Hub, status: int, kind: type[QianzhiError], method: str) -> None:
    """Whether the question is refused or the blob."""
    missing, refusing = answering(404), answering(status, PROBLEM)
    hub.reply = lambda request: refusing(request) if request.command == method else missing(request)
    door = hub.door()
    with pytest.raises(kind):
        door.offer(DIGEST, "image/png", b"x")
    door.close()


def test_no_error_names_the_credential(hub: Hub) -> None:
    """Errors go into logs."""
    for status in (200, 401, 422, 503):
        assert "secret" not in repr(failure(hub, answering(status, b"x")))
