"""Commands typed in this process, against a gateway in a PostgreSQL of the site."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
import structlog
from psycopg import sql
from typer.testing import CliRunner

from qianzhi.cli import app
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import write_settings

if TYPE_CHECKING:
    from typer.testing import Result

    from qianzhi.db.embedded import Cluster

INSTITUTION = "440000000000000001"
NOWHERE = "https://127.0.0.1:9"  # nobody listens on the port of discard


@pytest.fixture(scope="package", autouse=True)
def _undone() -> Iterator[None]:
    """A command configures the logs of its process; afterwards this process has its own again."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level, logging.raiseExceptions = before
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def call(home: Path, *words: str) -> Result:
    """Type a command."""
    return CliRunner().invoke(app, [*words, "--home", str(home)], env={"COLUMNS": "1000"})


def ask(home: Path, *words: str, code: int = 0) -> Any:
    """Type a reporting command and read its JSON."""
    result = call(home, *words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def site_dsn(postgres: Cluster, folder: Path) -> str:
    """Make a database and return an address without a password in it, as settings want it."""
    name, passfile = f"test_{uuid4().hex}", folder / "passfile"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        password = session.info.password
    passfile.write_text(f"127.0.0.1:{postgres.port}:*:postgres:{password}\n", encoding="utf-8")
    passfile.chmod(0o600)
    return f"postgresql://postgres@127.0.0.1:{postgres.port}/{name}?passfile={passfile}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, postgres: Cluster) -> Path:
    """A gateway that was set up, whose hub cannot be reached."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "credential").write_text("id.secret", encoding="utf-8")
    place = folder / "home"
    words = ("--institution", INSTITUTION, "--hub", NOWHERE, "--credential-file", str(folder / "credential"))
    made = call(place, "gateway", "init", "--dsn", site_dsn(postgres, folder), *words)
    assert made.exit_code == 0, made.output
    assert made.output.splitlines() == [f"The gateway in {place} is ready."]
    write_settings(Home(place), {"gateway.retry.first_seconds": 0.01, "gateway.retry.max_seconds": 0.02})
    return place
