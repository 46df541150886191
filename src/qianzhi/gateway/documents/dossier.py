"""The dossier: the documents of this institution towards one destination, and what is published there for it."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from qianzhi.db.server import connect, translated
from qianzhi.errors import ConfigurationError, OperatorError, SenderError
from qianzhi.gateway.documents.checklist import checklist
from qianzhi.ledger import audit, documents
from qianzhi.ledger.documents import Filed
from qianzhi.runtime import clock, papers
from qianzhi.runtime.papers import Objection
from qianzhi.specs.paperwork import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from qianzhi.db.server import Session
    from qianzhi.gateway.documents.checklist import Line
    from qianzhi.gateway.documents.forms import Filled
    from qianzhi.ledger.blobs import Blobs
    from qianzhi.ledger.documents import Published, Version
    from qianzhi.regulators.protocols import Cabinet
    from qianzhi.specs.paperwork import Document, Paperwork

VERSIONS_MAX: Final = 50
"""Of one document."""

FETCHED_BYTES_MAX: Final = 64 * 2**20
FILE_NAME_CHARACTERS_MAX: Final = 200
REASON_CHARACTERS_MAX: Final = 500
PRINTED: Final = "documents:secrets:printed"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that somebody brings."""

    file_name: str
    content: bytes
    dated_on: date
    by: str


@dataclass(frozen=True, slots=True)
class Synced:
    """What an exchange with the destination brought."""

    submitted_count: int
    changed_count: int
    publication_count: int


@dataclass(frozen=True, slots=True)
class Dossier:
    """
    The documents towards one destination.

    Without `open_cabinet` the destination takes none over a line: people hand them in there, and say what became of
    them here.
    """

    destination: str
    dsn: str
    blobs: Blobs
    paperwork: Paperwork
    open_cabinet: Callable[[], Cabinet] | None

    def lines(self, on: date) -> list[Line]:
        """Return the checklist of a day."""
        with self._session() as session:
            return checklist(self.paperwork, documents.versions(session, self.destination), on)

    def versions(self, key: str) -> list[Version]:
        """Return every version of a document, the newest first."""
        self._document(key)
        with self._session() as session:
            return documents.versions(session, self.destination, key)

    def add(self, key: str, upload: Upload, now: datetime) -> Version | Objection:
        """
        Keep a new version of a document, or say why the file is not kept.

        The same bytes of the same day as the newest version are that version. ConfigurationError: the regulator wants
        no such document, or its day lies ahead.
        """
        document = self._document(key)
        if upload.dated_on > clock.local(now).date():
            raise ConfigurationError("The day of the document lies ahead.", remedy="Give the day that stands on it.")
        paper = papers.examine(upload.content, document.accepts)
        if isinstance(paper, Objection):
            return paper
        digest = self.blobs.put(upload.content)
        filed = Filed(
            document=key,
            dated_on=upload.dated_on,
            file_name=_plain_name(upload.file_name),
            digest=digest,
            media_type=paper.media_type,
            byte_count=len(upload.content),
            page_count=paper.page_count,
            added_at=now,
            added_by=upload.by,
        )
        return self._file(filed)

    def bring(self, key: str, contents: Sequence[bytes], upload: Upload, now: datetime) -> Version | Objection:
        """Keep one file as it is, several scans as one PDF; a photograph too, where only a PDF will do."""
        accepts = self._document(key).accepts
        kinds = {papers.kind_of(content) for content in contents}
        is_scan = Kind.PDF in accepts and kinds <= {Kind.PNG, Kind.JPEG} and not kinds <= set(accepts)
        if len(contents) == 1 and not is_scan:
            return self.add(key, replace(upload, content=contents[0]), now)
        name = upload.file_name.rpartition(".")[0] or upload.file_name
        return self.merge(key, contents, replace(upload, file_name=f"{name}.pdf"), now)

    def merge(self, key: str, parts: Sequence[bytes], upload: Upload, now: datetime) -> Version | Objection:
        """Make one PDF of several scans in their order, and keep it as `add` does; the upload's content is not read."""
        if Kind.PDF not in self._document(key).accepts:
            raise ConfigurationError("The document is not handed in as PDF.", remedy="Upload one file.")
        made = papers.merge(parts)
        if isinstance(made, Objection):
            return made
        return self.add(key, replace(upload, content=made), now)

    def record(self, key: str, step: str, now: datetime, reason: str = "") -> Version:
        """Note what people were told of the newest version where the destination says nothing over a line."""
        if self.open_cabinet is not None:
            raise ConfigurationError("The destination says by itself what became of it.", remedy="Wait for its word.")
        if step == "returned" and not reason.strip():
            raise ConfigurationError("A document is returned with a reason.", remedy="Say what must be changed.")
        newest = next(iter(self.versions(key)), None)
        if newest is None:
            raise ConfigurationError("There is no version of the document.", remedy="Add one first.")
        with self._session() as session:
            documents.note(session, newest.document_id, step, now, reason.strip()[:REASON_CHARACTERS_MAX])
        return self.versions(key)[0]

    def content(self, version: Version) -> bytes:
        """Return the file of a version."""
        return self.blobs.get(version.digest)

    def sync(self, now: datetime) -> Synced:
        """Hand in what is new, learn what became of the rest, and what is published. Raises as `Door.send` does."""
        if self.open_cabinet is None:
            return Synced(0, 0, 0)
        cabinet = self.open_cabinet()
        try:
            submitted = sum(self._submit(cabinet, version, now) for version in self._newest() if version.step is None)
            changed = self._learn(cabinet)
            found = cabinet.publications()
        finally:
            cabinet.close()
        with self._session() as session:
            documents.announce(session, self.destination, found, now)
        return Synced(submitted, changed, len(found))

    def note_printed(self, filled: Filled, actor: str) -> None:
        """Put on record who printed secrets of this installation on a form; nothing where there are none on it."""
        if filled.revealed:
            detail = {"items": list(filled.revealed)}
            with self._session() as session:
                audit.note(session, actor=actor, event=PRINTED, subject=filled.form.title.zh, detail=detail)

    def publications(self) -> list[Published]:
        """Return what is or was published, the newest first."""
        with self._session() as session:
            return documents.publications(session, self.destination)

    def fetch(self, publication_id: UUID, now: datetime) -> tuple[Published, bytes]:
        """Return a publication and its file, which is fetched unless it is here; never another than was announced."""
        with self._session() as session:
            found = documents.publications(session, self.destination, publication_id)
        if not found:
            raise ConfigurationError(
                f"There is no publication {publication_id}.", remedy="See `qianzhi gateway documents files`."
            )
        published = found[0]
        if published.fetched_at is not None:
            return published, self.blobs.get(published.digest)
        content = self._fetched(published)
        self.blobs.put(content)
        with self._session() as session:
            documents.fetched(session, self.destination, publication_id, now)
        return published, content

    def _fetched(self, published: Published) -> bytes:
        if self.open_cabinet is None or published.withdrawn_at is not None:
            raise ConfigurationError("The file was withdrawn.", remedy="Ask the destination's operator.")
        if published.byte_count > FETCHED_BYTES_MAX:
            raise OperatorError(
                f"The file is larger than {FETCHED_BYTES_MAX // 2**20} MB.", remedy="Ask for it in another way."
            )
        cabinet = self.open_cabinet()
        try:
            content = cabinet.fetch(published.publication_id, bytes_max=published.byte_count)
        finally:
            cabinet.close()
        if hashlib.sha256(content).digest() != published.digest:
            raise OperatorError(
                "The file that came is not the one that was announced.", remedy="Fetch it again; nothing was kept."
            )
        return content

    def _document(self, key: str) -> Document:
        try:
            return self.paperwork.document(key)
        except KeyError as error:
            known = ", ".join(each.key for each in self.paperwork.documents)
            raise ConfigurationError(f"No document {key} is asked for.", remedy=f"Name one of: {known}.") from error

    def _file(self, filed: Filed) -> Version:
        with self._session() as session:
            documents.lock(session, self.destination)
            held = documents.versions(session, self.destination, filed.document)
            if held and (held[0].digest, held[0].dated_on) == (filed.digest, filed.dated_on):
                return held[0]
            if len(held) >= VERSIONS_MAX:
                raise ConfigurationError(
                    f"{len(held)} versions of {filed.document} are kept already.", remedy="Ask the vendor."
                )
            documents.add(session, self.destination, filed)
            return documents.versions(session, self.destination, filed.document, limit=1)[0]

    def _newest(self) -> list[Version]:
        """Return the newest version of every document that is still asked for."""
        asked = {each.key for each in self.paperwork.documents}
        newest: dict[str, Version] = {}
        with self._session() as session:
            for version in documents.versions(session, self.destination):
                newest.setdefault(version.document, version)
        return [version for key, version in newest.items() if key in asked]

    def _submit(self, cabinet: Cabinet, version: Version, now: datetime) -> bool:
        """Hand one version in; what the destination refuses as such is returned, for its reason."""
        content = self.blobs.get(version.digest)
        step, at, reason = "submitted", now, ""
        try:
            told = cabinet.hand_in(version.document, version.dated_on, version.digest, version.media_type, content)
            at = told.received_at
        except SenderError as error:
            step, reason = "returned", f"{error.what} {error.remedy}"[:REASON_CHARACTERS_MAX]
        with self._session() as session:
            documents.note(session, version.document_id, step, at, reason)
        return step == "submitted"

    def _learn(self, cabinet: Cabinet) -> int:
        """Note what was said of the newest versions; return how many changed."""
        said = cabinet.reviews()
        changed = 0
        for version in self._newest():
            same = (version.document, version.digest, version.dated_on)
            told = next((each for each in said if (each.document, each.digest, each.dated_on) == same), None)
            if told is None or told.reviewed_at is None or told.reviewed_at == version.happened_at:
                continue
            with self._session() as session:
                documents.note(session, version.document_id, told.state, told.reviewed_at, told.reason)
            changed += 1
        return changed

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with (
            translated("The documents were not read or kept"),
            connect(self.dsn, application="qianzhi documents") as session,
        ):
            yield session


def _plain_name(name: str) -> str:
    """Return a file's own name without folders and control characters, for people to recognise it by."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable())[:FILE_NAME_CHARACTERS_MAX] or "file"
