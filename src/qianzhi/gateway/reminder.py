"""The reminder: a check ahead of the cut-off, so that people can correct in the evening what the night would refuse."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
import polars as pl
import structlog

from qianzhi.db import locks
from qianzhi.db.server import connect
from qianzhi.gateway.preview import preview
from qianzhi.gateway.schedule import DAY, following
from qianzhi.ledger import audit
from qianzhi.runtime import clock
from qianzhi.specs.model import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import time

    import psycopg

    from qianzhi.gateway.destination import Destination, Workplace

RAISED: Final = "check:reminder:raised"
CLEAR: Final = "check:reminder:clear"
ACTOR: Final = "worker"
NOTIFY_SECONDS_MAX: Final = 60.0

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Reminder:
    """What a check ahead of a cut-off found: rows with errors by dataset, of so many rows that wait."""

    destination: str
    cut_off: datetime  # local, without zone: the one ahead of which it was made
    checked_at: datetime
    row_count: int
    errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def error_count(self) -> int:
        """How many rows the regulator would refuse."""
        return sum(self.errors.values())

    def as_json(self) -> dict[str, Any]:
        """Return the public form: counts, and no value of a row."""
        return {
            "destination": self.destination,
            "cut_off": self.cut_off.isoformat(),
            "checked_at": self.checked_at.isoformat(),
            "rows": self.row_count,
            "errors": dict(self.errors),
        }


def due(local_now: datetime, at: Sequence[time], cut_off: time, last: datetime | None) -> datetime | None:
    """
    Return the cut-off ahead of which a check is to be made now, or None. Pure; all local and without zone.

    `last` is when one was made last. An hour that was slept through is made up for until the cut-off.
    """
    hours = [datetime.combine(local_now.date(), each) for each in at]
    hour = max((each if each <= local_now else each - DAY for each in hours), default=None)
    if hour is None or (last is not None and hour <= last <= local_now):
        return None
    ahead = following(hour, cut_off)
    return ahead if local_now < ahead else None


def check(
    workplace: Workplace, destination: Destination, at: Sequence[time], *, local_now: datetime
) -> Reminder | None:
    """
    Check what waits, if that is due, and write down what was found; None where it is not due, or another worker's.

    The rows stay as they are.
    """
    with connect(workplace.dsn, application="qianzhi reminder") as guard:
        if not locks.try_hold(guard, f"reminder {destination.name}"):
            return None
        ahead = due(local_now, at, destination.schedule.cut_off, _last_check(guard, destination.name))
        if ahead is None:
            return None
        with connect(workplace.dsn, application="qianzhi reminder", autocommit=True) as session:
            found = _look(session, workplace, destination, ahead, local_now)
        audit.note(
            guard,
            actor=ACTOR,
            event=RAISED if found.errors else CLEAR,
            subject=destination.name,
            detail=found.as_json(),
        )
    if found.errors:
        log.warning("check:reminder:raised", destination=destination.name, rows=found.error_count)
    return found


def standing(connection: psycopg.Connection, destination: str, *, local_now: datetime) -> Reminder | None:
    """Return the reminder that stands: errors were found, and neither a later check nor the cut-off has come since."""
    raised = _newest(connection, RAISED, destination)
    if raised is None:
        return None
    clear = _newest(connection, CLEAR, destination)
    if clear is not None and clear.happened_at > raised.happened_at:
        return None
    found = Reminder(
        destination,
        datetime.fromisoformat(raised.detail["cut_off"]),
        datetime.fromisoformat(raised.detail["checked_at"]),
        int(raised.detail["rows"]),
        {str(name): int(count) for name, count in raised.detail["errors"].items()},
    )
    return found if local_now < found.cut_off else None


def notify(command: Sequence[str], reminder: Reminder) -> bool:
    """Tell a program of the site, by JSON on its standard input; tell whether it ended well."""
    try:
        ended = subprocess.run(
            list(command),
            input=orjson.dumps(reminder.as_json()),
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=NOTIFY_SECONDS_MAX,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("check:reminder:not_told", destination=reminder.destination, error=type(error).__name__)
        return False
    if ended.returncode:
        log.warning("check:reminder:not_told", destination=reminder.destination, code=ended.returncode)
    return not ended.returncode


def _look(
    session: psycopg.Connection, workplace: Workplace, destination: Destination, ahead: datetime, local_now: datetime
) -> Reminder:
    errors: dict[str, int] = {}
    row_count = 0
    for dataset, count, frame in preview(session, workplace, destination, as_of=local_now):
        row_count += count
        refused = frame.filter(pl.col("severity") == Severity.ERROR.value)["row_id"].n_unique()
        if refused:
            errors[dataset] = refused
    return Reminder(destination.name, ahead, local_now.replace(tzinfo=clock.LOCAL), row_count, errors)


def _last_check(connection: psycopg.Connection, destination: str) -> datetime | None:
    found = [each for event in (RAISED, CLEAR) if (each := _newest(connection, event, destination)) is not None]
    return max((clock.local(datetime.fromisoformat(each.detail["checked_at"])) for each in found), default=None)


def _newest(connection: psycopg.Connection, event: str, destination: str) -> audit.Entry | None:
    return next(iter(audit.latest(connection, event, subject=destination, limit=1)), None)
