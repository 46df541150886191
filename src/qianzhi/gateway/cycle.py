"""The cycle: every lane of a destination, parents first, until nothing moves any more."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from queue import Queue
from typing import TYPE_CHECKING, Self

from qianzhi.db.server import connect, translated
from qianzhi.errors import OperatorError
from qianzhi.gateway import backstop
from qianzhi.gateway.deliver import Courier
from qianzhi.gateway.lane_run import Crew, LaneRun, silent
from qianzhi.gateway.reader import Reader
from qianzhi.ledger import arrivals, batches, held, lanes
from qianzhi.ledger.batches import Cycle, CycleKind
from qianzhi.ledger.lanes import Mode
from qianzhi.runtime import clock
from qianzhi.runtime.files import is_full

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.gateway.lane_run import Note
    from qianzhi.ledger.lanes import Lane

# A pass takes at most one row of a key and lets one generation of held rows go, so this bounds the changes of one
# key within a cycle; whatever is left goes with the next one.
PASS_COUNT_MAX = 200
PATIENCE_SECONDS = 3600.0  # how long somebody who asked for a cycle waits for a worker that is at it already


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
            return sum(
                backstop.recover_all(session, lane, destination, patience_seconds=patience_seconds)
                for lane in self.lanes
            )

    def _sweep_spool(self) -> None:
        """Forget bytes that no commit promised, unless somebody has a lane and may be about to promise some."""
        session = self._crew.session
        with lanes.every_locked(session) as is_alone:
            if is_alone:
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
