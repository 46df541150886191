"""A gateway with two destinations: a hub that accepts everything, and an official machine in a database of its own."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.gateway.conftest import HUB, REGULATOR
from tests.gateway.official.machine import Official, make_tables, sign_in

from qianzhi.db import migrate
from qianzhi.db.server import connect
from qianzhi.gateway import install
from qianzhi.gateway.backoff import Backoff
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.images import PathMap
from qianzhi.gateway.spool import Spool
from qianzhi.ledger import lanes
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime import clock
from qianzhi.synthetic import Plan, Played, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.embedded import Cluster

OFFICIAL = "official"
INSTITUTION = "440000000000000001"


@pytest.fixture(scope="session")
def molds(postgres: Cluster) -> Iterator[dict[str, str]]:
    """Names of two databases to copy, a gateway's and an official machine's, and the name of the latter's account."""
    made = {each: f"{each}_{uuid4().hex}" for each in ("gateway", "official", "role")}
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        for name in ("gateway", "official"):
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(made[name])))
        make_tables(postgres.dsn(made["official"]), REGULATOR, made["role"])
        migrate.upgrade(postgres.dsn(made["gateway"]), "qianzhi.ledger", "gateway")
        with connect(postgres.dsn(made["gateway"]), application="test") as gateway:
            install.create_staging(gateway, REGULATOR)
            lanes.register(gateway, HUB, REGULATOR, {})
            lanes.register(gateway, OFFICIAL, REGULATOR, {})
        yield made
        for name in ("gateway", "official"):
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(made[name])))
        session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(made["role"])))


@contextmanager
def copied(postgres: Cluster, mold: str) -> Iterator[str]:
    """Have a copy of a database, and its superuser's address."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        names = sql.Identifier(name), sql.Identifier(mold)
        session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
        yield postgres.dsn(name)
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))


@pytest.fixture
def official(postgres: Cluster, molds: dict[str, str], tmp_path: Path) -> Iterator[Official]:
    """An official machine for one test."""
    with copied(postgres, molds["official"]) as dsn:
        yield sign_in(dsn, tmp_path, molds["role"])


@pytest.fixture
def workplace(postgres: Cluster, molds: dict[str, str], tmp_path: Path) -> Iterator[Workplace]:
    """A gateway for one test, with lanes towards both destinations."""
    folders = tmp_path / "spool", tmp_path / "blobs"
    for folder in folders:
        folder.mkdir()
    with copied(postgres, molds["gateway"]) as dsn:
        yield Workplace(dsn=dsn, spool=Spool(folders[0]), blobs=Blobs(folders[1]), paths=PathMap({}))


@pytest.fixture
def front(official: Official, workplace: Workplace) -> Destination:
    """The destination in front of the official machine, tried again at once."""
    return Destination(
        OFFICIAL,
        REGULATOR,
        INSTITUTION,
        official.opener(REGULATOR, workplace.dsn),
        REGULATOR.schedule,
        backoff=Backoff(0.001, 0.002),
        withholds_errors=True,
    )


@pytest.fixture
def small(workplace: Workplace) -> Workplace:
    """The same gateway with batches of three rows, one after the other."""
    return replace(workplace, chunk_rows=3, pipeline_depth=1)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A hospital whose rows are models for those that a test stages."""
    plan = Plan(
        people=10,
        days=1,
        seed=3,
        last_on=clock.local_now().date() - timedelta(days=1),
        institution=INSTITUTION,
        images=tmp_path_factory.mktemp("images"),
    )
    return play(plan, REGULATOR)
