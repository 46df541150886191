from __future__ import annotations

import csv
import os
import stat
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg
import pytest
from tests.gateway.conftest import REGULATOR
from tests.gateway.test_porter import submit

from qianzhi.errors import OperatorError
from qianzhi.gateway.archive import Archivist
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.restore import restore
from qianzhi.ledger.archives import Archive
from qianzhi.runtime import clock, keyfile
from qianzhi.runtime.keyfile import KeyFile

NOW = datetime(2026, 11, 20, tzinfo=clock.LOCAL)
NAMES = ["张三", '=HYPERLINK("x")', "@SUM(1)", "-1", 'a "b", c\nd', "", None]
GUARDED = ["张三", '\'=HYPERLINK("x")', "'@SUM(1)", "'-1", 'a "b", c\nd', "", ""]


@pytest.fixture
def archivist(workplace: Workplace, tmp_path: Path) -> Archivist:
    """An archivist with a key."""
    keyfile.make(tmp_path / "key", now=NOW)
    return Archivist(workplace.dsn, tmp_path / "archive", [REGULATOR], KeyFile(tmp_path / "key"), staging_days=31)


@pytest.fixture
def archive(archivist: Archivist, workplace: Workplace, destination: Destination, ask: psycopg.Connection) -> Archive:
    """An archive of people with odd names."""
    for number, name in enumerate(NAMES):
        columns = ("44", "01", str(number), name)
        ask.execute("INSERT INTO guangdong.person (jgdm, klx, kh, xm) VALUES (%s, %s, %s, %s)", columns)
    submit(workplace, destination)
    ask.execute("UPDATE qianzhi.batches SET settled_at = %s", (NOW - timedelta(days=62),))
    made = archivist.step(now=NOW)
    assert made is not None
    return made


def test_rows_come_back_as_they_were(archivist: Archivist, archive: Archive, tmp_path: Path) -> None:
    """Parquet that any reader reads, in the clear, for its owner only."""
    target = tmp_path / "rows.parquet"
    assert restore(archivist, archivist._dsn, archive, target, actor="auditor") == 7
    found = pl.read_parquet(target)
    assert found["XM"].to_list() == NAMES
    assert found["row_id"].to_list() == list(range(1, 8))
    assert os.name == "nt" or stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_spreadsheet_runs_nothing_of_them(archivist: Archivist, archive: Archive, tmp_path: Path) -> None:
    """In CSV what looks like a formula is a text, in UTF-8 that Excel recognises."""
    target = tmp_path / "rows.csv"
    restore(archivist, archivist._dsn, archive, target, actor="auditor")
    assert target.read_bytes().startswith(b"\xef\xbb\xbf")
    with target.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["XM"] for row in rows] == GUARDED
    assert [row["KH"] for row in rows] == [str(number) for number in range(7)]


def test_who_asked_is_on_record(
    archivist: Archivist, archive: Archive, tmp_path: Path, ask: psycopg.Connection
) -> None:
    """Also where no file was written in the end; and no value of a row stands there."""
    with pytest.raises(FileNotFoundError):
        restore(archivist, archivist._dsn, archive, tmp_path / "nowhere" / "rows.csv", actor="auditor")
    ((actor, event, subject, detail),) = ask.execute("SELECT actor, event, subject, detail FROM qianzhi.audit")
    assert (actor, event, subject) == ("auditor", "gateway:archive:restored", "guangdong/person.2026-09.parquet")
    assert detail == {"archive": archive.archive_id, "rows": 7, "kind": ".csv"}


def test_nothing_is_overwritten_and_no_other_kind_is_written(
    archivist: Archivist, archive: Archive, tmp_path: Path
) -> None:
    """A file that is there stays as it is."""
    (tmp_path / "there.csv").write_text("there", encoding="utf-8")
    for name in ("rows.xlsx", "rows", "there.csv"):
        with pytest.raises(OperatorError, match="exists already, or is neither"):
            restore(archivist, archivist._dsn, archive, tmp_path / name, actor="auditor")
    assert (tmp_path / "there.csv").read_text(encoding="utf-8") == "there"


def test_a_damaged_archive_is_not_restored(archivist: Archivist, archive: Archive, tmp_path: Path) -> None:
    """A person would take it for what was sent."""
    path = archivist.path(archive)
    path.write_bytes(path.read_bytes()[:-4] + b"PAR2")
    with pytest.raises(OperatorError, match=r"person\.2026-09"):
        restore(archivist, archivist._dsn, archive, tmp_path / "rows.csv", actor="auditor")
    assert not (tmp_path / "rows.csv").exists()
