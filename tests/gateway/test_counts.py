"""Counts that grow with every statement are added up at night."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.gateway.conftest import stage

from qianzhi.gateway.worker import Worker

if TYPE_CHECKING:
    import psycopg
    from tests.gateway.conftest import Answerer

    from qianzhi.gateway.destination import Destination, Workplace


def test_the_nightly_cycle_folds_what_was_counted(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection
) -> None:
    """However many statements staged rows, a day of a dataset has one entry in the morning, and the same number."""
    for count in (1, 2, 3):
        stage(ask, "contacts", count)
    entries = "SELECT count(*), sum(row_count)::bigint FROM qianzhi.staged_counts"
    assert ask.execute(entries).fetchone() == (3, 6)
    Worker(workplace, [destination]).nightly(destination)
    assert ask.execute(entries).fetchone() == (1, 6)
    stage(ask, "contacts", 4)
    assert ask.execute(entries).fetchone() == (2, 10)
