"""Who looked at what, and who changed what; never a value of a record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg.types.json import Jsonb

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.db.server import Session

SUBJECT_CHARACTERS_MAX: Final = 200
_QUERIES = load("qianzhi.console", "accounts.sql")


def note(
    session: Session, actor: str, event: str, subject: str, detail: Mapping[str, str | int | bool] | None = None
) -> None:
    """Write an entry (`event` is area:subject:action) in the transaction of the session."""
    values = {
        "actor": actor,
        "event": event,
        "subject": subject[:SUBJECT_CHARACTERS_MAX],
        "detail": Jsonb(dict(detail or {})),
    }
    session.execute(_QUERIES.note, values)
