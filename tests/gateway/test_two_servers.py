"""The database apart: a gateway whose PostgreSQL stands elsewhere, reached by a role that is no superuser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.cli.conftest import ask, call
from tests.conftest import FORGETFUL

from qianzhi.db.embedded import Cluster
from qianzhi.gateway.service import parts
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD = "elsewhere-1"  # noqa: S105 - of a server that exists for the test


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Cluster]:
    """A server of its own: a role that another one made there is not the gateway's to change."""
    cluster = Cluster(tmp_path_factory.mktemp("server") / "cluster", port=free_port(), extra=FORGETFUL)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, apart: Cluster) -> Path:
    """A gateway set up as the page about two servers says."""
    folder = tmp_path_factory.mktemp("apart")
    name = f"qianzhi_{uuid4().hex[:8]}"
    with psycopg.connect(apart.dsn(), autocommit=True) as administrator:
        administrator.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}").format(sql.Identifier(name), sql.Literal(PASSWORD))
        )
        administrator.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(
                sql.Identifier(name), sql.Identifier(name)
            )
        )
    passfile = folder / "pgpass"
    passfile.write_text(f"127.0.0.1:{apart.port}:{name}:{name}:{PASSWORD}\n", encoding="utf-8")
    passfile.chmod(0o600)
    (folder / "credential").write_text("id.secret", encoding="utf-8")
    dsn = f"host=127.0.0.1 port={apart.port} dbname={name} user={name} passfile={passfile}"
    words = ("--hub", "https://127.0.0.1:9", "--credential-file", str(folder / "credential"))
    made = call(folder / "home", "gateway", "init", "--dsn", dsn, "--institution", "440000000000000001", *words)
    assert made.exit_code == 0, made.output
    return folder / "home"


def test_nothing_of_a_database_is_on_the_gateways_machine(home: Path) -> None:
    """No cluster is made, and no port of PostgreSQL looked for."""
    assert list(Home(home).end(End.GATEWAY).pg.iterdir()) == []
    names = {each["name"]: each for each in ask(home, "gateway", "doctor", code=1)}
    assert names["database"]["health"] == "well"
    assert names["listener"]["health"] == names["white-list"]["health"] == "well"
    assert "port 5432" not in names


def test_hospital_systems_write_there_and_the_gateway_takes_it(home: Path) -> None:
    """`gateway dsn` leads vendors to the other server; what they insert waits for the cycle."""
    told = call(home, "gateway", "dsn").output.strip()
    with psycopg.connect(told, autocommit=True) as vendor:
        vendor.execute("INSERT INTO guangdong.person (xm) VALUES ('张三')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            vendor.execute("DELETE FROM guangdong.person")
    person = ask(home, "gateway", "status")["destinations"]["hub"]["datasets"]["person"]
    assert (person["staged"], person["open"]) == (1, 1)


@pytest.mark.parametrize(
    ("given", "taken", "told"),
    [
        (
            "GRANT UPDATE ON guangdong.person TO us_pos",
            "REVOKE UPDATE ON guangdong.person FROM us_pos",
            "+UPDATE person",
        ),
        (
            "REVOKE SELECT ON guangdong.device FROM us_pos",
            "GRANT SELECT ON guangdong.device TO us_pos",
            "-SELECT device",
        ),
    ],
)
def test_rights_that_somebody_changed_are_ill(home: Path, given: str, taken: str, told: str) -> None:
    """Too many and too few."""
    with psycopg.connect(str(load_settings(Home(home)).gateway.database.dsn), autocommit=True) as session:
        session.execute(given)
        (found,) = [each for each in ask(home, "gateway", "doctor", code=1) if each["name"] == "role us_pos"]
        session.execute(taken)
    assert (found["health"], told in found["what"]) == ("ill", True)
    (found,) = [each for each in ask(home, "gateway", "doctor", code=1) if each["name"] == "role us_pos"]
    assert found["health"] != "ill"


def test_the_white_list_is_the_other_servers(home: Path) -> None:
    """It is told what to write there, and nothing is changed here."""
    before = Home(home).settings.read_bytes()
    refused = call(home, "gateway", "whitelist", "add", "192.0.2.0/24")
    assert refused.exit_code == 1
    assert "pg_hba.conf" in str(refused.exception)
    assert Home(home).settings.read_bytes() == before


def test_the_service_needs_no_database_of_the_machine(home: Path) -> None:
    """The unit is the same; the parts that the supervisor starts are not."""
    place = Home(home)
    assert [part.name for part in parts(place, load_settings(place))][:2] == ["worker", "health"]
    assert f"--home {home}" in call(home, "gateway", "service", "print").output
