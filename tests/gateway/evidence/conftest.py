"""A gateway that answers a regulator over HTTPS, as a process of its own, with files in a folder."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from qianzhi import regulators
from qianzhi.db import migrate
from qianzhi.db.server import connect
from qianzhi.gateway import assembly
from qianzhi.gateway.evidence import assembly as evidence_assembly
from qianzhi.gateway.evidence import keys, register
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.settings import Settings
from qianzhi.runtime.sources import load_settings, write_settings

if TYPE_CHECKING:
    from qianzhi.db.embedded import Cluster
    from qianzhi.regulators.protocols import Evidence

SAMPLES = Path(__file__).parent / "samples"
GUANGDONG: Evidence = regulators.adapter("guangdong", "evidence")
DEFAULT = {name: values[0] for name, values in GUANGDONG.CHOICES.items()}
BASE = "https://evidence.example/qz"
START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class Site:
    """A gateway with evidence, and a client that trusts it."""

    home: Home
    port: int
    folder: Path
    client: httpx.Client

    @property
    def settings(self) -> Settings:
        """The settings of its home."""
        return load_settings(self.home)

    @property
    def dsn(self) -> str:
        """The address of its database."""
        return assembly.owner_dsn(self.home, self.settings)

    @property
    def key(self) -> str:
        """The key in use."""
        return keys.read_keys(evidence_assembly.keys_file(self.home, "guangdong"))[-1].key

    def put(self, record: str, kind: str, sample: str, number: int = 0) -> Path:
        """Lay a sample into the folder and register it."""
        file = self.folder / f"{record}.{kind}.{number}{Path(sample).suffix}"
        shutil.copyfile(SAMPLES / sample, file)
        self.register(record, kind, str(file), number)
        return file

    def register(self, record: str, kind: str, source: str, number: int = 0) -> int:
        """Register what lies somewhere."""
        with connect(self.dsn, application="test") as session:
            return register.register(session, self.settings, record, kind, source, number=number)[0]

    def ask(self, method: str, record: str, **changes: str) -> httpx.Response:
        """Ask as the regulator does, with some parameters changed."""
        now = int(clock.now().timestamp())
        return self.get(f"/{method}", {**GUANGDONG.ask(self.key, record, DEFAULT, now=now), **changes})

    def get(self, path: str, parameters: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """Ask for an address of the service; `headers` are written with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(f"https://127.0.0.1:{self.port}{path}", params=parameters, headers=named)

    def link(self, method: str, record: str) -> str:
        """The path of the one file that an answer names."""
        asked = next(each for each in GUANGDONG.ASKED if each.method == method)
        (url,) = GUANGDONG.read(asked, self.ask(method, record).content)
        assert url.startswith(f"{BASE}/")
        return url.removeprefix(BASE)

    def log(self) -> str:
        """What the service wrote."""
        return (self.home.end(End.GATEWAY).log / "evidence.log").read_text(encoding="utf-8")


def new_database(postgres: Cluster, passfile: Path) -> str:
    """Make a database and return an address without a password in it, as settings want it."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        password = session.info.password
    passfile.write_text(f"127.0.0.1:{postgres.port}:*:postgres:{password}\n", encoding="utf-8")
    passfile.chmod(0o600)
    return f"postgresql://postgres@127.0.0.1:{postgres.port}/{name}?passfile={passfile}"


@contextmanager
def answering(postgres: Cluster, folder: Path, port: int, **more: object) -> Iterator[Site]:
    """Set a gateway up that has evidence, and let it answer."""
    home, media = Home(folder / "home"), folder / "media"
    home.create(End.GATEWAY)
    media.mkdir()
    settings = write_settings(
        home,
        {
            "gateway.database.dsn": new_database(postgres, folder / "passfile"),
            "gateway.destinations.hub.regulator": "guangdong",
            "gateway.destinations.hub.url": "https://hub.example",
            "gateway.evidence.enabled": True,
            "gateway.evidence.port": port,
            "gateway.evidence.public_base_url": BASE,
            "gateway.evidence.folders.media.folder": str(media),
            "gateway.evidence.proxies": ("127.0.0.1/32",),
            "gateway.evidence.registrars": ("127.0.0.1/32",),
            **{f"gateway.evidence.{name}": value for name, value in more.items()},
        },
    )
    migrate.upgrade(assembly.owner_dsn(home, settings), "qianzhi.ledger", "gateway")
    shown = evidence_assembly.identity(home, settings, clock.now())
    trust = ssl.create_default_context(cafile=shown.authority)
    command = [sys.executable, "-m", "qianzhi", "gateway", "evidence", "serve", "--home", str(home.path)]
    process = subprocess.Popen(command)
    try:
        with httpx.Client(verify=trust, trust_env=False, timeout=60) as client:
            site = Site(home, port, media, client)
            _await_health(site, process)
            yield site
    finally:
        process.terminate()
        process.wait(STOP_SECONDS_MAX)


def _await_health(site: Site, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, "the service ended"
        try:
            if site.get("/healthz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the service did not answer")


@pytest.fixture(scope="session")
def site(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Site]:
    """A gateway that answers, for the tests of the session; each uses records of its own."""
    with answering(postgres, tmp_path_factory.mktemp("evidence"), free_port()) as answers:
        yield answers


@pytest.fixture
def record() -> str:
    """The number of a visit that no other test uses."""
    return f"20190317{uuid4().int % 10**11:011d}"
