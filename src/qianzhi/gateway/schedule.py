"""When a cycle is due, and when a time of day comes. Pure: the ledger remembers what was done."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import time

    from qianzhi.specs.model import Schedule

DAY = timedelta(days=1)
AHEAD_MAX = DAY  # a cut-off further ahead was worked through while the clock was wrong


def is_quiet(local_time: time, begin: time, end: time) -> bool:
    """Tell whether a time of day lies in the quiet hours, which may go over midnight; there are none from X to X."""
    if begin <= end:
        return begin <= local_time < end
    return local_time >= begin or local_time < end


def following(local_now: datetime, at: time) -> datetime:
    """Return when a time of day comes next; all local and without zone."""
    found = datetime.combine(local_now, at)
    return found if found > local_now else found + DAY


def due_cut_off(local_now: datetime, schedule: Schedule, last: datetime | None) -> datetime | None:
    """
    Return the cut-off of the cycle that should run now, or None.

    All times are local and without zone; `last` is the newest cut-off worked through. After a downtime only the
    newest cut-off is returned: it takes every row that an earlier one would have taken. A clock that jumps back
    finds its cut-off done; one that jumps ahead runs one cycle, whose rows are none the worse for it. When it is set
    right again, a cut-off that now lies far ahead does not silence the nights until then.
    """
    began = datetime.combine(local_now, schedule.cycle)
    if began > local_now:
        began -= DAY
    cut_off = datetime.combine(began, schedule.cut_off)
    if cut_off > began:  # pushing stops in the evening, and the cycle begins after midnight
        cut_off -= DAY
    is_done = last is not None and cut_off <= last <= local_now + AHEAD_MAX
    return None if is_done else cut_off
