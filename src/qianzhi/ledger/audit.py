"""The audit: who changed or looked at what, and when. No personal value stands in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import psycopg

_SQL = load("qianzhi.ledger", "audit.sql")

ENTRIES_MAX = 1000  # read at once
SUBJECT_CHARACTERS_MAX = 200
COUNTED_MAX = 10_000  # entries that a choice is said to have at most


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened; `event` is area:subject:action."""

    happened_at: datetime
    actor: str
    event: str
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which entries are wanted; None and "" leave open."""

    events: Sequence[str] | None = None  # patterns of LIKE, any of them
    actor: str = ""  # a part of the name, in capitals or not
    since: datetime | None = None
    until: datetime | None = None  # and not this instant itself


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


def chosen(
    connection: psycopg.Connection, choice: Choice, *, offset: int = 0, limit: int = ENTRIES_MAX
) -> tuple[list[Entry], int]:
    """Return some of the entries chosen, newest first, and how many there are, counted up to COUNTED_MAX."""
    said = {
        "events": None if choice.events is None else list(choice.events),
        "actor": "%" + re.sub(r"([\\%_])", r"\\\1", choice.actor) + "%",
        "since": choice.since,
        "until": choice.until,
    }
    (count,) = connection.execute(_SQL.chosen_count, {**said, "most": COUNTED_MAX}).fetchone() or (0,)
    cursor = connection.cursor(row_factory=class_row(Entry))
    cut = {"offset": max(0, offset), "limit": max(0, min(limit, ENTRIES_MAX))}
    return cursor.execute(_SQL.chosen, {**said, **cut}).fetchall(), count
