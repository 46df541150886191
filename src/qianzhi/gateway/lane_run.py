"""One lane within one call of the dispatcher: its rows are sealed on one thread while couriers deliver those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import psycopg
import structlog

from qianzhi.errors import OperatorError, QianzhiError
from qianzhi.gateway import order, staging
from qianzhi.gateway.deliver import Delivered, quarantine_findings, recalled
from qianzhi.gateway.seal import NO_KEYS, Chunk, Sealed, Sealer, Span
from qianzhi.ledger import arrivals, batches, findings
from qianzhi.ledger.batches import RowOutcome
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from queue import Queue

    from qianzhi.db.server import Session
    from qianzhi.gateway.deliver import Courier
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.gateway.reader import Reader
    from qianzhi.ledger.batches import Batch, Cycle
    from qianzhi.ledger.lanes import Lane
    from qianzhi.regulators.protocols import Door

log = structlog.stdlib.get_logger()

Note = Callable[[str, int], None]
Flight = deque[tuple[Sealed, Future[Delivered]]]  # batches on their way, oldest first


def silent(_dataset: str, _rows: int) -> None:
    """Be told of progress and keep it to oneself."""


@dataclass(frozen=True, slots=True)
class Crew:
    """What the runs of one dispatcher share: a session to seal on, couriers with sessions of their own, a door."""

    session: Session
    reader: Reader
    workplace: Workplace
    destination: Destination
    couriers: Queue[Courier]
    door: Door
    lanes: list[Lane]


class LaneRun:
    """One lane within one call: seals chunks on this thread while couriers deliver those before."""

    def __init__(self, crew: Crew, lane: Lane, note: Note, *, is_asked_for: bool = False) -> None:
        self._crew = crew
        self._session = crew.session
        self._lane = lane
        self._note = note
        self._is_asked_for = is_asked_for
        self._sealer = Sealer(
            crew.session,
            crew.reader,
            crew.workplace,
            crew.destination,
            lane=lane,
            parents={each.dataset: each.lane_id for each in crew.lanes},
        )
        self.dataset = self._sealer.dataset
        self.postponed = False
        self._has_split = False

    def finish_sealed(self) -> None:
        """Finish what was sealed before: nothing new of the lane may overtake it."""
        while not self.postponed and (waiting := batches.open_batches(self._session, self._lane.lane_id)):
            self._session.rollback()
            for batch in waiting:
                self._finish(batch)
                if self.postponed:
                    break
        self._session.rollback()
        self._has_split = False

    def work(self, cycle: Cycle) -> int:
        """Take each row of the lane that may go now; return how many rows moved."""
        self._sealer.begin_pass()
        leave = self._behind(cycle)
        moved, after = 0, 0
        flight: Flight = deque()
        with ThreadPoolExecutor(max_workers=self._crew.workplace.pipeline_depth, thread_name_prefix="courier") as pool:
            while not self.postponed and (chunk := self._seal(cycle, after, leave, flight)):
                after, moved = chunk.last_id, moved + chunk.moved_count
                if chunk.sealed is not None:
                    flight.append((chunk.sealed, pool.submit(self._deliver, chunk.sealed)))
                while flight and (len(flight) >= self._crew.workplace.pipeline_depth or flight[0][1].done()):
                    self._land(flight)
            while flight:
                self._land(flight)
        if self._has_split:
            self.finish_sealed()
        return moved

    def _finish(self, batch: Batch) -> None:
        now = clock.now()
        if not (self._is_asked_for or batch.is_due(now, self._crew.destination.backoff.max_seconds)):
            self.postponed = True
            return
        try:
            sealed = recalled(batch, self._crew.workplace, self._crew.destination)
        except OperatorError as error:  # it must not stop the other lanes
            self._session.rollback()
            batches.note_attempt(
                self._session,
                batch.batch_id,
                attempted_at=now,
                took_seconds=0.0,
                outcome=f"OperatorError: {error.what}",
            )
            self._session.commit()
            log.exception("gateway:batch:damaged", batch=str(batch.batch_id))
            self.postponed = True
            return
        self._take_in(sealed, self._deliver(sealed))

    def _deliver(self, sealed: Sealed) -> Delivered:
        courier = self._crew.couriers.get()
        try:
            return courier.deliver(sealed, self._sealer)
        finally:
            self._crew.couriers.put(courier)

    def _land(self, flight: Flight) -> None:
        sealed, future = flight.popleft()
        self._take_in(sealed, future.result())

    def _take_in(self, sealed: Sealed, ended: Delivered) -> None:
        if ended is Delivered.POSTPONED:
            self.postponed = True
            return
        self._has_split |= ended is Delivered.SPLIT
        self._note(self.dataset.name, sealed.batch.row_count)

    def _behind(self, cycle: Cycle) -> pl.Series:
        """Return the rows that come behind another waiting row of their key."""
        repeated = arrivals.repeated_rows(self._session, self._lane.lane_id, cycle.cut_off)
        later = repeated["row_id"].clear()
        if not repeated.is_empty():
            row_ids = repeated["row_id"].sort()
            raw = staging.rows_of(self._session, self._lane.regulator, self.dataset, row_ids)
            later = order.behind(raw, repeated, self.dataset)
        self._session.rollback()
        return later

    def _seal(self, cycle: Cycle, after: int, leave: pl.Series, flight: Flight) -> Chunk | None:
        """
        Seal the next chunk; where that fails, a smaller one, down to the one row that then stands aside.

        One bad row must not stop its neighbours.
        """
        limit = self._crew.workplace.chunk_rows
        while True:
            in_flight = pl.concat([NO_KEYS, *(sealed.keys for sealed, _ in flight)])
            try:
                span = Span(after, leave, limit)
                return self._sealer.seal_next(cycle, self._crew.door, span, in_flight, now=clock.now())
            except (QianzhiError, OSError, psycopg.OperationalError):
                if not self._session.closed:
                    self._session.rollback()
                raise
            except Exception:
                self._session.rollback()
                self._crew.reader.forget()
                log.exception("gateway:chunk:not_sealed", dataset=self.dataset.name, rows=limit)
                if limit == 1:
                    return self._set_aside(cycle, after, leave)
                limit = max(1, limit // 8)

    def _set_aside(self, cycle: Cycle, after: int, leave: pl.Series) -> Chunk | None:
        lane_id = self._lane.lane_id
        taken = arrivals.take(self._session, lane_id, after=after, cut_off=cycle.cut_off, leave=leave, limit=1)
        row_ids = taken["row_id"]
        batches.add_outcomes(self._session, lane_id, row_ids, RowOutcome.QUARANTINED)
        told = quarantine_findings(row_ids)
        findings.record(self._session, lane_id, told, "gateway", rows=taken, batch_id=None, now=clock.now())
        self._session.commit()
        return None if taken.is_empty() else Chunk(int(row_ids[-1]), taken.height, None)
