"""Documents that institutions hand in: kept version by version, and reviewed by the hub's operators."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from psycopg.rows import class_row

from qianzhi.db.queries import load
from qianzhi.errors import ConfigurationError
from qianzhi.hub import problems
from qianzhi.hub.problems import Problem
from qianzhi.ledger import audit
from qianzhi.regulators import paperwork
from qianzhi.runtime import papers
from qianzhi.runtime.files import is_full
from qianzhi.runtime.papers import Objection

if TYPE_CHECKING:
    from datetime import date, datetime

    from qianzhi.db.server import Session
    from qianzhi.hub.bodies import Body
    from qianzhi.hub.identity import Sender
    from qianzhi.ledger.blobs import Blobs
    from qianzhi.runtime.papers import Paper
    from qianzhi.specs.paperwork import Document

VERSIONS_MAX: Final = 50
"""Of one document of an institution, ever."""

BYTES_MAX: Final = 2**30
"""Of all documents of an institution."""

LISTED_MAX: Final = 1000
REASON_CHARACTERS_MAX: Final = 500

_QUERIES = load("qianzhi.hub", "documents.sql")
UNKNOWN: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "document-unknown",
    "The regulator asks for no such document.",
    "Name one of its list: `qianzhi gateway documents list` shows it.",
)
_TOO_MANY: Final = Problem(
    HTTPStatus.CONFLICT,
    "documents-full",
    "The institution has handed in as much as the hub keeps of it.",
    "Ask the hub's operator.",
)


class Verdict(StrEnum):
    """What an operator says of a document."""

    REVIEWED = "reviewed"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document as the hub holds it."""

    document_seq: int
    institution: str
    institution_name: str
    regulator: str
    document: str
    dated_on: date
    digest: bytes
    media_type: str
    byte_count: int
    page_count: int
    received_at: datetime
    state: str
    reason: str
    reviewed_at: datetime | None
    actor: str | None

    def as_json(self) -> dict[str, Any]:
        """Return what its institution is told; who reviewed it stays at the hub."""
        return {
            "document": self.document,
            "dated_on": self.dated_on.isoformat(),
            "digest": self.digest.hex(),
            "received_at": self.received_at.isoformat(),
            "state": self.state,
            "reason": self.reason,
            "reviewed_at": self.reviewed_at.isoformat() if self.reviewed_at else None,
        }

    def as_row(self) -> dict[str, Any]:
        """Return what the hub's operators see of it."""
        reviewed = {"reviewed_at": self.reviewed_at, "actor": self.actor}
        return {
            "id": self.document_seq,
            "institution": self.institution,
            "institution_name": self.institution_name,
            "document": self.document,
            "dated_on": self.dated_on,
            "pages": self.page_count,
            "received_at": self.received_at,
            "state": self.state,
            "reason": self.reason,
            **reviewed,
        }


@dataclass(frozen=True, slots=True)
class _Usage:
    version_count: int
    byte_count: int


def wanted(regulator: str, key: str) -> Document | None:
    """Return the document of a regulator's list, or None."""
    try:
        return paperwork(regulator).document(key)
    except (KeyError, ConfigurationError):
        return None


def examine(body: Body, document: Document) -> Paper | Problem:
    """Look into what came: what an institution's own gateway said of it is not relied on."""
    found = papers.examine(body.content, document.accepts)
    if not isinstance(found, Objection):
        return found
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "document-refused", found.sentence, found.advice)


def store(  # noqa: PLR0917 - each is another thing
    session: Session,
    files: Blobs,
    sender: Sender,
    document: Document,
    body: Body,
    paper: Paper,
    dated_on: date,
    now: datetime,
) -> Version | Problem:
    """Keep a version, file first, then ledger. The same bytes and day as the newest version are that version."""
    session.execute(_QUERIES.lock, {"institution_id": sender.institution_id})
    of = {"institution_id": sender.institution_id, "document": document.key}
    newest = _newest(session, of)
    if newest is not None and (newest.digest, newest.dated_on) == (body.digest, dated_on):
        return newest
    if not _has_room(session, of, len(body.content)):
        return _TOO_MANY
    try:
        files.put(body.content)
    except OSError as error:
        if is_full(error):
            return problems.FULL
        raise
    told = {"digest": body.digest, "media_type": paper.media_type, "page_count": paper.page_count}
    row = of | told | {"dated_on": dated_on, "byte_count": len(body.content), "received_at": now}
    session.execute(_QUERIES.add, row)
    added = _newest(session, of)
    assert added is not None  # noqa: S101 - it was added in this transaction
    return added


def versions(
    session: Session, *, institution_id: int | None = None, state: str | None = None, limit: int = LISTED_MAX
) -> list[Version]:
    """Return versions, the newest first: of one institution or of all."""
    return _listed(session, institution_id=institution_id, state=state, limit=limit)


def find(session: Session, document_seq: int) -> Version:
    """Return one version. ConfigurationError: there is none."""
    found = _listed(session, document_seq=document_seq, limit=1)
    if not found:
        raise ConfigurationError(
            f"The hub holds no document of number {document_seq}.", remedy="See `qianzhi hub documents list`."
        )
    return found[0]


def review(
    session: Session, document_seq: int, verdict: Verdict, *, reason: str = "", actor: str, now: datetime
) -> Version:
    """Say what is thought of a version; ConfigurationError: there is none, or it is returned without a reason."""
    version = find(session, document_seq)
    if verdict is Verdict.RETURNED and not reason.strip():
        raise ConfigurationError("A document is returned with a reason.", remedy="Say what must be changed.")
    said = {"document_seq": document_seq, "verdict": verdict.value, "actor": actor, "reviewed_at": now}
    session.execute(_QUERIES.review, said | {"reason": reason.strip()[:REASON_CHARACTERS_MAX]})
    subject = f"{version.regulator}/{version.institution}/{version.document}"
    event, detail = f"documents:document:{verdict.value}", {"document_seq": document_seq}
    audit.note(session, actor=actor, event=event, subject=subject, detail=detail)
    return find(session, document_seq)


def _newest(session: Session, of: dict[str, Any]) -> Version | None:
    found = _listed(session, institution_id=of["institution_id"], document=of["document"], limit=1)
    return found[0] if found else None


def _has_room(session: Session, of: dict[str, Any], byte_count: int) -> bool:
    with session.cursor(row_factory=class_row(_Usage)) as cursor:
        used = cursor.execute(_QUERIES.usage, of).fetchone() or _Usage(0, 0)
    return used.version_count < VERSIONS_MAX and used.byte_count + byte_count <= BYTES_MAX


def _listed(
    session: Session,
    *,
    institution_id: int | None = None,
    document: str | None = None,
    document_seq: int | None = None,
    state: str | None = None,
    limit: int,
) -> list[Version]:
    wanted_of = {"institution_id": institution_id, "document": document, "document_seq": document_seq}
    wanted_of |= {"state": state, "limit": limit}
    with session.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(_QUERIES.versions, wanted_of).fetchall()
