"""The counter (ASGI): documents that institutions hand in, and files that are published for them."""

from __future__ import annotations

from datetime import date  # noqa: TC003  # FastAPI reads annotations at run time
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID  # noqa: TC003  # likewise

import orjson
from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse

from qianzhi.hub import bodies, documents, publications
from qianzhi.hub.exchange import admit, answer_with, json, read, refuse
from qianzhi.hub.problems import Problem
from qianzhi.runtime import clock
from qianzhi.runtime.papers import PAPER_BYTES_MAX

if TYPE_CHECKING:
    from qianzhi.hub.desk import Desk
    from qianzhi.hub.documents import Version
    from qianzhi.hub.identity import Sender
    from qianzhi.hub.publications import Publication
    from qianzhi.specs.paperwork import Document

_Regulator = Annotated[str, PathParameter(max_length=64)]
_Document = Annotated[str, PathParameter(max_length=64)]
_UNKNOWN_PUBLICATION: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "publication-unknown",
    "The hub has no such publication for this institution.",
    "Read the list again: it may have been withdrawn.",
)


def add(app: FastAPI, desk: Desk) -> None:
    """Add the routes."""
    _add_documents(app, desk)
    _add_publications(app, desk)


def _add_documents(app: FastAPI, desk: Desk) -> None:
    @app.put("/v1/{regulator}/documents/{document}")
    async def put_document(
        request: Request, regulator: _Regulator, document: _Document, *, dated: Annotated[date, Query()]
    ) -> Response:
        """Hand in a document (PDF, image, Word or Excel file); `dated` is the day that stands on it."""
        sender = await admit(request, desk, regulator)
        if isinstance(sender, Problem):
            return await refuse(request, sender)
        wanted = documents.wanted(regulator, document)
        if wanted is None:
            return await refuse(request, documents.UNKNOWN)
        with desk.allowance.share() as share:
            body = await bodies.read(
                request, share, bytes_max=PAPER_BYTES_MAX, seconds_max=desk.limits.body_seconds_max
            )
            if isinstance(body, Problem):
                return await refuse(request, body)
            answer = await desk.examine(sender.institution_id, lambda: _hand_in(desk, sender, wanted, body, dated))
        return answer_with(answer) if isinstance(answer, Problem) else json(orjson.dumps(answer.as_json()))

    @app.get("/v1/{regulator}/documents")
    async def get_documents(request: Request, regulator: _Regulator) -> Response:
        """Read what became of the documents handed in: every version with its state, the newest first."""
        return await read(
            request,
            desk,
            regulator,
            lambda session, sender: [
                each.as_json() for each in documents.versions(session, institution_id=sender.institution_id)
            ],
        )


def _add_publications(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/{regulator}/publications")
    async def get_publications(request: Request, regulator: _Regulator) -> Response:
        """Read the files, notices and certificates that are addressed to the institution, the newest first."""
        return await read(
            request,
            desk,
            regulator,
            lambda session, sender: [
                each.as_json() for each in publications.visible(session, regulator, sender.institution_id)
            ],
        )

    @app.get("/v1/{regulator}/publications/{publication_id}")
    async def get_publication(request: Request, regulator: _Regulator, publication_id: UUID) -> Response:
        """Fetch one of them; its SHA-256 stands in the list."""
        sender = await admit(request, desk, regulator)
        if isinstance(sender, Problem):
            return answer_with(sender)
        found = await desk.query(lambda: _publication(desk, sender, publication_id))
        if found is None:
            return answer_with(_UNKNOWN_PUBLICATION)
        held = desk.files.path(found.digest)
        headers = {"X-Content-Type-Options": "nosniff"}
        return FileResponse(held, media_type=found.media_type, filename=found.file_name, headers=headers)


def _hand_in(desk: Desk, sender: Sender, document: Document, body: bodies.Body, dated_on: date) -> Version | Problem:
    paper = documents.examine(body, document)
    if isinstance(paper, Problem):
        return paper
    with desk.pool.connection() as session:
        return documents.store(session, desk.files, sender, document, body, paper, dated_on, clock.now())


def _publication(desk: Desk, sender: Sender, publication_id: UUID) -> Publication | None:
    with desk.pool.connection() as session:
        found = publications.visible(session, sender.regulator, sender.institution_id, publication_id)
    return found[0] if found else None
