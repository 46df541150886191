"""A console of its own for each module of tests, and people who may sign in to it."""

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

from qianzhi.console import accounts
from qianzhi.console.roles import Role
from qianzhi.db import migrate
from qianzhi.db.server import connect
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from qianzhi.db.embedded import Cluster

SITE = Path(__file__).with_name("site.py")
PASSWORD = "Right-1-password"  # noqa: S105 - of accounts that exist for the tests
START_SECONDS_MAX = 90.0


@dataclass(frozen=True)
class Console:
    """A console that answers, and its database."""

    base: str
    dsn: str

    @contextmanager
    def client(self, name: str | None = None, password: str = PASSWORD) -> Iterator[httpx.Client]:
        """Open a client; signed in when somebody is named."""
        with httpx.Client(base_url=self.base, headers={"origin": self.base}, trust_env=False, timeout=60) as made:
            if name is not None:
                entered = made.post("/sign-in", data={"name": name, "password": password})
                assert entered.status_code == 303, entered.text
            yield made

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask its database."""
        with psycopg.connect(self.dsn, autocommit=True) as session:
            cursor = session.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []


def prepared(postgres: Cluster) -> str:
    """Make a database with a ledger and three accounts."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    dsn = postgres.dsn(name)
    migrate.upgrade(dsn, "qianzhi.ledger", "gateway")
    with connect(dsn, application="test") as session:
        for role in Role:
            accounts.add(session, role.value, role, PASSWORD, actor="test")
    return dsn


def served(dsn: str, port: int, folder: Path, *, idle_minutes: float = 30) -> subprocess.Popen[bytes]:
    """Start a console and wait until it answers."""
    output = (folder / "console.out").open("wb")
    process = subprocess.Popen(
        [sys.executable, SITE, dsn, str(port), str(idle_minutes)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=folder,
        stdout=output,
        stderr=output,
    )
    output.close()
    until = clock.monotonic() + START_SECONDS_MAX
    while True:
        assert process.poll() is None, (folder / "console.out").read_text(encoding="utf-8")
        try:
            httpx.get(f"http://127.0.0.1:{port}/sign-in", trust_env=False, timeout=60)
        except httpx.TransportError:
            assert clock.monotonic() < until
            clock.sleep(0.1)
        else:
            return process


@pytest.fixture(scope="package")
def console(
    postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    """A console with the accounts viewer, operator and administrator, and the database's own us_pos."""
    dsn, port = prepared(postgres), free_port()
    process = served(dsn, port, tmp_path_factory.mktemp("console"))
    yield Console(f"http://127.0.0.1:{port}", dsn)
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the module."""
    with chromium() as started:
        yield started


@pytest.fixture
def guest(browser: Browser, console: Console) -> Iterator[Visitor]:
    """A fresh browser profile on the console, signed in as nobody."""
    with visitor(browser, console.base) as made:
        yield made
