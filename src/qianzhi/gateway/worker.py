"""The gateway's worker: a clock that only ticks, and an ear for rows that will not wait until night."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from qianzhi.db.server import connect
from qianzhi.errors import QianzhiError
from qianzhi.gateway import reminder
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.gateway.porter import Courtesy, opened_porter
from qianzhi.gateway.schedule import due_cut_off
from qianzhi.ledger import batches, counts, promises
from qianzhi.ledger.batches import CycleKind
from qianzhi.ledger.lanes import Mode
from qianzhi.runtime import clock
from qianzhi.runtime.settings import Reminder as ReminderSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.gateway.documents.dossier import Dossier
    from qianzhi.gateway.retention import Keeper
    from qianzhi.runtime.stopping import StopRequests

log = structlog.stdlib.get_logger()

NIGHTLY_TICK_SECONDS = 20
RESUME_TICK_SECONDS = 15
CARRY_TICK_SECONDS = 15
REMIND_TICK_SECONDS = 60
KEEP_TICK_SECONDS = 60  # one archive each at most, so that a cycle or a stop need not wait long
DOCUMENTS_TICK_SECONDS = 600
LISTEN_SECONDS = 5.0  # a notification that was lost with its session costs at most this
RECOVER_SECONDS = 2.0
STOP_LOOK_SECONDS = 60.0
STOP_SECONDS = 30.0
EAR_NAME = "ear"
EAR_LOOK_SECONDS = 0.2  # how soon who waits for a notification sees that it is to stop


@dataclass(frozen=True, slots=True)
class Chores:
    """What a worker does besides sending rows and images."""

    reminder: ReminderSettings = field(default_factory=ReminderSettings)
    keeper: Keeper | None = None
    dossiers: Mapping[str, Dossier] = field(default_factory=dict)  # by destination


class Worker:
    """Everything that happens at the gateway without anybody asking. Any number of workers may run at once."""

    def __init__(
        self,
        workplace: Workplace,
        destinations: Sequence[Destination],
        chores: Chores | None = None,
    ) -> None:
        self._workplace = workplace
        self._destinations = destinations
        self._chores = chores or Chores()
        self._stopping = threading.Event()

    def run(self, stop: StopRequests) -> None:
        """Work until somebody asks to stop; the steps at hand are finished first."""
        ticks = (
            (self.nightly, NIGHTLY_TICK_SECONDS),
            (self.resume, RESUME_TICK_SECONDS),
            (self.carry, CARRY_TICK_SECONDS),
            (self.remind, REMIND_TICK_SECONDS),
            (self.exchange, DOCUMENTS_TICK_SECONDS),
        )
        # A night's images keep a thread for hours: every job has its own, so that no other one waits for it.
        threads = ThreadPoolExecutor(1 + len(ticks) * len(self._destinations))
        scheduler = BackgroundScheduler(executors={"default": threads}, timezone=clock.LOCAL)
        for destination, (tick, seconds) in product(self._destinations, ticks):
            scheduler.add_job(
                self._guarded,
                "interval",
                args=(tick, destination),
                seconds=seconds,
                next_run_time=clock.now(),
                coalesce=True,
                max_instances=1,
            )
        if self._chores.keeper is not None:
            scheduler.add_job(self._keep, "interval", seconds=KEEP_TICK_SECONDS, coalesce=True, max_instances=1)
        scheduler.start()
        ears = [
            threading.Thread(target=self._listen, name=f"{EAR_NAME}-{each.name}", args=(each,), daemon=True)
            for each in self._destinations
        ]
        for ear in ears:
            ear.start()
        while not stop.wait(STOP_LOOK_SECONDS):
            pass
        self._stopping.set()
        scheduler.shutdown(wait=True)
        for ear in ears:
            ear.join(STOP_SECONDS)

    def nightly(self, destination: Destination) -> None:
        """Run the cycle that is due, if one is."""
        cut_off = self._due(destination)
        if cut_off is None:
            return
        with Dispatcher(self._workplace, destination) as dispatcher:
            missed = dispatcher.backstop()
            done = dispatcher.advance(CycleKind.NIGHTLY, cut_off)
        with connect(self._workplace.dsn, application="qianzhi worker") as connection:
            counts.fold(connection)
        log.info("gateway:cycle:ran", destination=destination.name, rows=done.moved_count, missing=missed)

    def resume(self, destination: Destination) -> None:
        """Finish what waits for another attempt, and what was broken off."""
        if self._has_open(destination):
            with Dispatcher(self._workplace, destination) as dispatcher:
                dispatcher.resume()

    def carry(self, destination: Destination) -> None:
        """Send the images that follow their rows, as long as no row waits."""
        if not self._owes_images(destination):
            return
        with opened_porter(self._workplace, destination) as porter:
            done = porter.carry(Courtesy(porter, self._stopping.is_set))
        if done.sent_count:
            log.info("gateway:images:sent", destination=destination.name, count=done.sent_count)

    def remind(self, destination: Destination) -> None:
        """Check what waits ahead of the cut-off, if it is time, and tell who wants to be told."""
        found = reminder.check(self._workplace, destination, self._chores.reminder.at, local_now=clock.local_now())
        if found is not None and found.errors and self._chores.reminder.notify_command:
            reminder.notify(self._chores.reminder.notify_command, found)

    def exchange(self, destination: Destination) -> None:
        """Hand in new documents, and learn what became of the others and what is published."""
        dossier = self._chores.dossiers.get(destination.name)
        if dossier is not None:
            done = dossier.sync(clock.now())
            log.info("gateway:documents:exchanged", destination=destination.name, submitted=done.submitted_count)

    def _due(self, destination: Destination) -> datetime | None:
        with connect(self._workplace.dsn, application="qianzhi worker") as connection:
            last = batches.last_nightly_cut_off(connection, destination.name, now=clock.now())
        due = due_cut_off(clock.local_now(), destination.schedule, clock.local(last) if last else None)
        return due.replace(tzinfo=clock.LOCAL) if due else None

    def _has_open(self, destination: Destination) -> bool:
        with connect(self._workplace.dsn, application="qianzhi worker") as connection:
            return batches.has_broken_off(connection, destination.name) or batches.has_due(
                connection, destination.name, now=clock.now(), pause_seconds_max=destination.backoff.max_seconds
            )

    def _owes_images(self, destination: Destination) -> bool:
        with connect(self._workplace.dsn, application="qianzhi worker") as connection:
            return bool(promises.due(connection, destination.name, now=clock.now()))

    def _keep(self) -> None:
        """Do a step of what is done in quiet hours; whatever goes wrong is told and tried again."""
        try:
            if self._chores.keeper is not None:
                self._chores.keeper.tick(clock.now())
        except QianzhiError as error:
            log.warning("gateway:retention:failed", what=error.what, remedy=error.remedy)
        except Exception:
            log.exception("gateway:retention:failed")

    def _guarded(self, tick: Callable[[Destination], None], destination: Destination) -> None:
        """Run a tick; whatever goes wrong is told and tried again with the next one."""
        try:
            tick(destination)
        except QianzhiError as error:
            log.warning("gateway:tick:failed", destination=destination.name, what=error.what, remedy=error.remedy)
        except Exception:
            log.exception("gateway:tick:failed", destination=destination.name)

    def _listen(self, destination: Destination) -> None:
        while not self._stopping.is_set():
            try:
                self._attend(destination)
            except Exception as error:
                log.warning("gateway:realtime:interrupted", destination=destination.name, exc_info=error)
                self._stopping.wait(RECOVER_SECONDS)

    def _attend(self, destination: Destination) -> None:
        """Deliver real-time rows as they arrive, on sessions that stay open; rows that come meanwhile share a batch."""
        with (
            Dispatcher(self._workplace, destination) as dispatcher,
            connect(self._workplace.dsn, application="qianzhi ear", autocommit=True) as ear,
        ):
            ear.execute("LISTEN arrived")
            while not self._stopping.is_set():
                urgent = {lane.dataset for lane in dispatcher.lanes if lane.mode is Mode.REALTIME}
                if urgent:
                    dispatcher.advance(CycleKind.REALTIME, clock.now(), datasets=urgent)
                self._wait_for_notice(ear)

    def _wait_for_notice(self, ear: Session) -> None:
        """Wait until rows arrive, at most LISTEN_SECONDS, or until it is time to stop."""
        end = clock.monotonic() + LISTEN_SECONDS
        while not self._stopping.is_set() and (left := end - clock.monotonic()) > 0:
            for _ in ear.notifies(timeout=min(left, EAR_LOOK_SECONDS), stop_after=1):
                return
