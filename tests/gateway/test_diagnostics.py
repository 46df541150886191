"""The diagnostic bundle: useful, and about nobody."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import call, site_dsn

from qianzhi.gateway import diagnostics
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import load_settings, write_settings

if TYPE_CHECKING:
    from qianzhi.db.embedded import Cluster

NAME, IDENTITY, PHONE, CARD = "欧阳保密", "11010119900307891X", "13800138000", "6222020200112233"
FRAME = "gateway/cycle.py:7:advance"
EVERYTHING = f"{NAME} {IDENTITY} {PHONE} {CARD}"
PASSWORD = "hunter-2-secret"  # noqa: S105 - planted


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, postgres: Cluster) -> Home:
    """A gateway in whose every corner somebody's data were left."""
    folder = tmp_path_factory.mktemp("diagnose")
    (folder / "credential").write_text(f"id.{PASSWORD}", encoding="utf-8")
    place = folder / "home"
    words = ("--hub", "https://127.0.0.1:9", "--credential-file", str(folder / "credential"))
    made = call(place, "gateway", "init", "--dsn", site_dsn(postgres, folder), *words)
    assert made.exit_code == 0, made.output
    found = Home(place)
    write_settings(
        found,
        {
            "gateway.institution": "440000000000000001",
            "gateway.images.photos.prefix": f"D:\\{NAME}",
            "gateway.images.photos.folder": folder / NAME,
            "gateway.reminder.notify_command": ("notify", f"--token={PASSWORD}", PHONE),
        },
    )
    plant(found)
    return found


def plant(home: Home) -> None:
    """Leave values of a person in tables, logs, file names and what a destination said."""
    dsn = str(load_settings(home).gateway.database.dsn)
    with psycopg.connect(dsn, autocommit=True) as session:
        session.execute("INSERT INTO guangdong.person (xm, kh) VALUES (%s, %s)", (NAME, IDENTITY))
        session.execute(
            "INSERT INTO qianzhi.batches (batch_id, lane_id, edition, ruleset, as_of, row_ids, row_count, digest,"
            " byte_count) SELECT gen_random_uuid(), lane_id, %s, %s, now(), '{[1,2)}', 1, sha256(''), 1"
            " FROM qianzhi.lanes WHERE dataset = 'person'",
            (EVERYTHING, EVERYTHING),
        )
        session.execute(
            "INSERT INTO qianzhi.attempts (batch_id, attempted_at, took_seconds, outcome)"
            " SELECT batch_id, now(), 1, %s FROM qianzhi.batches",
            (f"OperatorError: The hub answered 400 ({EVERYTHING}).",),
        )
        session.execute(
            "INSERT INTO qianzhi.findings (lane_id, row_id, origin, code, class, field, value, detail, severity)"
            " SELECT lane_id, 1, 'gateway', 'V01', 'E01', 'XM', %s, %s, 'error' FROM qianzhi.lanes",
            (EVERYTHING, EVERYTHING),
        )
        session.execute(
            "INSERT INTO qianzhi.audit (actor, event, subject, detail) VALUES (%s, %s, %s, '{}')",
            (NAME, EVERYTHING, PHONE),
        )
    log = home.path / "gateway" / "log"
    entry = {"event": "gateway:batch:not_delivered", "level": "warning", "timestamp": "2026-11-20T01:02:03+00:00"}
    planted = [
        entry | {"what": EVERYTHING, "remedy": PHONE, "patient": NAME, "dataset": NAME, "name": PHONE, "rows": CARD},
        entry | {"event": EVERYTHING, "level": NAME, "timestamp": IDENTITY, "frames": [EVERYTHING, FRAME]},
        entry | {"what": "The hub gave no answer (ConnectError).", "dataset": "person", "rows": 3},
        [EVERYTHING],
    ]  # fmt: skip
    lines = [*(json.dumps(each, ensure_ascii=False) for each in planted), EVERYTHING]
    (log / "worker.log").write_text("\n".join(lines), encoding="utf-8")
    (home.path / "gateway" / "spool" / EVERYTHING).write_text(EVERYTHING, encoding="utf-8")
    (home.path / "gateway" / "blobs" / f"{NAME}.png").write_text(EVERYTHING, encoding="utf-8")
    settings = home.settings.read_text(encoding="utf-8")
    home.settings.write_text(f"# {EVERYTHING}\n{settings}", encoding="utf-8")


@pytest.fixture(scope="module")
def bundle(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that gateway."""
    file = tmp_path_factory.mktemp("bundle") / "bundle.zip"
    result = call(home.path, "gateway", "diagnose", "--output", str(file))
    assert result.exit_code == 0, result.output
    assert EVERYTHING not in result.output
    return file


def read(bundle: Path) -> dict[str, str]:
    """Every file of a bundle by name."""
    with zipfile.ZipFile(bundle) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.mark.parametrize("value", [NAME, IDENTITY, PHONE, CARD, PASSWORD])
def test_nothing_of_a_person_and_no_secret_is_in_it(bundle: Path, value: str) -> None:
    """Neither in a file nor in the name of one; not escaped either."""
    files = read(bundle)
    escaped = json.dumps(value)[1:-1]
    found = [name for name, text in files.items() if value in name + text or escaped in text]
    assert found == []


def test_it_holds_what_helps(bundle: Path) -> None:
    """Versions, settings, diagnoses, states, tallies, logs, sizes, the server's settings, upgrades."""
    files = read(bundle)
    assert set(files) >= {
        "versions.json", "settings.json", "doctor.json", "parts.json", "folders.json", "destinations.json",
        "postgresql.json", "tables.json", "migrations.json", "audit.json", "log/worker.log", "log/command.log",
    }  # fmt: skip
    assert json.loads(files["versions.json"])["packages"]["polars"]
    settings = json.loads(files["settings.json"])["gateway"]
    assert (settings["institution"], settings["database"]["dsn"]) == ("440000000000000001", "[set]")
    assert settings["cycle"]["chunk_rows"] == 20_000
    hub = json.loads(files["destinations.json"])["hub"]
    assert hub["datasets"]["person"]["staged"] == 1
    assert [each["outcome"] for each in hub["troubles"]] == ["OperatorError"]
    assert any(each["name"] == "deliveries to hub" for each in json.loads(files["doctor.json"]))
    assert json.loads(files["migrations.json"])[0]["name"] == "0001_ledger.sql"
    assert json.loads(files["folders.json"])["spool"]["files"] == 1
    log = [json.loads(line) for line in files["log/worker.log"].splitlines()]
    assert (log[1]["frames"], log[2]["what"], log[2]["dataset"], log[2]["rows"]) == (
        [FRAME], "The hub gave no answer (ConnectError).", "person", 3
    )  # fmt: skip


def test_without_a_database_it_still_helps(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be asked says so."""
    monkeypatch.setattr(diagnostics, "DATABASE_WAIT_SECONDS", 0.1)
    monkeypatch.setattr("qianzhi.gateway.doctor.CONNECT_SECONDS", 0.1)
    monkeypatch.setenv("QIANZHI_GATEWAY__DATABASE__DSN", "host=127.0.0.1 port=9 user=nobody")
    content = diagnostics.packed(home, load_settings(home), lambda _name: None)
    (tmp_path / "bundle.zip").write_bytes(content)
    files = read(tmp_path / "bundle.zip")
    assert json.loads(files["tables.json"])["error"] == "RetryableError"
    assert json.loads(files["versions.json"])["qianzhi"]


def test_a_long_log_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest lines are kept."""
    monkeypatch.setattr(diagnostics, "LOG_LINES_MAX", 3)
    monkeypatch.setattr(diagnostics, "LOG_BYTES_MAX", 500)
    file = tmp_path / "worker.log"
    lines = [json.dumps({"event": "a:b:c", "rows": number}) for number in range(1000)]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert [each["rows"] for each in diagnostics.log_tail(file)] == [997, 998, 999]


@given(st.text(), st.from_regex(r"[0-9]{7,18}", fullmatch=True))
def test_no_long_number_passes(around: str, number: str) -> None:
    """Wherever it stands in a text."""
    assert number not in diagnostics.plain(around + number + around)
