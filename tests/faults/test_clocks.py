from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.faults import rows

from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.field import Field

pytestmark = pytest.mark.faults

HOUR = 3600.0
DAY = 24 * HOUR
YEAR = 365 * DAY


@pytest.mark.parametrize(
    "shifts_seconds",
    [(-YEAR,), (-HOUR,), (HOUR,), (2 * DAY,), (YEAR,), (0.0, YEAR, -YEAR), (0.0, 3 * HOUR, -DAY, 5 * DAY)],
)
def test_a_clock_that_jumps_costs_nothing(field: Field, shifts_seconds: tuple[float, ...]) -> None:
    """Whatever the gateway's clock says during a cycle, a cycle with the right time ends with every row settled."""
    field.stage_few()
    running = field.start_cycle(clock_shifts_seconds=shifts_seconds)
    running.end()
    assert "Traceback" not in running.errors
    field.run_until_still()


def test_a_pause_that_was_reckoned_by_a_wrong_clock_is_not_kept(field: Field, free_port: Callable[[], int]) -> None:
    """An attempt that failed a year ahead of time does not make its batch wait for a year."""
    field.stage_few()
    with field.sending_to(f"https://127.0.0.1:{free_port()}"):
        assert field.start_cycle(clock_shifts_seconds=(YEAR,)).end() == 1
    field.run_until_still()


def test_rows_that_were_inserted_under_a_wrong_clock_do_not_wait_for_it(field: Field) -> None:
    """A row that arrived in what is the future now goes with the next cycle."""
    field.run_until_still()
    field.stage({"contacts": rows.contacts([rows.label(), rows.label()])})
    field.ask_gateway("UPDATE qianzhi.arrived SET arrived_at = arrived_at + INTERVAL '1 year'")
    places = field.run_until_still()
    assert places["contacts"]["settled"]


def test_the_nightly_cycle_takes_what_was_committed_by_the_cut_off(field: Field) -> None:
    """It takes the rows of before 02:00 whatever their dates, leaves later ones to the next night, and runs once."""
    field.run_until_still()
    early, late = rows.label(), rows.label()
    field.stage({"contacts": rows.contacts([early])})
    field.ask_gateway("UPDATE qianzhi.arrived SET arrived_at = arrived_at - INTERVAL '1 day 1 hour'")
    field.stage({"contacts": rows.contacts([late])})
    assert field.start("nightly").end() == 0
    assert (is_at_hub(field, early), is_at_hub(field, late)) == (True, False)
    cycles = nightly_count(field)
    assert field.start("nightly").end() == 0
    assert nightly_count(field) == cycles
    assert field.start("nightly", clock_shifts_seconds=(until_next_cycle_seconds(),)).end() == 0
    assert nightly_count(field) == cycles + 1
    assert is_at_hub(field, late)
    field.run_until_still()


def test_a_cycle_catches_up_after_downtime(field: Field) -> None:
    """After nights without power one cycle takes every row of all of them."""
    field.run_until_still()
    labels = [rows.label() for _ in range(3)]
    for label in labels:
        field.ask_gateway("UPDATE qianzhi.arrived SET arrived_at = arrived_at - INTERVAL '1 day'")
        field.stage({"contacts": rows.contacts([label])})
    field.ask_gateway("UPDATE qianzhi.arrived SET arrived_at = arrived_at - INTERVAL '2 days'")
    field.ask_gateway("UPDATE qianzhi.cycles SET cut_off = cut_off - INTERVAL '5 days' WHERE kind = 'nightly'")
    assert field.start("nightly").end() == 0
    assert [is_at_hub(field, label) for label in labels] == [True, True, True]
    field.run_until_still()


def test_a_nightly_cycle_that_was_killed_is_gone_on_with(field: Field) -> None:
    """A night that was broken off is not taken for done."""
    from tests.faults.driver import Charge

    field.run_until_still()
    label = rows.label()
    field.stage({"contacts": rows.contacts([label])})
    field.ask_gateway("UPDATE qianzhi.arrived SET arrived_at = arrived_at - INTERVAL '2 days'")
    field.ask_gateway("UPDATE qianzhi.cycles SET cut_off = cut_off - INTERVAL '5 days' WHERE kind = 'nightly'")
    field.gateway_fuse.arm(Charge("before the cycle is closed"))
    assert field.start("nightly").end() < 0
    assert field.start("nightly").end() == 0
    assert is_at_hub(field, label)
    unfinished = field.ask_gateway("SELECT * FROM qianzhi.cycles WHERE kind = 'nightly' AND finished_at IS NULL")
    assert unfinished == []
    field.run_until_still()


def is_at_hub(field: Field, office: str) -> bool:
    """Tell whether the hub holds the contact of an office."""
    return bool(field.ask_hub("SELECT bm FROM guangdong.current_contacts WHERE bm = %s", office))


def nightly_count(field: Field) -> int:
    """Return how many nightly cycles have come to their end."""
    ((count,),) = field.ask_gateway(
        "SELECT count(*) FROM qianzhi.cycles WHERE kind = 'nightly' AND finished_at IS NOT NULL"
    )
    return int(count)


def until_next_cycle_seconds() -> float:
    """Return how far it is to the next time at which a cycle begins."""
    now = clock.local_now()
    begins = datetime.combine(now, time(3, 0, 5))
    if begins < now:
        begins += timedelta(days=1)
    return (begins - now).total_seconds()
