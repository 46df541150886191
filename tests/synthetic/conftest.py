"""One good and one faulty hospital, played once."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from qianzhi.regulators import regulator
from qianzhi.specs.ddl import staging_ddl
from qianzhi.synthetic import Plan, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic import Played

INSTITUTION = "440106000000000001"


@pytest.fixture(scope="session")
def guangdong() -> Regulator:
    """The shipped edition."""
    return regulator("guangdong")


@pytest.fixture(scope="session")
def plan_of() -> Callable[..., Plan]:
    """Makes plans that differ from the usual one in what is given."""

    def make(**more: object) -> Plan:
        usual: dict[str, object] = {
            "people": 120,
            "days": 5,
            "seed": 1,
            "last_on": date(2026, 11, 19),
            "institution": INSTITUTION,
            "images": Path("C:/images" if os.name == "nt" else "/srv/images"),
        }
        return Plan(**(usual | more))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def good(guangdong: Regulator, plan_of: Callable[..., Plan]) -> Played:
    """Five days without a fault."""
    return play(plan_of(), guangdong)


@pytest.fixture(scope="session")
def faulty(guangdong: Regulator, plan_of: Callable[..., Plan]) -> Played:
    """Five days with a fault for every fifth good row."""
    return play(plan_of(fault_rate=0.2), guangdong)


@pytest.fixture
def us_pos(database: str, guangdong: Regulator) -> Iterator[str]:
    """The DSN of a role with the rights of a hospital's system: select, and insert by column without the id."""
    role = f"clerk_{uuid4().hex}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA guangdong"))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'clerk'").format(sql.Identifier(role)))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA guangdong TO {}").format(sql.Identifier(role)))
        for dataset in guangdong.datasets:
            for statement in staging_ddl(dataset, "guangdong"):
                connection.execute(statement.encode())
            columns = sql.SQL(", ").join(sql.Identifier(field.name.lower()) for field in dataset.fields)
            grant = sql.SQL("GRANT SELECT, INSERT ({}) ON {} TO {}")
            table = sql.Identifier("guangdong", dataset.name)
            connection.execute(grant.format(columns, table, sql.Identifier(role)))
    yield make_conninfo(database, user=role, password="clerk")  # noqa: S106  # of a database that is thrown away
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
