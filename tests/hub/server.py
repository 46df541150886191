"""A hub that answers over HTTPS, in a process of its own."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql
from tests.hub.samples import CODE, GUANGDONG, row

from qianzhi.db.server import connect
from qianzhi.hub import assembly, onboarding
from qianzhi.hub.install import install
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import write_settings
from qianzhi.sealing import envelopes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qianzhi.db.embedded import Cluster

BODY_BYTES_MAX = 2 * 2**20
BODY_SECONDS_MAX = 2.0
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 40.0
SERVE = (
    "import sys; from pathlib import Path; from qianzhi.hub.service import take_in; "
    "from qianzhi.runtime.home import Home; from qianzhi.runtime.sources import load_settings; "
    "home = Home(Path(sys.argv[1])); take_in(home, load_settings(home))"
)


@dataclass(frozen=True)
class Hub:
    """A hub that answers on this machine."""

    home: Home
    dsn: str
    port: int
    tls: ssl.SSLContext
    credential: str

    def client(self, credential: str | None = None) -> httpx.Client:
        """Return the client of an institution, by default of the first."""
        bearer = {"Authorization": f"Bearer {credential or self.credential}"}
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}/v1/{GUANGDONG}",
            headers=bearer,
            verify=self.tls,
            timeout=60,
            trust_env=False,
        )

    def issue(self, code: str) -> str:
        """Give a new credential of an institution, which is registered if need be."""
        with connect(self.dsn, application="test") as session:
            known = {each.code: each for each in onboarding.institutions(session)}
            found = known.get(code) or onboarding.register(session, GUANGDONG, code, "测试医院", actor="test")
            return onboarding.issue(session, found, actor="test")


def put(client: httpx.Client, batch: tuple[object, bytes], **headers: str) -> httpx.Response:
    """Send a batch; `headers` are written with _ for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.put(f"/batches/{batch[0]}", content=batch[1], headers={"Content-Type": envelopes.MEDIA_TYPE} | named)


def person(**fields: Any) -> dict[str, Any]:
    """Return a person with a card that no other test uses."""
    return row("person", **{"KH": uuid4().hex[:20]} | fields)


def problem(response: httpx.Response) -> str:
    """Return the code of a problem after looking at its form (RFC 9457)."""
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == response.status_code
    assert said.keys() == {"type", "title", "status", "detail", "code", "remedy"}
    return str(said["code"])


@contextmanager
def answering(postgres: Cluster, folder: Path, port: int) -> Iterator[Hub]:
    """Set a hub up as `hub init` does it, on a database by DSN, and let it answer."""
    home = Home(folder / "home")
    home.path.mkdir()
    settings = write_settings(
        home,
        {
            "hub.regulators": (GUANGDONG,),
            "hub.database.dsn": _new_database(postgres, folder / "passfile"),
            "hub.intake.port": port,
            "hub.intake.body_bytes_max": BODY_BYTES_MAX,
            "hub.intake.body_seconds_max": BODY_SECONDS_MAX,
        },
    )
    authority = install(home, settings).authority
    assert authority is not None
    ready = Hub(home, assembly.owner_dsn(home, settings), port, ssl.create_default_context(cafile=authority), "")
    with serving(home) as process:
        await_health(port, ready.tls, process)
        yield replace(ready, credential=ready.issue(CODE))


@contextmanager
def serving(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """Let the intake of a hub run that is set up, whether it answers or not."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(home.path)])
    try:
        yield process
    finally:
        process.terminate()
        process.wait(STOP_SECONDS_MAX)


def await_health(port: int, tls: ssl.SSLContext, serving: subprocess.Popen[bytes]) -> None:
    """Wait until a hub says that all is well."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        assert serving.poll() is None, "the hub ended"
        try:
            answer = httpx.get(f"https://127.0.0.1:{port}/healthz", verify=tls, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
            continue
        if answer.is_success:
            return
    pytest.fail("the hub did not answer")


def dribble(hub: Hub, path: str, *, length: int) -> ssl.SSLSocket:
    """Open a connection and send the head of a PUT and nothing else."""
    connection = hub.tls.wrap_socket(
        socket.create_connection(("127.0.0.1", hub.port), timeout=90), server_hostname="127.0.0.1"
    )
    head = (
        f"PUT /v1/{GUANGDONG}{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {hub.credential}\r\n"
        f"Content-Type: {envelopes.MEDIA_TYPE}\r\nContent-Length: {length}\r\n\r\n"
    )
    connection.sendall(head.encode())
    return connection


def _new_database(postgres: Cluster, passfile: Path) -> str:
    """Make a database and return an address without a password in it, as settings want it."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        password = session.info.password
    passfile.write_text(f"127.0.0.1:{postgres.port}:*:postgres:{password}\n", encoding="utf-8")
    passfile.chmod(0o600)
    return f"postgresql://postgres@127.0.0.1:{postgres.port}/{name}?passfile={passfile}"
