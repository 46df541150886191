"""Upgrade scripts run once, in order, whole or not at all."""

from __future__ import annotations

import hashlib
import sys
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from qianzhi.db import migrate
from qianzhi.errors import ConfigurationError, OperatorError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIRST = "CREATE TABLE qianzhi.batches (n int);\nCREATE TABLE unqualified (n int);\n"
SECOND = """
CREATE FUNCTION qianzhi.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEW;
END;
$$;
INSERT INTO qianzhi.batches VALUES (100 % 7);
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Writes a package with the given scripts of the gateway, and gives its name."""
    name = f"package_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / name / "migrations" / "gateway"
    folder.mkdir(parents=True)
    (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(**texts: str) -> str:
        for path in folder.iterdir():
            path.unlink()
        for stem, text in texts.items():
            (folder / f"{stem.lstrip('_')}.sql").write_text(text, encoding="utf-8", newline="")
        return name

    yield write
    sys.modules.pop(name, None)


def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    """Give the rows of a query."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


def test_scripts_run_in_order_and_once(database: str, package: Callable[..., str]) -> None:
    """The first upgrade runs all, a later one what is new, and a repeat nothing."""
    name = package(_0001_first=FIRST)
    assert migrate.pending(database, name, "gateway") == ["0001_first.sql"]
    assert migrate.upgrade(database, name, "gateway") == ["0001_first.sql"]
    assert migrate.upgrade(database, name, "gateway") == []
    package(_0001_first=FIRST, _0002_second=SECOND)
    assert migrate.pending(database, name, "gateway") == ["0002_second.sql"]
    assert migrate.upgrade(database, name, "gateway") == ["0002_second.sql"]
    assert migrate.pending(database, name, "gateway") == []
    assert rows(database, "SELECT n FROM qianzhi.batches") == [(2,)]
    digest = hashlib.sha256(FIRST.encode()).hexdigest()
    assert rows(database, "SELECT end_name, number, checksum FROM qianzhi.migrations WHERE number = 1") == [
        ("gateway", 1, digest)
    ]


def test_names_without_a_schema_are_the_product_s(database: str, package: Callable[..., str]) -> None:
    """A script need not repeat the schema."""
    migrate.upgrade(database, package(_0001_first=FIRST), "gateway")
    assert rows(database, "SELECT 1 FROM qianzhi.unqualified") == []


def test_a_failing_script_leaves_nothing(database: str, package: Callable[..., str]) -> None:
    """What ran before it stays, the script itself is undone, and the corrected one goes on."""
    name = package(_0001_first=FIRST, _0002_second="CREATE TABLE half (n int); SELECT 1 / 0;")
    with pytest.raises(OperatorError, match=r"0002_second\.sql.*22012"):
        migrate.upgrade(database, name, "gateway")
    assert rows(database, "SELECT to_regclass('qianzhi.half'), to_regclass('qianzhi.batches')::text") == [
        (None, "qianzhi.batches")
    ]
    package(_0001_first=FIRST, _0002_second=SECOND)
    assert migrate.upgrade(database, name, "gateway") == ["0002_second.sql"]


def test_a_script_that_was_edited_is_refused(database: str, package: Callable[..., str]) -> None:
    """What the database was built with is what is shipped."""
    name = package(_0001_first=FIRST)
    migrate.upgrade(database, name, "gateway")
    package(_0001_first=FIRST + "-- edited", _0002_second=SECOND)
    with pytest.raises(OperatorError, match=r"0001_first\.sql"):
        migrate.upgrade(database, name, "gateway")
    with pytest.raises(OperatorError):
        migrate.pending(database, name, "gateway")


def test_line_ends_of_windows_are_no_edit(database: str, package: Callable[..., str]) -> None:
    """A checkout with CRLF is the same script."""
    name = package(_0001_first=FIRST)
    migrate.upgrade(database, name, "gateway")
    package(_0001_first=FIRST.replace("\n", "\r\n"))
    assert migrate.upgrade(database, name, "gateway") == []


def test_a_newer_database_is_not_touched(database: str, package: Callable[..., str]) -> None:
    """An older release does not run on what a newer one made."""
    name = package(_0001_first=FIRST, _0002_second=SECOND)
    migrate.upgrade(database, name, "gateway")
    package(_0001_first=FIRST)
    with pytest.raises(ConfigurationError, match="version 2"):
        migrate.upgrade(database, name, "gateway")


def test_two_upgrades_at_once_run_each_script_once(database: str, package: Callable[..., str]) -> None:
    """The lock of the database lets one script run at a time, whichever process runs it."""
    name = package(_0001_first=FIRST + "SELECT pg_sleep(0.2);", _0002_second=SECOND)
    ran: list[str] = []
    threads = [
        threading.Thread(target=lambda: ran.extend(migrate.upgrade(database, name, "gateway"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ran) == ["0001_first.sql", "0002_second.sql"]


@pytest.mark.parametrize(
    "texts",
    [
        {"_0002_second": SECOND},
        {"_0001_first": FIRST, "_0003_third": SECOND},
        {"_0001_first": FIRST, "_0001_other": SECOND},
        {"first": FIRST},
        {"_0001_First": FIRST},
        {"_0001_first": "CREATE TABLE a (n int);\nCOMMIT;\nDROP TABLE b;"},
        {"_0001_first": "begin;\nCREATE TABLE a (n int);"},
    ],
)
def test_wrong_scripts_are_refused(package: Callable[..., str], texts: dict[str, str]) -> None:
    """Numbers run without a gap or a repeat, names are lower-case, and a script has no transaction of its own."""
    with pytest.raises(SpecError):
        migrate.scripts(package(**texts), "gateway")


def test_an_unknown_end_is_refused(package: Callable[..., str]) -> None:
    """An end without a folder is an error, not an empty upgrade."""
    with pytest.raises(SpecError, match="hub"):
        migrate.scripts(package(_0001_first=FIRST), "hub")
