"""Evidence on record at the gateway: files that a regulator may ask for, and the questions that were asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import orjson
from psycopg.rows import class_row, dict_row

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from qianzhi.db.server import Session

LISTED_MAX = 10_000
FILE, REMOTE = "file", "remote"
_SQL = load("qianzhi.ledger", "evidence.sql")


@dataclass(frozen=True, slots=True)
class Media:
    """A file as it is served."""

    media_id: int
    kind: str  # of what a regulator asks for
    record: str
    place: str  # FILE or REMOTE
    location: str
    media_type: str
    byte_count: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it is registered."""

    kind: str
    record: str
    number: int
    place: str
    location: str
    media_type: str
    codecs: tuple[str, ...]
    byte_count: int
    modified_ns: int
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What the scan of a folder needs to know of a file."""

    location: str
    media_id: int
    byte_count: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Noted:
    """A question as it goes on record."""

    asked_at: datetime
    method: str
    outcome: str
    client: str | None
    record_digest: str | None  # hexadecimal
    token_digest: str | None
    earlier: int


def of_records(session: Session, regulator: str, wanted: Collection[tuple[str, str]]) -> list[Media]:
    """Return the files of pairs of kind and record, those of one record in the order in which they are shown."""
    distinct = list(dict.fromkeys(wanted))
    parameters = {
        "regulator": regulator,
        "kinds": [kind for kind, _ in distinct],
        "records": [record for _, record in distinct],
    }
    return session.cursor(row_factory=class_row(Media)).execute(_SQL.of_records, parameters).fetchall()


def of_ids(session: Session, media_ids: Collection[int]) -> list[Media]:
    """Return files by their numbers; those removed are missing."""
    return session.cursor(row_factory=class_row(Media)).execute(_SQL.of_ids, {"media_ids": [*media_ids]}).fetchall()


def known(session: Session, regulator: str, records: Sequence[str]) -> list[dict[str, str]]:
    """Return which of these records have which kinds of evidence."""
    parameters = {"regulator": regulator, "records": list(records)}
    return session.cursor(row_factory=dict_row).execute(_SQL.known, parameters).fetchall()


def register(session: Session, regulator: str, entry: Entry, *, now: datetime) -> int:
    """Enter a file in place of an entry of the same place; return its number."""
    parameters = asdict(entry) | {"codecs": list(entry.codecs), "regulator": regulator, "now": now}
    session.execute(_SQL.remove_same, parameters)
    row = session.execute(_SQL.register, parameters).fetchone()
    return cast("int", row[0]) if row else 0


def remove(session: Session, media_ids: Collection[int], *, now: datetime) -> int:
    """Let files be unknown from now on; return how many were known."""
    return session.execute(_SQL.remove, {"media_ids": list(media_ids), "now": now}).rowcount


def of_folder(session: Session, folder: str) -> list[Known]:
    """Return what the scan of a folder knows."""
    return session.cursor(row_factory=class_row(Known)).execute(_SQL.of_folder, {"folder": folder}).fetchall()


def listed(
    session: Session, regulator: str, *, record: str | None = None, limit: int = LISTED_MAX
) -> list[dict[str, Any]]:
    """Return files, the newest first."""
    parameters = {"regulator": regulator, "record": record, "limit": limit}
    return session.cursor(row_factory=dict_row).execute(_SQL.listed, parameters).fetchall()


def counts(session: Session, regulator: str) -> list[dict[str, Any]]:
    """Return how many files and records there are of each kind and media type."""
    return session.cursor(row_factory=dict_row).execute(_SQL.counts, {"regulator": regulator}).fetchall()


def note(session: Session, questions: Sequence[Noted]) -> None:
    """Put questions on record."""
    if questions:
        session.execute(_SQL.note, {"questions": orjson.dumps(questions).decode()})


def asked(session: Session, *, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """Return questions, the newest first; a record is only ever its digest."""
    return session.cursor(row_factory=dict_row).execute(_SQL.asked, {"limit": limit, "offset": offset}).fetchall()


def asked_count(session: Session) -> int:
    """Return how many questions are on record, at most LISTED_MAX."""
    row = session.execute(_SQL.asked_count, {"limit": LISTED_MAX}).fetchone()
    return cast("int", row[0]) if row else 0


def forget(session: Session, *, before: datetime) -> int:
    """Drop old questions; return how many."""
    return session.execute(_SQL.forget, {"before": before}).rowcount
