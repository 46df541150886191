"""The audit: who changed or looked at what, and when. No personal value stands in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import psycopg

_SQL = load("qianzhi.ledger", "audit.sql")

ENTRIES_MAX = 1000  # read at once
SUBJECT_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened; `event` is area:subject:action."""

    happened_at: datetime
    actor: str
    event: str
    subject: str
    detail: dict[str, Any]


def note(
    connection: psycopg.Connection, *, actor: str, event: str, subject: str, detail: Mapping[str, object] | None = None
) -> None:
    """Add an entry, within the transaction of the caller."""
    said = {
        "actor": actor,
        "event": event,
        "subject": subject[:SUBJECT_CHARACTERS_MAX],
        "detail": Jsonb(dict(detail or {})),
    }
    connection.execute(_SQL.note, said)


def latest(
    connection: psycopg.Connection, event: str, *, subject: str | None = None, limit: int = ENTRIES_MAX
) -> list[Entry]:
    """Return the newest entries of an event, newest first; all subjects where none is named."""
    cursor = connection.cursor(row_factory=class_row(Entry))
    said = {"event": event, "subject": subject, "limit": min(limit, ENTRIES_MAX)}
    return cursor.execute(_SQL.latest, said).fetchall()


def newest_id(connection: psycopg.Connection) -> int:
    """Return the number of the newest entry: what was read of the audit is still all as long as it stays."""
    row = connection.execute(_SQL.newest_id).fetchone()
    return int(row[0]) if row else 0
