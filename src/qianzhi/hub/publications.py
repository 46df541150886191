"""Files, notices and certificates that the hub publishes: to every institution of a regulator, or to some."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from psycopg.rows import class_row

from qianzhi.db.queries import load
from qianzhi.errors import ConfigurationError
from qianzhi.ledger import audit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.hub.onboarding import Institution
    from qianzhi.ledger.blobs import Blobs

FILE_BYTES_MAX: Final = 64 * 2**20
LIVE_MAX: Final = 1000
"""Publications of a regulator that can be fetched at once; a gateway takes no longer list."""

TITLE_CHARACTERS_MAX: Final = 200
_FILE_NAME_CHARACTERS_MAX: Final = 120
_QUERIES = load("qianzhi.hub", "publications.sql")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f<>:\"/\\|?*]")
_ANY: Final = "application/octet-stream"


class PublicationKind(StrEnum):
    """What is published."""

    FILE = "file"
    NOTICE = "notice"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Publication:
    """One thing that was published."""

    publication_id: UUID
    regulator: str
    kind: str
    title: str
    file_name: str
    media_type: str
    digest: bytes
    byte_count: int
    for_all: bool
    published_at: datetime
    published_by: str
    withdrawn_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return what those are told who may fetch it."""
        return {
            "publication_id": str(self.publication_id),
            "kind": self.kind,
            "title": self.title,
            "file_name": self.file_name,
            "media_type": self.media_type,
            "digest": self.digest.hex(),
            "byte_count": self.byte_count,
            "published_at": self.published_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be published."""

    kind: PublicationKind
    title: str
    file_name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class _Certified:
    record: bytes
    signature: bytes


def publish(  # noqa: PLR0917 - each is another thing
    session: Session,
    files: Blobs,
    regulator: str,
    draft: Draft,
    audience: Sequence[Institution] | None,
    actor: str,
    now: datetime,
) -> Publication:
    """
    Publish a file to some institutions, or (None) to all of a regulator, also those that register later.

    ConfigurationError: it is empty or too large, has no title, is for nobody, or the regulator has too many.
    """
    _refuse_unfit(session, regulator, draft, audience)
    files.put(draft.content)
    made = Publication(
        publication_id=uuid4(),
        regulator=regulator,
        kind=draft.kind.value,
        title=draft.title.strip(),
        file_name=safe_name(draft.file_name),
        media_type=mimetypes.guess_type(draft.file_name)[0] or _ANY,
        digest=hashlib.sha256(draft.content).digest(),
        byte_count=len(draft.content),
        for_all=audience is None,
        published_at=now,
        published_by=actor,
        withdrawn_at=None,
    )
    session.execute(_QUERIES.add, {name: getattr(made, name) for name in Publication.__dataclass_fields__})
    for institution in audience or ():
        address = {"publication_id": made.publication_id, "institution_id": institution.institution_id}
        session.execute(_QUERIES.address, address)
    audit.note(session, actor=actor, event="publications:file:published", subject=str(made.publication_id))
    return made


def visible(
    session: Session, regulator: str, institution_id: int, publication_id: UUID | None = None
) -> list[Publication]:
    """Return what an institution may fetch now, the newest first; of one publication, it or nothing."""
    wanted = {"regulator": regulator, "institution_id": institution_id, "publication_id": publication_id}
    with session.cursor(row_factory=class_row(Publication)) as cursor:
        return cursor.execute(_QUERIES.visible, wanted | {"limit": LIVE_MAX}).fetchall()


def listed(session: Session, limit: int = LIVE_MAX) -> list[Publication]:
    """Return every publication, the newest first."""
    with session.cursor(row_factory=class_row(Publication)) as cursor:
        return cursor.execute(_QUERIES.listed, {"limit": limit}).fetchall()


def withdraw(session: Session, publication_id: UUID, *, actor: str, now: datetime) -> None:
    """Let nobody fetch a publication any more. ConfigurationError: there is none, or it is withdrawn."""
    if session.execute(_QUERIES.withdraw, {"publication_id": publication_id, "now": now}).fetchone() is None:
        raise ConfigurationError(
            f"No publication {publication_id} can be withdrawn.", remedy="See `qianzhi hub publications list`."
        )
    audit.note(session, actor=actor, event="publications:file:withdrawn", subject=str(publication_id))


def certify(session: Session, publication_id: UUID, number: str, record: bytes, signature: bytes) -> None:
    """Keep the signed record of a certificate that was published."""
    values = {"publication_id": publication_id, "number": number, "record": record, "signature": signature}
    session.execute(_QUERIES.certify, values)


def certified(session: Session, digest: bytes) -> tuple[bytes, bytes] | None:
    """Return record and signature of the certificate whose file has this SHA-256, or None."""
    with session.cursor(row_factory=class_row(_Certified)) as cursor:
        found = cursor.execute(_QUERIES.certified, {"digest": digest}).fetchone()
    return (found.record, found.signature) if found else None


def safe_name(name: str) -> str:
    """Return a file name that every system takes, and that leads to no other folder."""
    plain = _UNSAFE.sub("_", name).strip(" .")
    stem, dot, suffix = plain.rpartition(".")
    room = _FILE_NAME_CHARACTERS_MAX - len(suffix) - 1
    return (f"{stem[:room]}{dot}{suffix}" if stem else plain[:_FILE_NAME_CHARACTERS_MAX]) or "file"


def _refuse_unfit(session: Session, regulator: str, draft: Draft, audience: Sequence[Institution] | None) -> None:
    if not draft.content or len(draft.content) > FILE_BYTES_MAX:
        raise ConfigurationError(
            "The file is empty or too large to be published.", remedy=f"Keep it under {FILE_BYTES_MAX // 2**20} MB."
        )
    if not draft.title.strip() or len(draft.title) > TITLE_CHARACTERS_MAX:
        raise ConfigurationError(
            "The title is blank or too long.", remedy=f"Give one of up to {TITLE_CHARACTERS_MAX} characters."
        )
    if audience is not None and not audience:
        raise ConfigurationError("It is addressed to nobody.", remedy="Name institutions, or all.")
    count = session.execute(_QUERIES.live, {"regulator": regulator, "limit": LIVE_MAX}).rowcount
    if count >= LIVE_MAX:
        raise ConfigurationError(
            f"{count} publications of {regulator} can be fetched already.", remedy="Withdraw old ones."
        )
