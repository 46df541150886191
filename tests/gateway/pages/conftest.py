"""A gateway whose rows are in every state, and its console as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql
from tests.browser import Visitor, chromium, visitor
from tests.cli.conftest import site_dsn
from tests.conftest import FORGETFUL
from tests.gateway.views.site import INSTITUTION, SENDER, Site, built, drop_sender

from qianzhi.console import accounts
from qianzhi.console.roles import Role
from qianzhi.db.embedded import Cluster
from qianzhi.db.server import connect
from qianzhi.gateway import assembly
from qianzhi.gateway.install import install
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.settings import Settings
from qianzhi.runtime.sources import load_settings, write_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PASSWORD = "Right-1-password"  # noqa: S105 - of accounts that exist for the tests
START_SECONDS_MAX = 90.0


@dataclass(frozen=True)
class Gateway:
    """A gateway with its console."""

    home: Home
    base: str
    site: Site

    @property
    def settings(self) -> Settings:
        """Its settings."""
        return load_settings(self.home)

    @property
    def database_password(self) -> str:
        """What us_pos signs in with."""
        return assembly.password_file(self.home, "us_pos").read_text(encoding="utf-8")

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask its database."""
        with psycopg.connect(self.site.dsn, autocommit=True) as session:
            cursor = session.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def console(home: Home, port: int, **environment: str) -> Iterator[str]:
    """Run the console of a home; yields its address."""
    words = [sys.executable, "-m", "qianzhi", "gateway", "console", "--home", str(home.path)]
    environment = {"QIANZHI_GATEWAY__CONSOLE__PORT": str(port), **environment}
    process = subprocess.Popen(words, env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(sys.path)})
    is_https = any("TLS" in name for name in environment)
    base, until = f"{'https' if is_https else 'http'}://127.0.0.1:{port}", clock.monotonic() + START_SECONDS_MAX
    try:
        while not _answers(base):
            assert process.poll() is None
            assert clock.monotonic() < until
            clock.sleep(0.1)
        yield base
    finally:
        process.terminate()
        process.wait(60)


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/sign-in", trust_env=False, verify=False).is_success  # noqa: S501 - whether at all
    except httpx.TransportError:
        return False


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Cluster]:
    """A server of its own: every gateway that is set up on one gives us_pos, which people sign in with, a password."""
    cluster = Cluster(tmp_path_factory.mktemp("server") / "cluster", port=free_port(), extra=FORGETFUL)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="package")
def gateway(
    server: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway that was played, with the accounts viewer, operator and administrator."""
    folder, hub = tmp_path_factory.mktemp("pages"), f"hub_{uuid4().hex}"
    with psycopg.connect(server.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(hub)))
    dsn = site_dsn(server, folder)
    (folder / "credential").write_text("id.secret", encoding="utf-8")
    home = Home(folder / "home")
    home.create(End.GATEWAY)
    settings = write_settings(
        home,
        {
            "gateway.institution": INSTITUTION,
            "gateway.database.dsn": dsn,
            "gateway.destinations.hub.regulator": "guangdong",
            "gateway.destinations.hub.url": "https://127.0.0.1:9",
            "gateway.destinations.hub.credential_file": folder / "credential",
        },
    )
    install(home, settings)
    with built(dsn, server.dsn(hub), folder) as site:
        with connect(dsn, application="test") as session:
            for role in Role:
                accounts.add(session, role.value, role, PASSWORD, actor="test")
        with console(home, free_port()) as base:
            yield Gateway(home, base, site)
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(SENDER)))
        drop_sender(session)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the module."""
    with chromium() as started:
        yield started


@pytest.fixture
def guest(browser: Browser, gateway: Gateway) -> Iterator[Visitor]:
    """A fresh browser profile on the console."""
    with visitor(browser, gateway.base) as made:
        yield made


@pytest.fixture
def operator(guest: Visitor, gateway: Gateway) -> Visitor:
    """A browser in which the database's account is signed in."""
    guest.sign_in("us_pos", gateway.database_password)
    return guest


@pytest.fixture(scope="session")
def pictures() -> Path | None:
    """The folder for pictures of pages; None unless somebody asks for them."""
    named = os.environ.get("QIANZHI_SCREENSHOTS")
    return Path(named) if named else None
