"""The documents of an institution towards one destination: versions, the steps taken with them, what was published."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from psycopg.rows import class_row

from qianzhi.db.queries import load
from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime
    from uuid import UUID

    from qianzhi.db.server import Session
    from qianzhi.regulators.protocols import Publication

VERSIONS_LISTED_MAX: Final = 5000
PUBLICATIONS_LISTED_MAX: Final = 2000

_SQL = load("qianzhi.ledger", "documents.sql")


@dataclass(frozen=True, slots=True)
class Filed:
    """A version that is to be kept."""

    document: str
    dated_on: date
    file_name: str
    digest: bytes
    media_type: str
    byte_count: int
    page_count: int
    added_at: datetime
    added_by: str


@dataclass(frozen=True, slots=True)
class Version(Filed):
    """A version that is kept, with the last step taken with it."""

    document_id: int
    step: str | None  # None: nothing yet
    reason: str
    happened_at: datetime | None


@dataclass(frozen=True, slots=True)
class Published:
    """What a destination publishes, and whether its file is here."""

    publication_id: UUID
    kind: str
    title: str
    file_name: str
    media_type: str
    digest: bytes
    byte_count: int
    published_at: datetime
    fetched_at: datetime | None
    withdrawn_at: datetime | None


def lock(session: Session, destination: str) -> None:
    """Let one change of a destination's documents happen at a time. ConfigurationError: the ledger knows it not."""
    if session.execute(_SQL.lock, {"destination": destination}).fetchone() is None:
        raise ConfigurationError(
            f"The ledger does not know the destination {destination}.", remedy="Run `qianzhi gateway init` again."
        )


def add(session: Session, destination: str, filed: Filed) -> None:
    """Keep a version; its blob is on the disk already."""
    session.execute(_SQL.add, {"destination": destination, **asdict(filed)})


def versions(
    session: Session, destination: str, document: str | None = None, *, limit: int = VERSIONS_LISTED_MAX
) -> list[Version]:
    """Return versions, the newest first: of one document or of all."""
    with session.cursor(row_factory=class_row(Version)) as cursor:
        wanted = {"destination": destination, "document": document, "limit": limit}
        return cursor.execute(_SQL.versions, wanted).fetchall()


def note(session: Session, document_id: int, step: str, happened_at: datetime, reason: str = "") -> None:
    """Note a step with a version. Safe to repeat."""
    told = {"document_id": document_id, "step": step, "happened_at": happened_at, "reason": reason}
    session.execute(_SQL.note, told)


def announce(session: Session, destination: str, found: Sequence[Publication], now: datetime) -> None:
    """Note what a destination publishes now; what it no longer lists is withdrawn."""
    for each in found:
        session.execute(_SQL.announce, {"destination": destination, **asdict(each)})
    listed = [each.publication_id for each in found]
    session.execute(_SQL.withdraw_others, {"destination": destination, "publication_ids": listed, "now": now})


def publications(session: Session, destination: str, publication_id: UUID | None = None) -> list[Published]:
    """Return what a destination publishes or published, the newest first; of one publication, it or nothing."""
    wanted = {"destination": destination, "publication_id": publication_id, "limit": PUBLICATIONS_LISTED_MAX}
    with session.cursor(row_factory=class_row(Published)) as cursor:
        return cursor.execute(_SQL.publications, wanted).fetchall()


def fetched(session: Session, destination: str, publication_id: UUID, now: datetime) -> None:
    """Note that the file of a publication is here."""
    session.execute(_SQL.fetched, {"destination": destination, "publication_id": publication_id, "now": now})
