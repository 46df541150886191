"""The check ahead of the cut-off."""

from __future__ import annotations

import json
import sys
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.conftest import HUB, stage

from qianzhi.gateway import reminder
from qianzhi.gateway.health import health
from qianzhi.gateway.reminder import Reminder, check, due, notify, standing
from qianzhi.gateway.worker import Chores, Worker
from qianzhi.ledger import audit
from qianzhi.runtime import clock
from qianzhi.runtime.settings import Reminder as Settings

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.runtime.home import Home

AT = (time(20), time(1))
CUT_OFF = time(2)
DAY = timedelta(days=1)


def on(text: str) -> datetime:
    """A local instant of the 19th or 20th."""
    return datetime.fromisoformat(f"2026-11-{text}")


@pytest.mark.parametrize(
    ("now", "last", "ahead"),
    [
        ("19T19:59", None, None),  # the check of one in the morning was for a cut-off that is over
        ("19T20:00", None, "20T02:00"),
        ("19T20:01", "19T20:00", None),
        ("19T23:30", None, "20T02:00"),  # the machine slept at eight
        ("20T01:00", "19T20:00", "20T02:00"),
        ("20T01:59", "20T01:00", None),
        ("20T02:00", "19T20:00", None),
        ("20T09:00", None, None),
        ("19T20:00", "25T00:00", "20T02:00"),  # the clock was ahead
    ],
)
def test_it_is_made_at_its_hours_until_the_cut_off(now: str, last: str | None, ahead: str | None) -> None:
    """Once each; what was slept through is made up for as long as it is of use."""
    found = due(on(now), AT, CUT_OFF, on(last) if last else None)
    assert found == (on(ahead) if ahead else None)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.lists(st.times(), max_size=4), st.times())
def test_it_always_leaves_time_and_never_repeats(now: datetime, at: list[time], cut_off: time) -> None:
    """The cut-off lies ahead, within a day; right after a check none is due."""
    found = due(now, at, cut_off, None)
    assert found is None or now < found <= now + DAY
    assert due(now, at, cut_off, now) is None


def test_errors_stand_until_the_cut_off(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection
) -> None:
    """They are counted by dataset, written down once, and gone with the cut-off."""
    stage(ask, "person", 3)  # nothing but a key: what is required is missing
    evening = on("19T20:00")
    with structlog.testing.capture_logs() as logs:
        found = check(workplace, destination, AT, local_now=evening)
    assert found is not None
    assert (found.errors, found.row_count, found.cut_off) == ({"person": 3}, 3, on("20T02:00"))
    assert [entry["rows"] for entry in logs if entry["event"] == "check:reminder:raised"] == [3]
    assert standing(ask, HUB, local_now=on("20T01:59")) == found
    assert standing(ask, HUB, local_now=on("20T02:00")) is None
    assert ask.execute("SELECT count(*) FROM qianzhi.arrived").fetchone() == (3,)
    (entry,) = audit.latest(ask, reminder.RAISED)
    assert entry.detail == found.as_json()


def test_healthz_hints_at_it_and_stays_well(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection, home: Home
) -> None:
    """Errors of rows are people's work, and no failure of the gateway."""
    stage(ask, "person", 3)
    now = clock.local_now()
    check(workplace, destination, ((now - timedelta(seconds=1)).time(),), local_now=now)
    said = health(home, workplace, [destination])
    ahead = due(now, ((now - timedelta(seconds=1)).time(),), destination.schedule.cut_off, None)
    assert said["status"] == "ok"
    assert said["destinations"][HUB]["errors_before_cut_off"] == (3 if ahead else 0)


def test_what_was_put_right_is_reminded_of_no_longer(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection
) -> None:
    """The check at the next hour says so."""
    stage(ask, "person", 1)
    assert check(workplace, destination, AT, local_now=on("19T20:00")) is not None
    assert check(workplace, destination, AT, local_now=on("19T20:01")) is None
    ask.execute("DELETE FROM qianzhi.arrived")
    again = check(workplace, destination, AT, local_now=on("20T01:00"))
    assert again is not None
    assert again.errors == {}
    assert standing(ask, HUB, local_now=on("20T01:01")) is None


def test_the_worker_tells_a_program_of_the_site(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection, tmp_path: Path
) -> None:
    """Counts only, on its standard input."""
    stage(ask, "person", 2)
    now = clock.local_now()
    program = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    told = tmp_path / "told"
    hour = (now - timedelta(minutes=1)).time()
    settings = Settings(at=(hour,), notify_command=(sys.executable, "-c", program, str(told)))
    worker = Worker(workplace, [destination], Chores(settings))
    if due(now, settings.at, destination.schedule.cut_off, None) is None:
        pytest.skip("the minute before the cut-off")
    worker.remind(destination)
    said = json.loads(told.read_bytes())
    assert (said["destination"], said["errors"], said["rows"]) == (HUB, {"person": 2}, 2)
    told.unlink()
    worker.remind(destination)
    assert not told.exists()


@pytest.mark.parametrize(
    "command", [("/nonexistent/program",), (sys.executable, "-c", "import time; time.sleep(30)"), ("false",)]
)
def test_a_program_that_fails_harms_nobody(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, and bounded in time."""
    monkeypatch.setattr(reminder, "NOTIFY_SECONDS_MAX", 0.3)
    found = Reminder(HUB, on("20T02:00"), clock.now(), 1, {"person": 1})
    with structlog.testing.capture_logs() as logs:
        assert not notify(command, found)
    assert [entry["event"] for entry in logs] == ["check:reminder:not_told"]
