"""
Real-time mode: one row inserted until its receipt is settled, one row after another, with nothing else going on.

Timed: from sending the INSERT (its commit included) on an open session of the hospital's account until a look at the
ledger finds the row's batch settled. The worker is the process that `gateway run` starts, the hub a process of its own
on the same PostgreSQL; both ends judge everything. The clock stops at the end of the look that finds the receipt, so
the figures are never too small, and too large by less than the time since the look before began: `look error`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from qianzhi.bench.figures import Report, Series, percentiles
from qianzhi.bench.ground import APPLICATION, DATASET
from qianzhi.bench.track import Track
from qianzhi.db.queries import load
from qianzhi.db.server import Session, connect
from qianzhi.errors import OperatorError
from qianzhi.gateway import assembly
from qianzhi.runtime import clock
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qianzhi.runtime.parts import Process

ROWS: Final = 200
ROWS_MAX: Final = 10_000
"""One after another: more would take hours and say the same."""
WARM_ROWS: Final = 5
"""Not counted: with them the worker opens its door, and both ends compile their rules."""
PEOPLE: Final = 2_000
LOOK_SECONDS: Final = 0.001
ROW_SECONDS_MAX: Final = 60.0
TOLD_ROWS: Final = 50
_DESTINATION = "all"
_SQL = load("qianzhi.bench", "latency.sql")
_MILLISECONDS = 1000.0


@dataclass(frozen=True, slots=True)
class _Scene:
    """Who takes part."""

    track: Track
    worker: Process
    hospital: Session
    ledger: Session

    def failed(self, what: str) -> OperatorError:
        return OperatorError(what, remedy=self.track.last_words(End.GATEWAY))


def run(rows: int, tell: Callable[[str], None], *, people: int = PEOPLE) -> Report:
    """Measure `rows` rows, one after another; two at least."""
    took: list[tuple[float, float, float]] = []
    with Track((_DESTINATION,), people=people, realtime=(DATASET,)) as track, track.working() as worker:
        values = [row for frame in track.visits(WARM_ROWS + rows) for row in frame.iter_rows(named=True)]
        dsn = assembly.owner_dsn(track.home, track.settings)
        with (
            connect(track.sender_dsn, application=APPLICATION, autocommit=True) as hospital,
            connect(dsn, application=APPLICATION, autocommit=True) as ledger,
        ):
            for number, row in enumerate(values, start=1):
                took.append(_row(_Scene(track, worker, hospital, ledger), row))
                if number % TOLD_ROWS == 0 or number == len(values):
                    tell(f"{number}/{len(values)} rows: the last one in {took[-1][0]:,.0f} ms")
    return _report(*map(list, zip(*took[WARM_ROWS:], strict=True)))


def _report(settled: list[float], inserted: list[float], errors: list[float]) -> Report:
    every = Series("settled", "ms", settled)
    series = [every, Series("inserted", "ms", inserted), Series("look error", "ms", errors)]
    series += [Series(name, "ms", [value]) for name, value in percentiles(settled).items()]
    facts = {
        "rows": len(settled),
        "background load": "none",
        "settled": "from sending the INSERT until its receipt is seen in the ledger",
        "inserted": "the part of it that the hospital waits for",
        "look error": "how much too large a figure may be, at most",
    }
    return Report("latency", series, facts=facts)


def _row(scene: _Scene, row: Mapping[str, Any]) -> tuple[float, float, float]:
    """Insert a row and wait for its receipt: milliseconds until then, of the INSERT, and of doubt."""
    told = {name: value for name, value in row.items() if value is not None}
    statement = sql.SQL(_SQL.insert).format(
        columns=sql.SQL(", ").join(sql.Identifier(name.lower()) for name in told),
        values=sql.SQL(", ").join(sql.Placeholder(name) for name in told),
    )
    begun = clock.monotonic()
    inserted = scene.hospital.execute(statement, told).fetchone()
    parameters = {"row_id": inserted[0] if inserted else 0}
    committed = before = looked = clock.monotonic()
    while (counts := scene.ledger.execute(_SQL.settled, parameters).fetchone()) is None:
        if (ended := scene.worker.end()) is not None or looked - begun > ROW_SECONDS_MAX:
            raise scene.failed(f"A row of the bench has no receipt (worker: {ended or 'runs'}).")
        clock.sleep(LOOK_SECONDS)
        before, looked = looked, clock.monotonic()
    found = clock.monotonic()
    if counts != (1, 1):
        raise scene.failed("A row of the bench was not accepted by itself.")
    return (found - begun) * _MILLISECONDS, (committed - begun) * _MILLISECONDS, (found - before) * _MILLISECONDS
