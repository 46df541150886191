"""Retention: what has been on this machine long enough leaves it, in quiet hours and in bounded steps."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from qianzhi import regulators
from qianzhi.db.server import connect, translated
from qianzhi.gateway.schedule import is_quiet
from qianzhi.gateway.seal import blobs_of
from qianzhi.ledger import batches, lanes
from qianzhi.ledger.needs import needed_blobs
from qianzhi.runtime import clock
from qianzhi.runtime.logs import remove_old_logs
from qianzhi.sealing.envelopes import open_envelope

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from qianzhi.db.server import Session
    from qianzhi.gateway.archive import Archivist
    from qianzhi.gateway.destination import Workplace
    from qianzhi.runtime.settings import Retention

log = structlog.stdlib.get_logger()


class Keeper:
    """
    What the worker does once a day in quiet hours: archives, and removal of old images and logs.

    The spool needs no keeper: what was kept long enough goes with the sweep before each cycle.
    """

    def __init__(self, workplace: Workplace, archivist: Archivist, log_folder: Path, retention: Retention) -> None:
        self._workplace = workplace
        self._archivist = archivist
        self._log_folder = log_folder
        self._retention = retention
        self._cleared_on: date | None = None
        self._archived_on: date | None = None

    def tick(self, now: datetime) -> None:
        """Do what is left for today if these are quiet hours: images and logs once, and one archive at most."""
        today, said = clock.local(now).date(), self._retention
        if not is_quiet(clock.local(now).time(), said.begin, said.end):
            return
        try:
            if self._cleared_on != today:
                self._clear(now, today)
        finally:  # a batch that cannot be read keeps images here, and no row from its archive
            if said.archive and self._archived_on != today and self._archivist.step(now=now) is None:
                self._archived_on = today

    def _clear(self, now: datetime, today: date) -> None:
        logs = remove_old_logs(self._log_folder, before=now - timedelta(days=self._retention.log_days))
        blobs = clear_blobs(self._workplace, before=now - timedelta(days=self._retention.blob_days))
        if blobs is not None:
            self._cleared_on = today
            log.info("gateway:retention:cleared", images=blobs, files=logs)


def clear_blobs(workplace: Workplace, *, before: datetime) -> int | None:
    """
    Remove images that were stored before an instant and that no batch on its way, no promise and no table needs.

    Returns how many, or None where a cycle is at work, which may be about to name one, or where more batches are on
    their way than can be looked at.
    """
    with (
        connect(workplace.dsn, application="qianzhi retention") as session,
        translated("Old images were not removed"),
        lanes.every_locked(session) as is_alone,
    ):
        if not is_alone:
            return None
        needed = _needed(session, workplace)
        return None if needed is None else workplace.blobs.remove_unused(needed, before=before)


def _needed(session: Session, workplace: Workplace) -> set[bytes] | None:
    """Return the blobs that are still to be sent, or None where there are too many batches to say."""
    needed = needed_blobs(session)
    for lane in lanes.every(session):
        waiting = batches.open_batches(session, lane.lane_id)
        if len(waiting) == batches.OPEN_COUNT_MAX:
            return None
        for batch in waiting:
            opened = open_envelope(workplace.spool.read(batch.batch_id, batch.digest))
            dataset = regulators.regulator(opened.manifest.regulator).dataset(opened.manifest.dataset)
            needed.update(blobs_of(opened.rows, dataset))
    return needed
