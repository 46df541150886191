"""What stands after the demo can be gone on with: both ends run, a row comes by psql, and goes its way."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from qianzhi.hub import assembly as hub_assembly
from qianzhi.runtime import clock
from qianzhi.runtime.home import Home
from qianzhi.runtime.parts import Process
from qianzhi.runtime.sources import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import Person

READY_SECONDS_MAX = 60.0
PERSON = {
    "JGDM": "440000000000000001",
    "KLX": "9",
    "XM": "测试甲",
    "XBDM": "1",
    "XBMC": "男性",
    "CSRQ": "1990-05-04",
    "SJSCSJ": "2026-11-19 10:00:00",
    "TBRQSJ": "2026-11-19 10:05:00",
    "CXBZ": "1",
}


@pytest.fixture(scope="module")
def running(played: tuple[Person, dict[str, Any]]) -> Iterator[Person]:
    """Run both ends as `hub run` and `gateway run` do, until the module is done."""
    import sys

    person, _ = played
    place = Home(person.home)
    settings = load_settings(place)
    authority = hub_assembly.identity(place, settings, clock.now()).authority
    context = ssl.create_default_context(cafile=str(authority))
    doors = {
        "hub": f"https://127.0.0.1:{settings.hub.intake.port}/healthz",
        "gateway": f"http://127.0.0.1:{settings.gateway.health.port}/healthz",
    }
    with ExitStack() as stack:
        for end, url in doors.items():
            process = Process(end, [sys.executable, "-m", "qianzhi", end, "run", "--home", str(person.home)])
            process.start()
            stack.callback(_stop, process)
            _await(url, context, process)
        yield person


def test_a_row_by_psql_is_accepted_at_the_hub(running: Person) -> None:
    """An ordinary client inserts as us_pos, in any letter case; the regulator's log tells of it."""
    before = running.asks("gateway", "cycle")["regulators"]["guangdong"]["person"]
    columns, values = ", ".join([*PERSON, "KH"]), ", ".join(f"'{value}'" for value in [*PERSON.values(), "K-PSQL-1"])
    _psql(running, f"INSERT INTO person ({columns}) VALUES ({values})")
    after = running.asks("gateway", "cycle")["regulators"]["guangdong"]["person"]
    assert after["staged"] == before["staged"] + 1
    assert after["accepted"] == before["accepted"] + 1
    newest = running.asks("hub", "log")[0]
    assert (newest["dataset"], newest["submitted"], newest["succeeded"], newest["failed"]) == ("person", 1, 1, 0)


def test_a_held_visit_goes_by_itself_once_its_patient_is_accepted(running: Person) -> None:
    """The visit came first; nobody touches it again."""
    with psycopg.connect(running.types("gateway", "dsn", "--role", "us_pos").strip()) as session:
        cursor = session.execute("SELECT * FROM treatment_record ORDER BY id DESC LIMIT 1")
        visit = dict(zip([each.name for each in cursor.description or ()], cursor.fetchone() or (), strict=True))
        visit |= {"kh": "K-PSQL-2", "klx": "9", "mzh": "M-PSQL-2", "cxbz": "1"}
        del visit["id"]
        names, marks = ", ".join(visit), ", ".join(f"%({name})s" for name in visit)
        session.execute(f"INSERT INTO treatment_record ({names}) VALUES ({marks})", visit)
    held = running.asks("gateway", "cycle")["regulators"]["guangdong"]["treatment_record"]
    columns, values = ", ".join([*PERSON, "KH"]), ", ".join(f"'{value}'" for value in [*PERSON.values(), "K-PSQL-2"])
    _psql(running, f"INSERT INTO person ({columns}) VALUES ({values})")
    released = running.asks("gateway", "cycle")["regulators"]["guangdong"]["treatment_record"]
    assert released["held"] == held["held"] - 1
    assert released["accepted"] + released["rejected"] == held["accepted"] + held["rejected"] + 1


def test_a_check_submits_nothing(running: Person) -> None:
    """It finds what is wrong with what waits, says so by its exit code, and leaves it waiting."""
    before = running.asks("gateway", "status")["destinations"]["hub"]["datasets"]["person"]
    columns, values = ", ".join([*PERSON, "KH"]), ", ".join(f"'{value}'" for value in [*PERSON.values(), "K-PSQL-3"])
    _psql(running, f"INSERT INTO person ({columns}) VALUES ({values.replace('1990-05-04', '1990-02-30')})")
    (finding,) = [each for each in running.asks("gateway", "check", code=1) if each["severity"] == "error"]
    assert (finding["dataset"], finding["code"], finding["class"]) == ("person", "V02", "E03")
    assert (finding["field"], finding["value"]) == ("CSRQ", "1990-02-30")
    after = running.asks("gateway", "status")["destinations"]["hub"]["datasets"]["person"]
    assert after["submitted"] == before["submitted"]
    assert after["open"] == before["open"] + 1


def test_the_hospitals_account_reads_and_inserts_and_nothing_else(running: Person) -> None:
    """What was staged cannot be changed, and the ledger is not to be seen."""
    for statement in (
        "UPDATE person SET xm = 'x'",
        "DELETE FROM person",
        "INSERT INTO person (id) OVERRIDING SYSTEM VALUE VALUES (1)",
        "CREATE TABLE mine (n int)",
        "CREATE TEMP TABLE mine (n int)",
        "SELECT * FROM qianzhi.batches",
    ):
        with (
            psycopg.connect(running.types("gateway", "dsn", "--role", "us_pos").strip()) as session,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            session.execute(statement)


def test_the_doctor_finds_nothing_ill(running: Person) -> None:
    """Everything runs, so whatever it notes is no reason for a bad exit code."""
    assert {each["health"] for each in running.asks("gateway", "doctor")} <= {"well", "note"}


def _psql(person: Person, statement: str) -> None:
    dsn = person.types("gateway", "dsn", "--role", "us_pos").strip()
    if (program := shutil.which("psql")) is None:
        with psycopg.connect(dsn) as session:
            session.execute(statement)
        return
    subprocess.run([program, dsn, "--no-psqlrc", "--quiet", "--command", statement], check=True, timeout=60)


def _await(url: str, context: ssl.SSLContext, process: Process) -> None:
    until = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < until:
        assert process.end() is None, process.name
        try:
            if httpx.get(url, verify=context, timeout=5, trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    pytest.fail(f"{process.name} does not answer")


def _stop(process: Process) -> None:
    process.stop()
    until = time.monotonic() + READY_SECONDS_MAX
    while process.end() is None and time.monotonic() < until:
        time.sleep(0.1)
    process.kill()
