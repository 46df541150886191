"""What people see of rows that an official machine has: on the page of today, in the upload log, and in the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults import rows
from tests.gateway.official.conftest import OFFICIAL
from tests.gateway.official.test_delivery import cycle, stage, told
from tests.gateway.official.test_results import exported, line, take_in
from tests.gateway.test_metrics import read

from qianzhi.gateway.metrics import gather, render
from qianzhi.gateway.views import uploads
from qianzhi.gateway.views.today import DatasetNow, today
from qianzhi.runtime import clock

if TYPE_CHECKING:
    import psycopg
    from tests.gateway.conftest import Answerer

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.runtime.home import Home


def contacts(session: psycopg.Connection, *destinations: Destination) -> list[DatasetNow]:
    """Return what today's page says of contacts, for each destination."""
    return [each for each in today(session, destinations, now=clock.now()).datasets if each.day.dataset == "contacts"]


def test_delivered_rows_stand_in_today_and_in_the_upload_log(
    workplace: Workplace, front: Destination, ask: psycopg.Connection
) -> None:
    """From the delivery on, under the day of it; the official word moves them, and the sums are those of the tally."""
    stage(ask, "contacts", rows.contacts(["a", "b", "c"]))
    stage(ask, "contacts", rows.contacts(["d"], TBRQSJ="2026-02-30 10:00:00"))
    cycle(workplace, front)
    on = clock.local_now().date()
    for accepted, failed in ((0, 0), (1, 1), (2, 1)):
        if failed:
            take_in(workplace, front, exported(line("a", "成功"), line("b", "未成功", why=("1003", "", "", "x"))))
        if accepted > 1:
            take_in(workplace, front, exported(line("c", "成功")))
        (seen,), tally = contacts(ask, front), told(ask, front)
        day = seen.day
        waiting = 3 - accepted - failed
        assert (day.submitted, day.accepted, day.failed, day.delivered) == (3, accepted, failed + 1, waiting)
        assert (seen.delivered, tally.delivered, tally.accepted) == (waiting, waiting, accepted)
        (logged,) = uploads.days(ask, since_on=on, until_on=on)
        assert (logged.submitted, logged.accepted, logged.failed) == (3, accepted, failed)
        assert (logged.delivered, logged.under_way, logged.destination) == (waiting, 0, OFFICIAL)
        (batch,) = uploads.batches(ask, on)
        assert (batch.state, batch.accepted, batch.failed) == ("delivered" if waiting else "settled", accepted, failed)
        assert batch.delivered_at is not None
        assert [attempt.outcome for attempt in batch.attempts] == ["delivered"]


def test_a_row_that_goes_to_two_destinations_was_staged_once(
    workplace: Workplace, front: Destination, destination: Destination, answerer: Answerer, ask: psycopg.Connection
) -> None:
    """Each destination has its own figures of the row; staged it was once."""
    stage(ask, "contacts", rows.contacts(["a", "b"]))
    cycle(workplace, destination)
    cycle(workplace, front)
    seen = today(ask, [destination, front], now=clock.now())
    hub, machine = contacts(ask, destination, front)
    assert (hub.day.accepted, hub.day.delivered, machine.day.accepted, machine.day.delivered) == (2, 0, 0, 2)
    assert (hub.day.staged, machine.day.staged, seen.staged) == (2, 2, 2)


def test_delivered_is_measured(home: Home, workplace: Workplace, front: Destination, ask: psycopg.Connection) -> None:
    """As a state of rows, and as an outcome of attempts."""
    stage(ask, "contacts", rows.contacts(["a", "b"]))
    cycle(workplace, front)
    found = read(render(gather(home, workplace, [front])))
    at = {"destination": OFFICIAL}
    assert found["qianzhi_rows", frozenset({**at, "dataset": "contacts", "state": "delivered"}.items())] == 2
    assert found["qianzhi_attempts_day", frozenset({**at, "outcome": "delivered"}.items())] == 1
    assert found["qianzhi_attempts_day", frozenset({**at, "outcome": "other"}.items())] == 0
