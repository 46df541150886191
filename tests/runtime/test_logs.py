from __future__ import annotations

import io
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import httpx
import psycopg
import pytest
import structlog
from tests.runtime.conftest import Entries

from qianzhi.errors import OperatorError
from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.privacy import DROPPED
from qianzhi.runtime.settings import Log

ROOT = Path(__file__).parents[2]
PERSON = "Zhang San 110101199003070000"
log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_an_entry_is_a_line_of_json_with_time_level_and_component(entries: Entries) -> None:
    """What machines read has fixed keys and an instant in UTC."""
    log.info("gateway:batch:sent", dataset="person", rows=3)

    (entry,) = entries()
    assert entry.pop("timestamp").endswith("+00:00")
    assert entry == {
        "level": "info",
        "component": "worker",
        "event": "gateway:batch:sent",
        "dataset": "person",
        "rows": 3,
    }


def test_values_of_records_do_not_pass(entries: Entries) -> None:
    """A value under an unknown key and an event with a value formatted in are dropped."""
    log.warning("gateway:batch:sent", XM=PERSON, value="1")
    log.warning(PERSON)

    assert [{key: entry.get(key) for key in ("event", "XM", "value")} for entry in entries()] == [
        {"event": "gateway:batch:sent", "XM": DROPPED, "value": DROPPED},
        {"event": DROPPED, "XM": None, "value": None},
    ]


def test_exceptions_are_told_without_their_texts(entries: Entries) -> None:
    """`log.exception` and `exc_info` give type, place and the words of our own errors."""
    try:
        int(PERSON)
    except ValueError:
        log.exception("gateway:batch:failed")
    log.error("gateway:batch:failed", exc_info=psycopg.errors.UniqueViolation(PERSON))
    log.error("gateway:batch:failed", exc_info=OperatorError("The disk is full.", remedy="Make room."))

    assert [entry["error"] for entry in entries()] == ["ValueError", "UniqueViolation", "OperatorError"]
    assert entries()[1]["sqlstate"] == "23505"
    assert entries()[2]["remedy"] == "Make room."
    assert PERSON not in json.dumps(entries())


def test_a_tick_that_takes_long_is_no_warning(entries: Entries) -> None:
    """The scheduler says so every few seconds while a night's images go; what it fails at is logged."""
    scheduler = logging.getLogger("apscheduler.scheduler")
    scheduler.warning("Execution of job skipped")
    scheduler.error("Error notifying listener")
    assert [each["message"] for each in entries()] == ["Error notifying listener"]


def test_messages_of_libraries_lose_their_values(entries: Entries) -> None:
    """Only templates of a few libraries are kept, never what is formatted into them, nor an exception's text."""
    logging.getLogger("apscheduler.executors").warning("Run of %s missed", PERSON)
    logging.getLogger("somebody").warning("A value: %s", PERSON)
    logging.getLogger("somebody").error(PERSON, exc_info=ValueError(PERSON))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(PERSON, UserWarning, stacklevel=1)

    assert [entry["message"] for entry in entries()] == ["Run of %s missed", DROPPED, DROPPED, DROPPED]
    assert entries()[2]["error"] == "ValueError"
    assert PERSON not in json.dumps(entries())


def test_requests_are_not_logged_with_their_query(entries: Entries) -> None:
    """The HTTP client does not name the addresses it asks."""
    transport = httpx.MockTransport(lambda _request: httpx.Response(200))
    with httpx.Client(transport=transport) as client:
        client.get("https://hub.example/people", params={"name": PERSON})

    assert entries() == []


def test_what_nobody_catches_is_logged_and_not_printed(entries: Entries, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception that ends a thread or the process is logged by its type."""
    thread = threading.Thread(target=lambda: int(PERSON))
    thread.start()
    thread.join()
    sys.excepthook(ValueError, ValueError(PERSON), None)
    sys.excepthook(OperatorError, OperatorError("The disk is full.", remedy="Make room."), None)

    assert [entry["event"] for entry in entries()] == [
        "process:thread:uncaught",
        "process:exception:uncaught",
        "process:exception:uncaught",
    ]
    assert capsys.readouterr().err == "ValueError; the log says where.\nThe disk is full. Make room.\n"


def test_the_level_of_the_settings_applies(entries: Entries, tmp_path: Path) -> None:
    """Less severe entries are left out."""
    configure_logs("worker", tmp_path, Log(level="error"))

    log.warning("gateway:batch:sent")
    log.error("gateway:batch:failed")

    assert [entry["event"] for entry in entries()] == ["gateway:batch:failed"]


def test_a_terminal_gets_lines_for_people(entries: Entries, tmp_path: Path) -> None:
    """On a terminal the same entries are readable, and as clean."""
    terminal = Terminal()
    configure_logs("worker", tmp_path, Log(), console=terminal)

    log.info("gateway:batch:sent", dataset="person", XM=PERSON)

    assert "gateway:batch:sent" in terminal.getvalue()
    assert "person" in terminal.getvalue()
    assert PERSON not in terminal.getvalue()
    assert len(entries()) == 1


def test_the_terminal_of_a_command_is_told_what_somebody_should_look_at(entries: Entries, tmp_path: Path) -> None:
    """Warnings and errors come in words, without clock and component; the rest stands in the file alone."""
    terminal = Terminal()
    configure_logs("worker", tmp_path, Log(), console=terminal, is_command=True)

    log.info("gateway:batch:sent", dataset="person")
    log.warning("gateway:role:not_limited", role="us_pos", XM=PERSON)
    log.error("gateway:batch:failed", exc_info=OperatorError("The disk is full.", remedy="Make room."))

    assert terminal.getvalue().splitlines() == [
        f"Warning: gateway role not limited (role=us_pos, XM={DROPPED}).",
        "Error: The disk is full. Make room.",
    ]
    assert len(entries()) == 3


def test_a_full_disk_stops_neither_the_work_nor_shows_the_entry(
    entries: Entries, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An entry that cannot be written is lost in silence."""
    stream = next(
        handler.stream for handler in logging.getLogger().handlers if isinstance(handler, logging.FileHandler)
    )

    def full(_text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stream, "write", full, raising=False)
    log.error("gateway:batch:failed")
    monkeypatch.undo()
    log.error("gateway:batch:sent")

    assert [entry["event"] for entry in entries()] == ["gateway:batch:sent"]
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not rename what another process has open")
def test_several_processes_share_a_file_that_is_set_aside_when_full(tmp_path: Path) -> None:
    """Three processes lose no entry while the file is set aside many times, and old files go by their number."""
    program = f"""
import sys
from pathlib import Path
import structlog
from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.settings import Log
configure_logs("worker", Path({str(tmp_path)!r}), Log(file_bytes_max=4096, files_max=100))
for number in range(200):
    structlog.stdlib.get_logger().info("gateway:batch:sent", worker=sys.argv[1], sequence=number)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    writers = [subprocess.Popen([sys.executable, "-c", program, name], env=environment) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]

    files = [*tmp_path.glob("worker.log.[0-9]*"), tmp_path / "worker.log"]
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    assert sorted((line["worker"], line["sequence"]) for line in lines) == [
        (name, number) for name in "abc" for number in range(200)
    ]
    assert len(files) > 10
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_no_more_files_are_kept_than_the_setting_says(entries: Entries, tmp_path: Path) -> None:
    """The oldest file goes when the number is reached."""
    configure_logs("worker", tmp_path, Log(file_bytes_max=1024, files_max=2))

    for number in range(100):
        log.info("gateway:batch:sent", sequence=number)

    assert sorted(file.name for file in tmp_path.iterdir() if file.suffix != ".lock") == [
        "worker.log",
        "worker.log.1",
        "worker.log.2",
    ]
    assert entries()[-1]["sequence"] == 99
