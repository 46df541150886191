"""One played site for the session, and what a test may ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.gateway.views.site import Site, built, drop_sender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.embedded import Cluster


@pytest.fixture(scope="session")
def site(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway whose rows are in every state, and the hub that judged them."""
    names = [f"views_{uuid4().hex}" for _ in range(2)]
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    with built(postgres.dsn(names[0]), postgres.dsn(names[1]), tmp_path_factory.mktemp("views")) as found:
        yield found
    with psycopg.connect(postgres.dsn(), autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        drop_sender(connection)


@pytest.fixture
def ask(site: Site) -> Iterator[psycopg.Connection]:
    """The gateway's own session."""
    with psycopg.connect(site.dsn, autocommit=True) as session:
        yield session


@pytest.fixture
def vendor(site: Site) -> Iterator[psycopg.Connection]:
    """The session of a hospital's system."""
    with psycopg.connect(site.sender_dsn, autocommit=True) as session:
        yield session
