"""Another machine that has files: a real HTTPS server on loopback that answers as a test wants it."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from qianzhi.runtime import clock
from qianzhi.runtime.certificates import own_identity


@dataclass
class Answer:
    """What an address answers; a range is honoured unless `ignores_range`."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ignores_range: bool = False
    pause_seconds: float = 0.0


@dataclass
class Machine:
    """A machine, whom to trust for it, and what was asked of it."""

    port: int
    authority: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)  # path, host, range

    @property
    def origin(self) -> str:
        """Its origin."""
        return f"https://localhost:{self.port}"


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Let a machine answer."""
    identity = own_identity(folder, [], now=clock.now())
    told = Machine(0, identity.authority or folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            told.asked.append((self.path, self.headers.get("Host", ""), wanted))
            answer = told.answers.get(self.path, Answer(status=404))
            content, headers, status = answer.content, dict(answer.headers), answer.status
            if wanted and status == 200 and not answer.ignores_range:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                size = len(content)
                part = content[int(first) : int(last or size) + 1] if first else content[-int(last) :]
                begin = int(first or size - int(last))
                status = 206 if part else 416
                headers["Content-Range"] = (
                    f"bytes {begin}-{begin + len(part) - 1}/{size}" if part else f"bytes */{size}"
                )
                content = part
            time.sleep(answer.pause_seconds)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who breaks off is no matter
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(identity.certificate, identity.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
