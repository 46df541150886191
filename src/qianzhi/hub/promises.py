"""Images that accepted rows name and that are still to come: written with the rows, gone once the image is held."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from psycopg.rows import dict_row

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from qianzhi.db.server import Session

OVERDUE_HOURS: Final = 72.0
"""Two gigabytes at 2 Mb/s take 2.3 hours of a night; three nights leave room for a cut link."""

_QUERIES = load("qianzhi.hub", "promises.sql")
_LOG = structlog.stdlib.get_logger()


def note(session: Session, institution_id: int, batch_seq: int, digests: Iterable[bytes], *, now: datetime) -> None:
    """Write down what an institution promised with a batch; what it promised before stays as it was."""
    wanted = list(digests)
    if wanted:
        scope = {"institution_id": institution_id, "batch_seq": batch_seq, "promised_at": now}
        session.execute(_QUERIES.note, {"digests": wanted, **scope})


def forget_kept(session: Session) -> int:
    """Remove the promises whose image is held; return how many."""
    return session.execute(_QUERIES.forget_kept).rowcount


def overdue(session: Session, *, now: datetime) -> list[dict[str, Any]]:
    """Return who owes images for longer than OVERDUE_HOURS: regulator, code, name, images and the oldest promise."""
    with session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_QUERIES.overdue, {"promised_before": now - timedelta(hours=OVERDUE_HOURS)}).fetchall()


def tick(session: Session, *, now: datetime) -> None:
    """Remove kept promises and tell of those that are overdue."""
    forget_kept(session)
    for each in overdue(session, now=now):
        _LOG.warning("watch:images:overdue", institution=each["code"], count=each["images"], since=each["since"])
