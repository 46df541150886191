"""A pool whose server goes away, and comes back."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psutil
import psycopg
import pytest
from psycopg_pool import PoolTimeout

from qianzhi.db import pool as pools
from qianzhi.db import server
from qianzhi.db.pool import AWAY_SECONDS, CHECK_SECONDS_MAX, require_answer

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    from qianzhi.db.embedded import Cluster

WAIT_SECONDS = 0.3
SOON_SECONDS = 20.0


def test_sessions_that_all_broke_are_replaced_at_once(postgres: Cluster, database: str) -> None:
    """Not one after the other, with a longer pause after each."""
    with server.pool(database, application="test", size_max=6) as pool:
        with ExitStack() as lent:
            broken = [lent.enter_context(pool.connection()).info.backend_pid for _ in range(6)]
        with server.connect(postgres.dsn(), application="test") as other:
            for pid in broken:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        began = time.monotonic()
        with pool.connection() as connection:
            assert connection.info.backend_pid not in broken
        assert time.monotonic() - began < SOON_SECONDS


def test_after_a_vain_wait_nobody_waits_for_a_moment(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is refused although a session was given back, and a moment later gets it."""
    with server.pool(database, application="test", size_max=1, wait_seconds=WAIT_SECONDS) as pool:
        monkeypatch.setattr(pools, "AWAY_SECONDS", SOON_SECONDS * 10)
        with pool.connection():
            assert seconds_in_vain(pool) >= WAIT_SECONDS
        seconds_in_vain(pool)
    with server.pool(database, application="test", size_max=1, wait_seconds=WAIT_SECONDS) as pool:
        monkeypatch.setattr(pools, "AWAY_SECONDS", AWAY_SECONDS)
        with pool.connection():
            assert seconds_in_vain(pool) >= WAIT_SECONDS
        time.sleep(AWAY_SECONDS)
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_session_that_says_nothing_is_not_waited_for(database: str) -> None:
    """A frozen server keeps its connections open; the check ends all the same."""
    with server.connect(database, application="test") as connection:
        require_answer(connection)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()
        began = time.monotonic()
        try:
            with pytest.raises(psycopg.OperationalError):
                require_answer(connection)
        finally:
            backend.resume()
            connection.close()
        assert time.monotonic() - began < CHECK_SECONDS_MAX + SOON_SECONDS


def seconds_in_vain(pool: ConnectionPool[Any]) -> float:
    """Ask for a session that nobody can lend; return how long that took."""
    began = time.monotonic()
    with pytest.raises(PoolTimeout):
        pool.getconn()
    return time.monotonic() - began
