"""The tutorial can be lived through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from PIL import Image
from psycopg import sql
from tests.docs.pages import DOCS, text_of
from tests.docs.week import Typed, Week, Written, bare_environment, steps
from tests.gateway.official.machine import SECRET, make_tables, write_password

from qianzhi import regulators
from qianzhi.db.embedded import Cluster
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import write_settings

ENGLISH, CHINESE = (DOCS / "tutorial" / name for name in ("first-week.md", "first-week.zh-CN.md"))
EVIDENCE_PORT = "QIANZHI_GATEWAY__EVIDENCE__PORT"  # its section is written by the reader


@pytest.fixture(scope="module")
def official(postgres: Cluster) -> Iterator[tuple[str, str]]:
    """An official front machine that stands in the hospital: its database, and the account of hospitals."""
    database, role = f"official_{uuid4().hex}", f"us_pos_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        make_tables(postgres.dsn(database), regulators.regulator("guangdong"), role)
        yield database, role
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
        session.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture
def week(postgres: Cluster, official: tuple[str, str], free_port: Callable[[], int], tmp_path: Path) -> Iterator[Week]:
    """An empty server with the papers of a hospital; nothing of it runs any more afterwards."""
    environment = bare_environment(tmp_path)
    health, console, intake = free_port(), free_port(), free_port()
    for name in ("diagram.png", "prescription.png"):
        Image.new("RGB", (60, 40), "white").save(tmp_path / name)
    (tmp_path / "recordings").mkdir()
    (tmp_path / "home").mkdir()
    database, role = official
    machine = f"host=127.0.0.1 port={postgres.port} dbname={database} user={role}"
    instead = {
        "/var/lib/qianzhi": str(tmp_path / "home"),
        "/mnt/recordings": str(tmp_path / "recordings"),
        "host=192.0.2.9 port=5432 dbname=gdimsp user=us_pos": machine,
        ":8481/": f":{health}/",
        ":8443 ": f":{intake} ",
    }
    write_password(tmp_path / "home" / "official-pass", f"127.0.0.1:{postgres.port}:*:{role}", SECRET)
    write_settings(
        Home(tmp_path / "home"),
        {
            "gateway.database.port": free_port(),
            "gateway.health.port": health,
            "gateway.console.port": console,
            "hub.database.port": free_port(),
            "hub.intake.port": intake,
        },
    )
    answering = {End.GATEWAY: (health, console), End.HUB: (intake,)}
    living = Week(tmp_path, instead, environment | {EVIDENCE_PORT: str(free_port())}, answering)
    try:
        yield living
    finally:
        living.tear_down()


@pytest.mark.slow
def test_every_day_of_the_week_can_be_typed(week: Week) -> None:
    """Each command ends as the page says, and shows what the page shows. The Chinese page tells the same commands."""
    told = list(steps(text_of(CHINESE)))
    assert len(told) > 50
    for step in told:
        week.do(step)


def test_both_languages_live_the_same_week() -> None:
    """Neither language is told less."""
    said = [[_plain(step) for step in steps(text_of(page))] for page in (ENGLISH, CHINESE)]
    assert said[0] == said[1]


def _plain(step: Typed | Written) -> str:
    if isinstance(step, Typed):
        return step.command.replace("QIANZHI_LANGUAGE=zh", "QIANZHI_LANGUAGE=en")
    return f"{step.name}\n{step.text}"
