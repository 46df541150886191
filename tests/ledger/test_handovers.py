"""Transactions of an official machine on record: what the ledger tells of them afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl
import psycopg
import pytest
from tests.gateway.conftest import REGULATOR

from qianzhi.db import migrate
from qianzhi.ledger import batches, handovers, lanes
from qianzhi.ledger.batches import Batch, BatchState
from qianzhi.ledger.handovers import Transaction
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "official"
DATASET = "contacts"
MANY = 8_000  # batches; when each was compared with each, a quarter of a minute of work


@pytest.fixture
def session(database: str) -> Iterator[psycopg.Connection]:
    """A session of a gateway in front of an official machine; each statement has a time of its own."""
    migrate.upgrade(database, "qianzhi.ledger", "gateway")
    with psycopg.connect(database, autocommit=True) as found:
        lanes.register(found, NAME, REGULATOR, {})
        yield found


def test_what_was_under_way_beside_the_newest_number_may_have_used_later_ones(session: psycopg.Connection) -> None:
    """Of two batches the one that is refused may have asked for its numbers after the one that was noted."""
    refused, taken, asking = (sealed(session, row_count) for row_count in (40, 50, 1))
    begin(session, refused)
    begin(session, taken)
    note(session, taken, range(2, 52))
    assert batches.close(session, refused, BatchState.SPLIT)
    begin(session, asking)
    assert handovers.spent(session, asking.batch_id) == 40
    note(session, asking, range(92, 93))
    later, last = (sealed(session, 1) for _ in range(2))
    begin(session, later)
    note(session, later, range(93, 94))
    begin(session, last)
    assert handovers.spent(session, last.batch_id) == 0


def test_what_was_spent_is_looked_up_at_once_however_long_the_ledger(session: psycopg.Connection) -> None:
    """It is asked within a delivery, while others are on their way: two seconds are far more than it may take."""
    first = sealed(session, 40)
    session.execute(
        "INSERT INTO qianzhi.batches (batch_id, lane_id, edition, ruleset, as_of, row_ids, row_count, digest,"
        " byte_count, sealed_at, delivered_at, state) SELECT gen_random_uuid(), lane_id, edition, ruleset, as_of,"
        " row_ids, row_count, digest, byte_count, sealed_at - number * interval '1 minute',"
        " sealed_at - number * interval '1 minute', 'delivered' FROM qianzhi.batches, generate_series(1, %s) AS number",
        (MANY,),
    )
    for numbers in ("{}", "{[1,41)}"):
        session.execute(
            "INSERT INTO qianzhi.handovers (batch_id, handed_at, remote_transaction, remote_ids)"
            " SELECT batch_id, sealed_at, 1, %s::int8multirange FROM qianzhi.batches WHERE state = 'delivered'",
            (numbers,),
        )
    begin(session, first)
    asking = sealed(session, 1)
    begin(session, asking)
    session.execute("SET statement_timeout = '2s'")
    assert handovers.spent(session, asking.batch_id) == 40


def test_a_clock_that_ran_ahead_hides_no_newer_number(session: psycopg.Connection) -> None:
    """What was sealed tomorrow is older than what is sealed now, after somebody has set the clock right."""
    for number in range(1, handovers.LATE_COUNT + 2):
        note(session, sealed(session, 1), range(number, number + 1))
    session.execute("UPDATE qianzhi.batches SET sealed_at = sealed_at + interval '1 day'")
    assert handovers.newest_of(session, NAME, DATASET) == handovers.LATE_COUNT + 1
    note(session, sealed(session, 1), range(100, 101))
    assert handovers.newest_of(session, NAME, DATASET) == 100
    refused, asking = (sealed(session, 1) for _ in range(2))
    begin(session, refused)
    assert batches.close(session, refused, BatchState.SPLIT)
    begin(session, asking)
    assert handovers.spent(session, asking.batch_id) == 1


def test_nothing_is_decided_about_an_attempt_that_had_only_begun(session: psycopg.Connection) -> None:
    """It came to nothing and the batch goes again: who says that it is there must not be told that this is noted."""
    batch = sealed(session, 1)
    begin(session, batch)
    assert not handovers.decide(session, batch.batch_id, is_there=True)
    note(session, batch, range(7, 8))
    assert handovers.decide(session, batch.batch_id, is_there=True)


def sealed(session: psycopg.Connection, row_count: int) -> Batch:
    """Seal a batch of so many rows."""
    lane = next(each for each in lanes.lanes_of(session, NAME, REGULATOR) if each.dataset == DATASET)
    batch = Batch(uuid4(), lane.lane_id, None, "V3.0", "ab" * 32, clock.local_now(), row_count, bytes(32))
    batches.seal(session, batch, pl.Series(range(row_count), dtype=pl.Int64), byte_count=1)
    return batch


def begin(session: psycopg.Connection, batch: Batch) -> None:
    """Let an attempt at a batch begin."""
    handovers.begin(session, batch.batch_id, now=clock.now())


def note(session: psycopg.Connection, batch: Batch, numbers: range) -> None:
    """Put on record which numbers the rows of a batch got."""
    given = pl.Series(numbers, dtype=pl.Int64)
    handovers.note(session, batch.batch_id, Transaction(None, 1), given, now=clock.now())
