"""What the hub holds, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from qianzhi.db.queries import load
from qianzhi.hub import promises, watch

if TYPE_CHECKING:
    from datetime import datetime

    from qianzhi.db.server import Session

_QUERIES = load("qianzhi.hub", "status.sql")


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of everything, of each dataset, who is silent, and who owes images for too long."""

    counts: dict[str, int]
    datasets: list[dict[str, Any]]
    silent: list[dict[str, Any]]
    overdue_images: list[dict[str, Any]]


def status(session: Session, *, now: datetime, since: datetime | None = None) -> Status:
    """Return what the hub holds; the datasets only since an instant, if one is given."""
    with session.cursor(row_factory=dict_row) as cursor:
        counts = cursor.execute(_QUERIES.counts).fetchone() or {}
        datasets = cursor.execute(_QUERIES.datasets, {"since": since}).fetchall()
    return Status(counts, datasets, watch.interruptions(session), promises.overdue(session, now=now))
