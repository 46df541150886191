"""Where the gateway says that its rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults import rows
from tests.gateway.conftest import stage

from qianzhi.gateway import report
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.ledger.batches import CycleKind
from qianzhi.runtime import clock

if TYPE_CHECKING:
    import psycopg
    from tests.gateway.conftest import Answerer

    from qianzhi.gateway.destination import Destination, Workplace


def test_five_numbers_account_for_every_row(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection
) -> None:
    """A row that ends at the gateway is rejected without having been submitted; what is open is missing in the sum."""
    stage(ask, "contacts", 3)
    (never_accepted,) = rows.contacts(["an office"], CXBZ=rows.REVOKE).rows()
    ask.execute(
        "INSERT INTO guangdong.contacts (jgdm, bm, fzrxm, lxdh, sjscsj, tbrqsj, cxbz)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        never_accepted,
    )
    with Dispatcher(workplace, destination) as dispatcher:
        dispatcher.advance(CycleKind.MANUAL, clock.now())
        settled = report.tallies(ask, destination)["contacts"]
        answerer.answers = False
        stage(ask, "contacts", 2)
        dispatcher.advance(CycleKind.MANUAL, clock.now())
        waiting = report.tallies(ask, destination)["contacts"]
    assert settled.as_json() == {"staged": 4, "submitted": 3, "accepted": 3, "rejected": 1, "held": 0}
    assert waiting.as_json() == {"staged": 6, "submitted": 3, "accepted": 3, "rejected": 1, "held": 0}
    assert (settled.is_accounted_for, waiting.is_accounted_for) == (True, False)
    assert (settled.in_full()["ended_here"], settled.in_full()["open"]) == (1, 0)
    assert (waiting.in_full()["ended_here"], waiting.in_full()["open"]) == (1, 2)
