"""The cycle: every lane of a destination, parents first, until nothing moves any more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import Queue
from typing import TYPE_CHECKING, Self

import polars as pl
import psycopg
import structlog

from qianzhi.db.server import connect, translated
from qianzhi.errors import OperatorError, QianzhiError
from qianzhi.gateway import order, staging
from qianzhi.gateway.deliver import Courier, Delivered, quarantine_findings, recalled
from qianzhi.gateway.reader import Reader
from qianzhi.gateway.seal import NO_KEYS, Chunk, Sealed, Sealer, Span
from qianzhi.ledger import arrivals, batches, findings, held, lanes
from qianzhi.ledger.batches import Cycle, CycleKind, RowOutcome
from qianzhi.ledger.lanes import Mode
from qianzhi.runtime import clock
from qianzhi.runtime.files import is_full

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.ledger.batches import Batch
    from qianzhi.ledger.lanes import Lane
    from qianzhi.regulators.protocols import Door

log = structlog.stdlib.get_logger()

# A pass takes at most one row of a key and lets one generation of held rows go, so this bounds the changes of one
# key within a cycle; whatever is left goes with the next one.
PASS_COUNT_MAX = 200
BACKSTOP_ROWS = 50_000
PATIENCE_SECONDS = 3600.0  # how long somebody who asked for a cycle waits for a worker that is at it already

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


@dataclass(frozen=True, slots=True)
class Advance:
    """What one call did."""

    moved_count: int = 0
    postponed: frozenset[str] = field(default_factory=frozenset)  # datasets whose delivery has to wait


class Dispatcher:
    """
    Takes the lanes of one destination as far as they go.

    Keeps its sessions and the destination's doors open between calls, so that a real-time row need not wait for
    a handshake. Not for several threads; close it when done.
    """

    def __init__(self, workplace: Workplace, destination: Destination) -> None:
        with ExitStack() as stack:
            self._crew = _crew(stack, workplace, destination)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release sessions and doors."""
        self._stack.close()

    @property
    def lanes(self) -> list[Lane]:
        """The destination's lanes that are not off, parents first."""
        return [lane for lane in self._crew.lanes if lane.mode is not Mode.OFF]

    def advance(
        self,
        kind: CycleKind,
        cut_off: datetime,
        *,
        datasets: Collection[str] | None = None,
        patience_seconds: float = 0.0,
        note: Note = silent,
    ) -> Advance:
        """
        Take every row that was committed by the cut-off as far as it goes; return what moved.

        Idempotent: what is sealed already is finished first, a cycle that was broken off is gone on with, and a lane
        that another worker has for longer than `patience_seconds` is left to it. A manual cycle waits for no pause
        between attempts: somebody says that it is time. `note` is told the dataset and the rows of each settled batch.
        Raises OperatorError when the disk is full; nothing is lost by that.
        """
        chosen = [lane for lane in self.lanes if datasets is None or lane.dataset in datasets]
        with _told(), ExitStack() as stack:
            mine = [
                lane
                for lane in chosen
                if stack.enter_context(lanes.locked(self._crew.session, lane, patience_seconds=patience_seconds))
            ]
            if not mine:
                return Advance()
            cycle = self._open(kind, cut_off, mine[0].destination_id)
            is_asked_for = kind is CycleKind.MANUAL
            done = _until_still([LaneRun(self._crew, lane, note, is_asked_for=is_asked_for) for lane in mine], cycle)
            if cycle.cycle_id is not None and not done.postponed:
                batches.finish_cycle(self._crew.session, cycle, now=clock.now())
                self._crew.session.commit()
            return done

    def resume(self, *, note: Note = silent) -> Advance:
        """Finish what was sealed before and is due for another attempt, and what was broken off; take nothing new."""
        session, postponed = self._crew.session, set()
        with _told(), ExitStack() as stack:
            mine = [lane for lane in self._crew.lanes if stack.enter_context(lanes.locked(session, lane))]
            for lane in mine:
                if lane.mode is not Mode.OFF:
                    run = LaneRun(self._crew, lane, note)
                    run.finish_sealed()
                    if run.postponed:
                        postponed.add(lane.dataset)
            if len(mine) == len(self._crew.lanes):  # nobody else can be at a cycle
                batches.finish_broken_off(session, self._crew.destination.name, now=clock.now())
                session.commit()
        return Advance(postponed=frozenset(postponed))

    def backstop(self, *, patience_seconds: float = 0.0) -> int:
        """
        Mend what a crash or a missing trigger left; return how many staged rows the ledger had never heard of.

        A lane that another worker has for longer than `patience_seconds` is left to it.
        """
        session, destination = self._crew.session, self._crew.destination
        with _told():
            self._sweep_spool()
            return sum(backstop(session, lane, destination, patience_seconds=patience_seconds) for lane in self.lanes)

    def _sweep_spool(self) -> None:
        """Forget bytes that no commit promised, unless somebody has a lane and may be about to promise some."""
        session = self._crew.session
        with ExitStack() as stack:
            if all(stack.enter_context(lanes.locked(session, lane)) for lane in lanes.every(session)):
                self._crew.workplace.spool.sweep(batches.sealed_ids(session), before=clock.now())

    def _open(self, kind: CycleKind, cut_off: datetime, destination_id: int) -> Cycle:
        now, session = clock.now(), self._crew.session
        held.sweep(session)
        if kind is CycleKind.REALTIME:
            # One entry a row would be a second ledger; the batches say all there is to say.
            cycle = Cycle(None, destination_id, kind, cut_off, clock.local(now))
        else:
            cycle = batches.open_cycle(session, destination_id, kind, cut_off=cut_off, as_of=clock.local(now), now=now)
        session.commit()
        return cycle


def _crew(stack: ExitStack, workplace: Workplace, destination: Destination) -> Crew:
    session = stack.enter_context(connect(workplace.dsn, application="qianzhi cycle"))
    couriers: Queue[Courier] = Queue()
    for _ in range(workplace.pipeline_depth):
        courier = Courier(connect(workplace.dsn, application="qianzhi courier"), workplace, destination)
        stack.callback(courier.close)
        couriers.put(courier)
    door = destination.open_door()
    stack.callback(door.close)
    reading = connect(workplace.dsn, application="qianzhi reader", autocommit=True)
    reader = Reader(reading)
    stack.callback(reader.close)
    for each in (session, reading):
        arrivals.follow_indexes(each)
    every = lanes.lanes_of(session, destination.name, destination.regulator)
    session.commit()
    return Crew(session, reader, workplace, destination, couriers, door, every)


@contextmanager
def _told() -> Iterator[None]:
    """Say in our own words what broke a cycle off."""
    with translated("The cycle was broken off"):
        try:
            yield
        except OSError as error:
            if not is_full(error):
                raise
            raise OperatorError(
                "The disk of the data directory is full.",
                remedy="Free space, then run the cycle again: every row still stands where it stood.",
            ) from error


def _until_still(runs: list[LaneRun], cycle: Cycle) -> Advance:
    moved = 0
    for run in runs:
        run.finish_sealed()
    for _ in range(PASS_COUNT_MAX):
        step = sum(run.work(cycle) for run in runs if not run.postponed)
        moved += step
        if not step:
            break
    return Advance(moved, frozenset(run.dataset.name for run in runs if run.postponed))


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


def backstop(session: Session, lane: Lane, destination: Destination, *, patience_seconds: float = 0.0) -> int:
    """Let staged rows arrive that the ledger has never heard of; return how many. Commits in bounded steps."""
    after, found = 0, 0
    while True:
        missed = recover(
            session, lane, destination, after=after, limit=BACKSTOP_ROWS, patience_seconds=patience_seconds
        )
        if missed.is_empty():
            return found
        after, found = int(missed["row_id"][-1]), found + missed.height


def recover(
    session: Session, lane: Lane, destination: Destination, *, after: int, limit: int, patience_seconds: float
) -> pl.DataFrame:
    """
    Let rows arrive, behind an id, that the ledger has never heard of; commit, and return them (columns of ARRIVAL).

    Only as the one worker of the lane: another one could take the same rows in between, and they would go twice.
    """
    dataset = destination.regulator.dataset(lane.dataset)
    with lanes.locked(session, lane, patience_seconds=patience_seconds) as is_ours:
        if not is_ours:
            return pl.DataFrame(schema=arrivals.ARRIVAL)
        missed = arrivals.missing(
            session, lane.lane_id, lane.regulator, dataset, after=after, limit=limit, now=clock.now()
        )
        arrivals.put(session, lane.lane_id, missed)
        session.commit()
        return missed
