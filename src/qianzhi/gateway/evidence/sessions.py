"""Sessions of a process that answers: opened when first needed, so that it starts while its database is away."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from psycopg_pool import PoolTimeout

from qianzhi.db.server import pool, translated
from qianzhi.errors import RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.pool import Pool
    from qianzhi.db.server import Session

SESSIONS_MAX: Final = 4
WAIT_SECONDS_MAX: Final = 2.0
STATEMENT_SECONDS_MAX: Final = 10.0
APPLICATION: Final = "qianzhi evidence"


class Sessions:
    """Lends sessions in autocommit; for several threads."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: Pool | None = None
        self._lock = threading.Lock()

    @contextmanager
    def lend(self) -> Iterator[Session]:
        """Lend a session. Raises RetryableError while the database is away."""
        try:
            with translated("The register of evidence was not asked"), self._opened().connection() as session:
                yield session
        except PoolTimeout as error:
            raise RetryableError("The database does not answer.", remedy="Ask again later.") from error

    def close(self) -> None:
        """Close every session."""
        if self._pool is not None:
            self._pool.close()

    def _opened(self) -> Pool:
        with self._lock:
            if self._pool is None:
                self._pool = pool(
                    self._dsn,
                    application=APPLICATION,
                    size_max=SESSIONS_MAX,
                    autocommit=True,
                    statement_timeout_seconds=STATEMENT_SECONDS_MAX,
                    wait_seconds=WAIT_SECONDS_MAX,
                )
            return self._pool
