"""A gateway with two destinations: a hub that accepts everything, and an official machine in a database of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.gateway.conftest import REGULATOR
from tests.gateway.official.machine import Official, build

from qianzhi.db.server import connect
from qianzhi.gateway.backoff import Backoff
from qianzhi.gateway.destination import Destination
from qianzhi.ledger import lanes
from qianzhi.runtime import clock
from qianzhi.synthetic import Plan, Played, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.embedded import Cluster
    from qianzhi.gateway.destination import Workplace

OFFICIAL = "official"
INSTITUTION = "440000000000000001"


@pytest.fixture
def official(postgres: Cluster, tmp_path: Path) -> Iterator[Official]:
    """An official machine for one test."""
    name, role = f"official_{uuid4().hex}", f"us_pos_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield build(postgres.dsn(name), REGULATOR, tmp_path, role)
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture
def front(official: Official, workplace: Workplace) -> Destination:
    """The destination in front of the official machine, tried again at once."""
    with connect(workplace.dsn, application="test") as session:
        lanes.register(session, OFFICIAL, REGULATOR, {})
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
