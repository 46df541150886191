"""A program for the tests: serves an application that says how long a body was, and fails on request."""

from __future__ import annotations

import asyncio
import sys
import time
from functools import partial
from pathlib import Path

from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.server import Application, Listener, Receive, Scope, Send, serve
from qianzhi.runtime.settings import Log

ANSWER_SECONDS = 1.5
STAY_SECONDS = 300.0


async def _answer(folder: Path, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/fail":
        raise ValueError("the value " + scope["query_string"].decode())
    if scope["path"] == "/slow":
        (folder / "answering").touch()
        await asyncio.sleep(ANSWER_SECONDS)
    body = str(length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def make(folder: Path) -> Application:
    """Return the application, as a worker does."""
    configure_logs("echo", folder, Log())
    return partial(_answer, folder)


def make_slowly(folder: Path) -> Application:
    """Be an application that takes long to load."""
    (folder / "loading").touch()
    time.sleep(STAY_SECONDS)
    return make(folder)


def main() -> None:
    """Serve on the port and, with certificate and key, over TLS; `slowly` in place of these never comes to it."""
    port, folder, *tls = sys.argv[1:]
    configure_logs("echo", Path(folder), Log())
    if tls == ["slowly"]:
        serve(partial(make_slowly, Path(folder)), Listener("127.0.0.1", int(port)))
        return
    certificate, key = map(Path, tls) if tls else (None, None)
    serve(partial(make, Path(folder)), Listener("127.0.0.1", int(port), certificate=certificate, key=key))


if __name__ == "__main__":
    main()
