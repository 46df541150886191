"""
Who fell silent: upload windows that passed without a batch of an institution, noticed when the window is over.

A window opens at the cut-off of a day, when the gateway may begin, and ends a grace after the cycle's hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from psycopg.rows import class_row, dict_row

from qianzhi.db import locks
from qianzhi.db.queries import load
from qianzhi.db.server import translated
from qianzhi.hub import tables
from qianzhi.hub.onboarding import InstitutionState
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date

    from qianzhi.db.server import Session
    from qianzhi.specs.model import Regulator, Schedule

GRACE_HOURS: Final = 6.0
"""How long after the cycle's hour a night's upload may last before it counts as missed."""

WINDOWS_BACK_MAX: Final = 7
"""How many windows are caught up with after the hub itself was down."""

_QUERIES = load("qianzhi.hub", "watch.sql")
_LOG = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Window:
    """The upload window of one day, its ends as local times."""

    on: date
    opens_at: datetime
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """An institution as one window sees it."""

    institution_id: int
    sent: bool  # within the window
    noticed: bool
    state: str
    registered_at: datetime  # aware


def tick(session: Session, regulator: Regulator, now: datetime) -> None:
    """
    Do what is due now, an aware instant: notice silences, end those that are over, open the months ahead.

    Idempotent; of several machines one does it.
    """
    local_now = clock.local(now)
    with translated("The watch was not kept"), session.transaction():
        if not locks.try_hold(session, f"hub watch {regulator.key}"):
            return
        tables.open_months(session, regulator, local_now.date())
        for window in windows(regulator.schedule, local_now):
            _notice(session, regulator.key, window, now)
        for (institution_id,) in session.execute(_QUERIES.end).fetchall():
            _LOG.info("watch:interruption:ended", ids=institution_id)


def windows(schedule: Schedule, local_now: datetime, *, grace_hours: float = GRACE_HOURS) -> Iterator[Window]:
    """Yield the last windows that are over at a local time, the oldest first."""
    for back in range(WINDOWS_BACK_MAX, -1, -1):
        day = local_now.date() - timedelta(days=back)
        opens_at = datetime.combine(day, schedule.cut_off)
        # A cycle whose hour is before the cut-off's belongs to the next day.
        cycle_at = datetime.combine(day + timedelta(days=schedule.cycle < schedule.cut_off), schedule.cycle)
        deadline_at = cycle_at + timedelta(hours=grace_hours)
        if deadline_at <= local_now:
            yield Window(day, opens_at, deadline_at)


def silent(institutions: Iterable[Watched], window: Window) -> list[int]:
    """Decide who missed a window: was to send, was there when it opened, sent nothing, and is not noticed yet."""
    return [
        each.institution_id
        for each in institutions
        if each.state != InstitutionState.SUSPENDED
        and clock.local(each.registered_at) < window.opens_at
        and not each.sent
        and not each.noticed
    ]


def interruptions(session: Session) -> list[dict[str, Any]]:
    """Return who is silent now: regulator, code, name, the first missed window and how many."""
    with session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_QUERIES.open).fetchall()


def _notice(session: Session, regulator: str, window: Window, now: datetime) -> None:
    ends = {
        "opens_at": window.opens_at.replace(tzinfo=clock.LOCAL),
        "deadline_at": window.deadline_at.replace(tzinfo=clock.LOCAL),
        "window_on": window.on,
    }
    with session.cursor(row_factory=class_row(Watched)) as cursor:
        watched = cursor.execute(_QUERIES.watched, {"regulator": regulator, **ends}).fetchall()
    missed = silent(watched, window)
    if missed:
        session.execute(_QUERIES.notice, {"institution_ids": missed, "noticed_at": now, **ends})
        _LOG.warning("watch:interruption:noticed", since=window.on, count=len(missed))
