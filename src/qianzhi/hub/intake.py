"""The intake's HTTP door (ASGI): batches, images, receipts and the validation log of the sender."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import date  # noqa: TC003  # FastAPI reads annotations at run time
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID  # noqa: TC003  # likewise

import orjson
from fastapi import FastAPI, Header, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import qianzhi
from qianzhi.errors import QianzhiError
from qianzhi.hub import blobs, bodies, counter, exchange, feedback, pieces, problems
from qianzhi.hub.exchange import JSON, answer_with
from qianzhi.hub.gate import Gate
from qianzhi.hub.pieces import Piece
from qianzhi.hub.problems import Problem
from qianzhi.regulators import regulator as regulator_of
from qianzhi.sealing.images import IMAGE_BYTES_MAX, PIECE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import TypeVar

    from qianzhi.hub.desk import Desk
    from qianzhi.hub.identity import Sender

    T = TypeVar("T")

UPLOAD_OFFSET: Final = "Upload-Offset"
UPLOAD_LENGTH: Final = "Upload-Length"
HEALTH_PATH: Final = "/healthz"
PAGE_MAX: Final = 10_000
_ROW_ID_MIN: Final = -(2**63)

_Regulator = Annotated[str, PathParameter(max_length=64)]
_Digest = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$")]
_UNKNOWN_BATCH: Final = Problem(
    HTTPStatus.NOT_FOUND,
    "batch-unknown",
    "The hub holds no such batch of this institution.",
    "Send it: nothing was lost by asking.",
)
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/vnd.qianzhi.batch+zstd": {"schema": {"type": "string", "format": "binary"}},
            JSON: {"schema": {"type": "object"}},
        },
    }
}


def build(desk: Desk) -> Gate:
    """Return the ASGI application. Its description lies at /openapi.json; no page of it needs another machine."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(title="qianzhi hub", version=qianzhi.__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    _add_batches(app, desk)
    _add_blobs(app, desk)
    _add_pieces(app, desk)
    _add_feedback(app, desk)
    counter.add(app, desk)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(QianzhiError, _answer_error)
    app.add_exception_handler(Exception, _answer_defect)
    return Gate(app)


def _add_batches(app: FastAPI, desk: Desk) -> None:
    @app.put("/v1/{regulator}/batches/{batch_id}", openapi_extra=_BODY)
    async def put_batch(request: Request, regulator: _Regulator, batch_id: UUID) -> Response:
        """Submit a batch; the answer is its receipt, and sending the same again gives the same receipt."""
        sender = await exchange.admit(request, desk, regulator)
        if isinstance(sender, Problem):
            return await exchange.refuse(request, sender)
        media_type = _media_type(request)
        accepted = desk.served[regulator].intake.MEDIA_TYPES
        if media_type not in accepted:
            return await exchange.refuse(request, _unsupported(accepted))
        with desk.allowance.share() as share:
            body = await bodies.read(
                request, share, bytes_max=desk.limits.body_bytes_max, seconds_max=desk.limits.body_seconds_max
            )
            if isinstance(body, Problem):
                return await exchange.refuse(request, body)
            answer = await desk.batch(
                sender.institution_id, lambda: desk.reception.receive(sender, batch_id, body, media_type)
            )
        return answer_with(answer) if isinstance(answer, Problem) else exchange.json(answer.receipt)

    @app.get("/v1/{regulator}/batches/{batch_id}")
    async def get_receipt(request: Request, regulator: _Regulator, batch_id: UUID) -> Response:
        """Read the receipt of a batch again."""
        sender = await exchange.admit(request, desk, regulator)
        if isinstance(sender, Problem):
            return answer_with(sender)
        receipt = await desk.query(lambda: desk.reception.receipt(sender, batch_id))
        return answer_with(_UNKNOWN_BATCH) if receipt is None else exchange.json(receipt)


def _add_blobs(app: FastAPI, desk: Desk) -> None:
    @app.put("/v1/{regulator}/blobs/{digest}", status_code=HTTPStatus.NO_CONTENT)
    async def put_blob(request: Request, regulator: _Regulator, digest: _Digest) -> Response:
        """Send an image that rows will name; its address is its SHA-256 in hex."""
        sender = await exchange.admit(request, desk, regulator)
        if isinstance(sender, Problem):
            return await exchange.refuse(request, sender)
        with desk.allowance.share() as share:
            body = await bodies.read(
                request, share, bytes_max=IMAGE_BYTES_MAX, seconds_max=desk.limits.body_seconds_max
            )
            if isinstance(body, Problem):
                return await exchange.refuse(request, body)
            problem = await desk.query(lambda: _store(desk, sender, digest, body, _media_type(request)))
        return answer_with(problem) if problem else Response(status_code=HTTPStatus.NO_CONTENT)


def _add_pieces(app: FastAPI, desk: Desk) -> None:
    @app.patch("/v1/{regulator}/blobs/{digest}", status_code=HTTPStatus.NO_CONTENT)
    async def patch_blob(
        request: Request,
        regulator: _Regulator,
        digest: _Digest,
        *,
        offset: Annotated[int, Header(alias=UPLOAD_OFFSET, ge=0, le=IMAGE_BYTES_MAX)],
        length: Annotated[int, Header(alias=UPLOAD_LENGTH, ge=1, le=IMAGE_BYTES_MAX)],
    ) -> Response:
        """Send the next piece of an image; Upload-Offset says where it begins, Upload-Length how long the whole is."""
        sender = await exchange.admit(request, desk, regulator)
        if isinstance(sender, Problem):
            return await exchange.refuse(request, sender)
        piece = Piece(bytes.fromhex(digest), _media_type(request), offset, length)
        with desk.allowance.share() as share:
            body = await bodies.read(
                request, share, bytes_max=PIECE_BYTES_MAX, seconds_max=desk.limits.body_seconds_max
            )
            if isinstance(body, Problem):
                return await exchange.refuse(request, body)
            added = await desk.query(lambda: _add(desk, sender, piece, body.content))
        if isinstance(added, Problem):
            return answer_with(added)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={UPLOAD_OFFSET: str(added)})

    @app.head("/v1/{regulator}/blobs/{digest}")
    async def head_blob(request: Request, regulator: _Regulator, digest: _Digest) -> Response:
        """Ask whether an image is held already, and if not, by Upload-Offset, how much of it."""
        sender = await exchange.admit(request, desk, regulator)
        if isinstance(sender, Problem):
            return Response(status_code=sender.status, headers=sender.headers())
        if await desk.query(lambda: _is_held(desk, sender, digest)):
            return Response(status_code=HTTPStatus.OK)
        there = await desk.query(lambda: pieces.begun(desk.files, sender.institution_id, bytes.fromhex(digest)))
        return Response(status_code=HTTPStatus.NOT_FOUND, headers={UPLOAD_OFFSET: str(there)})


def _add_feedback(app: FastAPI, desk: Desk) -> None:
    @app.get("/v1/{regulator}/log")
    async def get_log(
        request: Request,
        regulator: _Regulator,
        *,
        first: Annotated[date | None, Query(alias="from")] = None,
        last: Annotated[date | None, Query(alias="to")] = None,
        dataset: Annotated[str | None, Query(max_length=64)] = None,
        page: Annotated[int, Query(ge=0, le=PAGE_MAX)] = 0,
    ) -> Response:
        """Read the validation log: each batch with its date, time, dataset and counts, the newest first."""
        return await exchange.read(
            request,
            desk,
            regulator,
            lambda session, sender: feedback.log(
                session, sender.institution_id, regulator, first=first, last=last, dataset=dataset, page=page
            ),
        )

    @app.get("/v1/{regulator}/log/{batch_id}/failed")
    async def get_failed(
        request: Request,
        regulator: _Regulator,
        batch_id: UUID,
        after: Annotated[int, Query(ge=_ROW_ID_MIN, lt=2**63)] = _ROW_ID_MIN,
    ) -> Response:
        """Read the failed records of a batch, each with its content and its reasons, from the row id after `after`."""
        return await exchange.read(
            request,
            desk,
            regulator,
            lambda session, sender: feedback.failed(
                session, sender.institution_id, desk.served[regulator], batch_id, after=after
            ),
            missing=_UNKNOWN_BATCH,
        )

    @app.get(HEALTH_PATH)
    async def get_health() -> Response:
        """Tell whether the hub can take batches."""
        why = await desk.query(desk.ailment)
        if why is not None:
            return failing(why)
        known = {key: regulator_of(key) for key in sorted(desk.served)}
        editions = {key: {"edition": each.edition, "ruleset": each.digest} for key, each in known.items()}
        return exchange.json(orjson.dumps({"status": "ok", "regulators": list(known), "editions": editions}))


def failing(why: str) -> Response:
    """Return what /healthz answers when not all is well."""
    said = orjson.dumps({"status": "failing", "why": why})
    return Response(
        said, status_code=HTTPStatus.SERVICE_UNAVAILABLE, media_type=JSON, headers=problems.UNAVAILABLE.headers()
    )


def _store(desk: Desk, sender: Sender, digest: str, body: bodies.Body, media_type: str) -> Problem | None:
    problem = blobs.misfit(body, bytes.fromhex(digest), media_type)
    if problem is not None:
        return problem
    with desk.pool.connection() as session:
        return blobs.store(session, desk.files, sender.institution_id, body, media_type)


def _add(desk: Desk, sender: Sender, piece: Piece, content: bytes) -> int | Problem:
    problem = pieces.misfit(piece, len(content))
    if problem is not None:
        return problem
    with desk.pool.connection() as session:
        return pieces.add(session, desk.files, sender.institution_id, piece, content)


def _is_held(desk: Desk, sender: Sender, digest: str) -> bool:
    with desk.pool.connection() as session:
        return blobs.is_held(session, sender.institution_id, bytes.fromhex(digest))


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unsupported(accepted: tuple[str, ...]) -> Problem:
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "media-type",
        "The hub does not read this kind of body.",
        f"Send one of {', '.join(accepted)}, and say so in Content-Type.",
    )


async def _answer_http(request: Request, error: Exception) -> Response:
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    response = await exchange.refuse(request, problems.of_status(status))
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


async def _answer_invalid(request: Request, error: Exception) -> Response:
    # What was sent stays out of the answer: an address may hold anything.
    names = {str(part["loc"][-1]) for part in error.errors()} if isinstance(error, RequestValidationError) else set()
    return await exchange.refuse(
        request,
        problems.invalid(f"A parameter cannot be read: {', '.join(sorted(names))}.", "Look at /openapi.json."),
    )


async def _answer_error(request: Request, error: Exception) -> Response:
    request.state.error = error
    return await exchange.refuse(
        request, problems.of_error(error) if isinstance(error, QianzhiError) else problems.internal()
    )


async def _answer_defect(request: Request, error: Exception) -> Response:
    request.state.error = error
    return answer_with(problems.internal())
