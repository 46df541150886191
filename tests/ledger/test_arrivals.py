from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from qianzhi import regulators
from qianzhi.db import migrate
from qianzhi.gateway.install import create_staging
from qianzhi.ledger import arrivals

if TYPE_CHECKING:
    from collections.abc import Iterator

LANE = 1
ROWS = 60_000  # by a nested loop some minutes of work
SECONDS_MAX = 90.0
ARRIVED_AT = datetime(2026, 11, 19, 12, tzinfo=UTC)
CUT_OFF = ARRIVED_AT + timedelta(hours=14)


@pytest.fixture
def session(database: str) -> Iterator[psycopg.Connection]:
    """A session of a cycle, whose statements may take SECONDS_MAX."""
    migrate.upgrade(database, "qianzhi.ledger", "gateway")
    with psycopg.connect(database) as found:
        found.execute("ALTER TABLE qianzhi.arrived SET (autovacuum_enabled = off)")
        found.execute(f"SET statement_timeout = '{SECONDS_MAX}s'")
        arrivals.follow_indexes(found)
        found.commit()
        yield found


def arrive(session: psycopg.Connection, first: int, last: int, *, keys: int) -> None:
    """Let rows arrive that have so many keys between them."""
    session.execute(
        "INSERT INTO qianzhi.arrived (lane_id, row_id, key_text_hash, arrived_at)"
        " SELECT %s, id, hashint8extended(id %% %s, 0), %s FROM generate_series(%s::bigint, %s::bigint) AS id",
        (LANE, keys, ARRIVED_AT, first, last),
    )


@pytest.mark.parametrize("before", [0, 1, 2_000])
def test_old_statistics_make_no_cycle_slow(session: psycopg.Connection, before: int) -> None:
    """A day's rows that came since the server last looked are looked through in seconds, whatever it believes."""
    arrive(session, 1, before, keys=max(1, before // 2))
    session.execute("ANALYZE qianzhi.arrived")
    session.execute("TRUNCATE qianzhi.arrived")
    session.commit()
    arrive(session, 1, ROWS, keys=ROWS - 3)
    session.commit()

    repeated = arrivals.repeated_rows(session, LANE, CUT_OFF)

    assert repeated["row_id"].to_list() == [1, 2, 3, ROWS - 2, ROWS - 1, ROWS]
    assert repeated["key_text_hash"].n_unique() == 3


@pytest.mark.parametrize("before", [0, 1, 2_000])
def test_old_statistics_make_no_backstop_slow(session: psycopg.Connection, before: int) -> None:
    """What the ledger never heard of is found among a day's rows in seconds, whatever the server believes."""
    dataset = regulators.regulator("guangdong").dataset("contacts")
    create_staging(session, regulators.regulator("guangdong"))
    arrive(session, 1, before, keys=max(1, before // 2))
    session.execute("INSERT INTO guangdong.contacts (jgdm) SELECT 'A' FROM generate_series(1, %s)", (before,))
    session.execute("ANALYZE qianzhi.arrived, guangdong.contacts")
    session.execute("TRUNCATE qianzhi.arrived, guangdong.contacts RESTART IDENTITY")
    session.commit()
    session.execute("INSERT INTO guangdong.contacts (jgdm) SELECT 'A' FROM generate_series(1, %s)", (ROWS,))
    arrive(session, 1, ROWS - 2, keys=ROWS)
    session.commit()

    unheard = arrivals.missing(session, LANE, "guangdong", dataset, after=0, limit=ROWS, now=CUT_OFF)

    assert unheard["row_id"].to_list() == [ROWS - 1, ROWS]
