"""A pool of sessions that never keeps anybody waiting for a server that is away, and is back as soon as the server."""

from __future__ import annotations

import time
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import Connection, pq
from psycopg_pool import ConnectionPool, PoolTimeout

if TYPE_CHECKING:
    from qianzhi.db.server import Session

AWAY_SECONDS = 1.0  # how long nobody else waits after somebody waited in vain
CHECK_SECONDS_MAX = 2.0  # how long a session may take to say that it is there
RECONNECT_SECONDS_MAX = 4.0  # how long the pool tries by itself; afterwards with the next who asks
_IDLE_SECONDS_MAX = 300.0


class Pool(ConnectionPool[Connection[tuple[Any, ...]]]):
    """
    Lends sessions, each checked when lent.

    Who asks waits up to `wait_seconds`; those who ask soon after that was in vain get PoolTimeout at once, so that
    waits do not add up where many share few threads.
    """

    def __init__(
        self, conninfo: str, *, name: str, size_min: int, size_max: int, autocommit: bool, wait_seconds: float
    ) -> None:
        self._away_until = 0.0
        super().__init__(
            conninfo,
            connection_class=Connection,
            kwargs={"autocommit": autocommit},
            min_size=size_min,
            max_size=size_max,
            max_idle=_IDLE_SECONDS_MAX,
            timeout=wait_seconds,
            # Its own pauses between attempts double: after an hour's failure it would be away for half an hour more.
            reconnect_timeout=RECONNECT_SECONDS_MAX,
            check=self._require_answer,
            name=name,
            open=True,
        )

    def getconn(self, timeout: float | None = None) -> Session:
        """Lend a session; to be given back by `putconn`. PoolTimeout: the server is away, or every session is lent."""
        if time.monotonic() < self._away_until:
            raise PoolTimeout("the server was away a moment ago")
        try:
            return super().getconn(timeout)
        except PoolTimeout:
            self._away_until = time.monotonic() + AWAY_SECONDS
            raise

    def _require_answer(self, session: Session) -> None:
        try:
            require_answer(session)
        except psycopg.Error:
            self.drain()  # what ended one has mostly ended all, and finding them out one by one takes seconds
            raise


def require_answer(session: Session) -> None:
    """Raise OperationalError unless a session answers soon: psycopg's own check waits for a frozen server for ever."""
    until, line = time.monotonic() + CHECK_SECONDS_MAX, session.pgconn
    line.send_query(b"")
    line.flush()
    with DefaultSelector() as selector:
        selector.register(line.socket, EVENT_READ)
        while True:
            while line.is_busy():
                if not selector.select(until - time.monotonic()):
                    raise psycopg.OperationalError("the session does not answer")
                line.consume_input()
            if (result := line.get_result()) is None:
                return
            if result.status != pq.ExecStatus.EMPTY_QUERY:
                raise psycopg.OperationalError("the session has ended")
