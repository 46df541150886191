from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest
from tests.acceptance.conftest import leftovers
from tests.acceptance.test_rows import department, is_department
from tests.acceptance.town import wait_for
from tests.faults import rows
from tests.faults.invariant import assert_each_row_once

from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from tests.acceptance.town import Town

pytestmark = pytest.mark.faults

BACK_SECONDS_MAX = 90.0
PARTS = [
    (End.GATEWAY, "worker"),
    (End.GATEWAY, "health"),
    (End.GATEWAY, "postgresql"),
    (End.HUB, "intake"),
    (End.HUB, "watch"),
    (End.HUB, "postgresql"),
]


@pytest.mark.parametrize(("end", "part"), PARTS)
def test_a_part_that_is_killed_comes_back(town: Town, end: End, part: str) -> None:
    """Without anybody doing anything, and rows flow again."""
    killed = town.part(end, part)
    killed.kill()
    wait_for("the end of the part", lambda: not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE)
    code = rows.label()
    wait_for("PostgreSQL to take rows", lambda: town.part(End.GATEWAY, "postgresql").is_running())
    insert_when_possible(town, code)
    wait_for("the row at the hub", lambda: is_department_or_none(town, code), BACK_SECONDS_MAX)
    town.wait_until_up(end)


@pytest.mark.parametrize("end", [End.GATEWAY, End.HUB])
def test_an_end_that_is_killed_as_a_whole_is_started_again(town: Town, end: End) -> None:
    """What it had started ends with it, but for PostgreSQL, which the next start takes over."""
    children = town.kill(end)
    _, alive = psutil.wait_procs(children, timeout=BACK_SECONDS_MAX)
    assert [process for process in alive if process.name() != "postgres"] == []
    town.run(end)
    code = rows.label()
    insert_when_possible(town, code)
    wait_for("the row at the hub", lambda: is_department_or_none(town, code), BACK_SECONDS_MAX)


def test_asked_to_end_both_ends_leave_nothing_running(town: Town) -> None:
    """Ctrl-C ends each with 0 and all its processes; what it held is complete."""
    town.cycle()
    assert_each_row_once(town.books)
    assert [town.stop(End.GATEWAY), town.stop(End.HUB)] == [0, 0]
    assert leftovers(town.home) == []
    town.run(End.HUB)
    town.run(End.GATEWAY)


def insert_when_possible(town: Town, code: str) -> None:
    """Insert a row as soon as the gateway's PostgreSQL takes it."""

    def inserted() -> bool:
        try:
            town.insert("department", department(code))
        except AssertionError:
            return False
        return True

    wait_for("PostgreSQL to take the row", inserted)


def is_department_or_none(town: Town, code: str) -> bool:
    """Tell whether the hub holds a department; it may not answer now."""
    import psycopg

    try:
        return is_department(town, code)
    except psycopg.OperationalError:
        return False
