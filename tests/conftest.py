"""What several test packages share: one embedded PostgreSQL for the session, a fresh database for a test."""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from tests.browser import Visitor

from qianzhi.db.embedded import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

# A property holds or not; how long an example takes says more of the machine than of the code.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

PORT_MIN, PORT_MAX = 20_000, 28_000  # below what the system gives to outgoing connections, and no default of ours
WORKERS_MAX = 8

# Speed instead of durability: only ever for clusters that a test throws away.
FORGETFUL = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "4GB",
}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a failed test what its visitors saw: a selector that never came tells little by itself."""
    report = yield
    if report.failed and report.when == "call" and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            if isinstance(value, Visitor):
                report.sections.append((f"the page of {name}", value.seen()))
    return report


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a TCP port of loopback that nobody listens on: each once, and no two workers the same."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS_MAX
    ports = list(range(PORT_MIN + worker, PORT_MAX, WORKERS_MAX))
    random.SystemRandom().shuffle(ports)

    def find() -> int:
        while True:
            with socket.socket() as listener, suppress(OSError):
                listener.bind(("127.0.0.1", port := ports.pop()))
                return port

    return find


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Cluster]:
    """A running embedded cluster, stopped at the end of the session."""
    directory: Path = tmp_path_factory.mktemp("postgres") / "cluster"
    cluster = Cluster(directory, port=free_port(), extra=FORGETFUL)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def database(postgres: Cluster) -> Iterator[str]:
    """The superuser's DSN of a database that exists for one test."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield postgres.dsn(name)
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
