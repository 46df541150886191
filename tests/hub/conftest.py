"""A hub in this process with two institutions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog
from tests.hub.samples import AS_OF, CODE, GUANGDONG, OTHER_CODE

from qianzhi.db import migrate, server
from qianzhi.hub import onboarding
from qianzhi.hub.desk import Desk, open_desk
from qianzhi.hub.identity import Sender
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from psycopg_pool import ConnectionPool

    from qianzhi.db.server import Session


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keeps the logs of this process out of the way; a process configures them when it starts."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture
def ledger(database: str) -> str:
    """The DSN of a database with an empty ledger."""
    migrate.upgrade(database, "qianzhi.ledger", "hub")
    return database


@pytest.fixture
def pool(ledger: str) -> Iterator[ConnectionPool[Session]]:
    """Sessions of that database."""
    with server.pool(ledger, application="test", size_max=6) as opened:
        yield opened


@pytest.fixture
def desk(pool: ConnectionPool[Session], tmp_path: Path) -> Desk:
    """A hub for Guangdong whose clock stands still."""
    folder = tmp_path / "blobs"
    folder.mkdir()
    return open_desk(pool, Blobs(folder), [GUANGDONG], now=lambda: AS_OF.replace(tzinfo=clock.LOCAL))


@pytest.fixture
def register(desk: Desk) -> Callable[[str], str]:
    """Registers an institution and gives its credential."""

    def enter(code: str) -> str:
        with desk.pool.connection() as session:
            added = onboarding.register(session, GUANGDONG, code, "测试医院", actor="test")
            return onboarding.issue(session, added, actor="test")

    return enter


@pytest.fixture
def sender(desk: Desk, register: Callable[[str], str]) -> Sender:
    """The institution that sends."""
    return _admitted(desk, register(CODE))


@pytest.fixture
def other(desk: Desk, register: Callable[[str], str]) -> Sender:
    """Another institution."""
    return _admitted(desk, register(OTHER_CODE))


def _admitted(desk: Desk, credential: str) -> Sender:
    admitted = desk.doorkeeper.admit(f"Bearer {credential}", GUANGDONG)
    assert isinstance(admitted, Sender)
    return admitted
