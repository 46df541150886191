"""What every request of the intake needs: sessions, the reception, who may enter, and how much goes on at once."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import psycopg
from anyio import CapacityLimiter
from psycopg_pool import PoolTimeout

from qianzhi.checks.catalogue import catalogue
from qianzhi.db.server import translated
from qianzhi.hub.bodies import Allowance, Limits
from qianzhi.hub.identity import Doorkeeper
from qianzhi.hub.reception import Reception, Served
from qianzhi.hub.tables import dataset_numbers, prepare
from qianzhi.regulators import adapter, regulator
from qianzhi.runtime import clock
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from typing import TypeVar

    from psycopg_pool import ConnectionPool

    from qianzhi.db.server import Session
    from qianzhi.ledger.blobs import Blobs

    T = TypeVar("T")

BATCHES_AT_ONCE_MAX: Final = 3
"""Threads that check and store batches, in one process: Polars and PostgreSQL use the rest of the machine."""

BATCHES_OF_ONE_AT_ONCE_MAX: Final = 2
"""Of those, for one institution: batches of one dataset wait for each other, and others must not wait with them."""

QUERIES_AT_ONCE_MAX: Final = 4
EXAMINATIONS_AT_ONCE_MAX: Final = 2
"""Documents that a child process looks into, each bounded in time and memory; batches must not wait for them."""

EXAMINATIONS_OF_ONE_AT_ONCE_MAX: Final = 1
"""Of those, for one institution: others do not wait for what takes it a minute."""

HEALTH_SECONDS_MAX: Final = 5.0
FREE_BYTES_MIN: Final = 256 * 2**20
SESSIONS_MAX: Final = BATCHES_AT_ONCE_MAX + QUERIES_AT_ONCE_MAX + EXAMINATIONS_AT_ONCE_MAX


@dataclass(frozen=True, slots=True)
class Desk:
    """One process of the intake."""

    pool: ConnectionPool[Session]
    served: Mapping[str, Served]
    reception: Reception
    doorkeeper: Doorkeeper
    files: Blobs
    limits: Limits = field(default_factory=Limits)
    allowance: Allowance = field(default_factory=Allowance)
    _batches: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(BATCHES_AT_ONCE_MAX))
    _queries: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(QUERIES_AT_ONCE_MAX))
    _examinations: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(EXAMINATIONS_AT_ONCE_MAX))
    _turns: dict[int, CapacityLimiter] = field(default_factory=dict)
    _examination_turns: dict[int, CapacityLimiter] = field(default_factory=dict)

    def close(self) -> None:
        """Close every session."""
        self.pool.close()

    async def query(self, work: Callable[[], T]) -> T:
        """Do something short in a thread."""
        return await anyio.to_thread.run_sync(_translated(work), limiter=self._queries)

    async def batch(self, institution_id: int, work: Callable[[], T]) -> T:
        """Do something heavy in a thread, after others of the same institution."""
        turn = self._turns.setdefault(institution_id, CapacityLimiter(BATCHES_OF_ONE_AT_ONCE_MAX))
        async with turn:
            return await anyio.to_thread.run_sync(_translated(work), limiter=self._batches)

    async def examine(self, institution_id: int, work: Callable[[], T]) -> T:
        """Look into a document in a thread, after others of the same institution."""
        turn = self._examination_turns.setdefault(institution_id, CapacityLimiter(EXAMINATIONS_OF_ONE_AT_ONCE_MAX))
        async with turn:
            return await anyio.to_thread.run_sync(_translated(work), limiter=self._examinations)

    def ailment(self) -> str | None:
        """Return what keeps this process from taking batches, or None. The words are for people who look after it."""
        try:
            with self.pool.connection(timeout=HEALTH_SECONDS_MAX) as session:
                session.execute("SELECT 1")
        except (psycopg.Error, PoolTimeout) as error:
            return f"PostgreSQL does not answer ({type(error).__name__})."
        try:
            free = shutil.disk_usage(self.files.folder).free
        except OSError:
            return "The folder of the blobs is missing."
        return None if free > FREE_BYTES_MIN else "The disk is nearly full."


def _translated(work: Callable[[], T]) -> Callable[[], T]:
    def do() -> T:
        with translated("The hub's database did not do what was asked"):
            return work()

    return do


def open_desk(
    pool: ConnectionPool[Session],
    files: Blobs,
    regulators: Iterable[str],
    *,
    limits: Limits | None = None,
    kinds: frozenset[RuleKind] = frozenset(RuleKind),
    now: Callable[[], datetime] = clock.now,
) -> Desk:
    """Prepare the tables of the regulators and return a desk for them."""
    with pool.connection() as session:
        for key in regulators:
            prepare(session, regulator(key), clock.local(now()).date())
        numbers = dataset_numbers(session)
    served = {key: _serve(key, numbers) for key in regulators}
    return Desk(
        pool=pool,
        served=served,
        reception=Reception(pool, served, kinds=kinds, now=now),
        doorkeeper=Doorkeeper(pool),
        files=files,
        limits=limits or Limits(),
    )


def _serve(key: str, numbers: Mapping[tuple[str, str], int]) -> Served:
    intake = adapter(key, "intake")
    found = regulator(key)
    return Served(
        regulator=found,
        intake=intake,
        numbers={dataset.name: numbers[key, dataset.name] for dataset in found.datasets},
        catalogue=catalogue(found),
    )
