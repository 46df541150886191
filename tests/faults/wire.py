"""What stands between a gateway and its hub in these tests: a line that fails, and a hub that misbehaves."""

from __future__ import annotations

import http.server
import json
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import httpx

from qianzhi.errors import SenderError
from qianzhi.sealing.envelopes import open_envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

CHUNK_BYTES = 16_384
LOOK_SECONDS = 0.05
ANSWER_SECONDS = 90.0
PAGE = b"<html>welcome</html>"


class Line(StrEnum):
    """What a line does to a connection."""

    WHOLE = "whole"
    CUT = "cut"  # both ends lose it when the sender has sent so many bytes
    SWALLOWING = "swallowing"  # what the hub says after the handshake never comes
    SLOW = "slow"  # it comes too late


@dataclass(slots=True)
class Wire:
    """A TCP line to the hub, in threads; it cannot look into TLS, so it counts bytes and turns."""

    hub_url: str
    line: Line = Line.WHOLE
    cut_after_bytes: int = 0
    late_seconds: float = 0.0
    faults: int = 0  # how many connections have suffered
    _listener: socket.socket = field(default_factory=socket.socket)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it begins."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._listener.settimeout(LOOK_SECONDS)
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                near, _ = self._listener.accept()
                self._run(self._serve, near)

    def _serve(self, near: socket.socket) -> None:
        parts = urlsplit(self.hub_url)
        with near, suppress(OSError), socket.create_connection((parts.hostname, parts.port)) as far:
            _Connection(self, near, far).carry(self._ended)


@dataclass(slots=True)
class _Connection:
    wire: Wire
    near: socket.socket
    far: socket.socket
    _sent_bytes: int = 0
    _turns: int = 0  # 1: hello, 2: the hub's flight, 3: the sender goes on, 4: the hub answers
    _suffered: bool = False

    def carry(self, ended: threading.Event) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.near, selectors.EVENT_READ)
            selector.register(self.far, selectors.EVENT_READ)
            while not ended.is_set():
                for key, _ in selector.select(LOOK_SECONDS):
                    to_hub = key.fileobj is self.near
                    content = (self.near if to_hub else self.far).recv(CHUNK_BYTES)
                    if not content or not (self._forward(content) if to_hub else self._bring_back(content)):
                        return

    def _forward(self, content: bytes) -> bool:
        self._turns += self._turns % 2 == 0
        if self.wire.line is Line.CUT and self._sent_bytes + len(content) > self.wire.cut_after_bytes:
            self.far.sendall(content[: max(0, self.wire.cut_after_bytes - self._sent_bytes)])
            self._suffer()
            return False
        self._sent_bytes += len(content)
        self.far.sendall(content)
        return True

    def _bring_back(self, content: bytes) -> bool:
        self._turns += self._turns % 2 == 1
        if self._turns > 2 and self.wire.line is Line.SWALLOWING:
            self._suffer()
            return True
        if self._turns > 2 and self.wire.line is Line.SLOW:
            self._suffer()
            time.sleep(self.wire.late_seconds)
        self.near.sendall(content)
        return True

    def _suffer(self) -> None:
        self.wire.faults += not self._suffered
        self._suffered = True


class Manner(StrEnum):
    """How a hub behaves."""

    GOOD = "good"
    FAILING = "answers 500 and stores nothing"
    FAILING_AFTERWARDS = "answers 500 and has stored it"
    BUSY = "answers 503"
    NONSENSE = "answers 200 with a page"
    NONSENSE_AFTERWARDS = "answers 200 with a page and has stored it"
    ANOTHER_RECEIPT = "answers with the receipt of another batch"
    FOREIGN_ROWS = "rejects rows that are not of the batch"
    REJECTED_TWICE = "names a rejected row twice"
    NUL = "tells a finding with a text that no database holds"
    TWICE = "answers twice"
    ASKED_TWICE = "is asked twice, at the same time"
    REDIRECTING = "answers 302"
    TRICKLING = "answers a byte at a time"
    SILENT = "closes without an answer"
    UNKNOWN_HERE = "answers 404 as something else does"


@dataclass(slots=True)
class Relay:
    """An HTTPS server before the hub that passes on what comes, or misbehaves; blobs are always passed on."""

    hub_url: str
    tls: Path  # the hub's own folder of certificates: who asks, trusts us
    manner: Manner = Manner.GOOD
    refuses: Callable[[bytes], bool] = field(default=lambda _: False)  # of a batch's body: 422
    asked: Counter[str] = field(default_factory=Counter)  # how often under which manner
    last_receipt: bytes = b""
    _stack: ExitStack = field(default_factory=ExitStack)
    _server: _Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        trust = ssl.create_default_context(cafile=self.tls / "ca.pem")
        client = httpx.Client(base_url=self.hub_url, verify=trust, trust_env=False, timeout=ANSWER_SECONDS)
        self._stack.enter_context(client)
        self._server = _Server(self, client)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.tls / "server.pem", self.tls / "server.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._stack.enter_context(self._server)
        self._stack.callback(self._server.shutdown)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": LOOK_SECONDS}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, relay: Relay, client: httpx.Client) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.relay = relay
        self.client = client


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = ANSWER_SECONDS
    server: _Server

    def do_HEAD(self) -> None:
        self._answer(self._ask(b""))

    def do_GET(self) -> None:
        self._answer(self._ask(b""))

    def do_PUT(self) -> None:
        relay, body = self.server.relay, self.rfile.read(int(self.headers["Content-Length"]))
        if "/batches/" not in self.path:
            self._answer(self._ask(body))
            return
        relay.asked[relay.manner] += 1
        if relay.refuses(body):
            self._say(HTTPStatus.UNPROCESSABLE_ENTITY, b'{"code": "unprocessable", "remedy": "-"}')
            return
        with suppress(OSError):  # who asked may be gone
            self._behave(relay.manner, body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _behave(self, manner: Manner, body: bytes) -> None:
        if manner in _INSTEAD:
            self._say(_INSTEAD[manner], PAGE, {"Location": "https://127.0.0.1:1/"})
        elif manner in _AFTERWARDS:
            self._ask(body)
            self._say(_AFTERWARDS[manner], PAGE)
        elif manner in _CHANGED:
            self._say(HTTPStatus.OK, _CHANGED[manner](self._ask(body).content, body))
        elif manner is Manner.ANOTHER_RECEIPT:
            self._say(HTTPStatus.OK, self.server.relay.last_receipt)
        elif manner is Manner.TRICKLING:
            self._trickle()
        elif manner is Manner.SILENT:
            self.close_connection = True
        else:
            self._pass_on(body, times_asked=1 + (manner is Manner.ASKED_TWICE), answers=1 + (manner is Manner.TWICE))

    def _pass_on(self, body: bytes, *, times_asked: int, answers: int) -> None:
        others = [threading.Thread(target=self._ask, args=(body,)) for _ in range(times_asked - 1)]
        for other in others:
            other.start()
        answer = self._ask(body)
        for _ in range(answers):
            self._answer(answer)
        for other in others:
            other.join()

    def _ask(self, body: bytes) -> httpx.Response:
        names = ("Authorization", "Content-Type", "Content-Digest")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        return self.server.client.request(self.command, self.path, content=body, headers=headers)

    def _answer(self, answer: httpx.Response) -> None:
        self._say(HTTPStatus(answer.status_code), answer.content)

    def _say(self, status: HTTPStatus, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _trickle(self) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            self.wfile.write(b" ")
            time.sleep(LOOK_SECONDS)


def _tampered(receipt: bytes, rejected: list[int]) -> bytes:
    """Return a receipt that rejects these rows, its counts adding up."""
    said: dict[str, Any] = json.loads(receipt)
    said["rejected"] = rejected
    said["accepted"] = said["submitted"] - len(set(rejected))
    return json.dumps(said).encode()


def _rejecting_others(receipt: bytes, _body: bytes) -> bytes:
    return _tampered(receipt, [2**40])


def _rejecting_twice(receipt: bytes, body: bytes) -> bytes:
    row_id = int(open_envelope(body).rows["row_id"][0])
    return _tampered(receipt, [row_id, row_id])


def _with_nul(receipt: bytes, body: bytes) -> bytes:
    said: dict[str, Any] = json.loads(receipt)
    row_id = int(open_envelope(body).rows["row_id"][0])
    texts = {"code": "V01", "class": "E01", "field": "BM", "value": "\x00", "detail": None, "severity": "warning"}
    said["findings"].append({"row_id": row_id, **texts})
    return json.dumps(said).encode()


_INSTEAD = {
    Manner.FAILING: HTTPStatus.INTERNAL_SERVER_ERROR,
    Manner.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    Manner.NONSENSE: HTTPStatus.OK,
    Manner.REDIRECTING: HTTPStatus.FOUND,
    Manner.UNKNOWN_HERE: HTTPStatus.NOT_FOUND,
}
_AFTERWARDS = {
    Manner.FAILING_AFTERWARDS: HTTPStatus.INTERNAL_SERVER_ERROR,
    Manner.NONSENSE_AFTERWARDS: HTTPStatus.OK,
}
_CHANGED: Mapping[Manner, Callable[[bytes, bytes], bytes]] = {
    Manner.FOREIGN_ROWS: _rejecting_others,
    Manner.REJECTED_TWICE: _rejecting_twice,
    Manner.NUL: _with_nul,
}


def holds(text: str, column: str) -> Callable[[bytes], bool]:
    """Return whether a batch's body has a text in a column."""

    def found(body: bytes) -> bool:
        try:
            rows = open_envelope(body).rows
        except SenderError:
            return False
        return column in rows.columns and text in rows[column].to_list()

    return found
