"""What every route of the hub does with a request: who sends it, and how it is answered."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import Request, Response

from qianzhi.hub import bodies, problems
from qianzhi.hub.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.db.server import Session
    from qianzhi.hub.desk import Desk
    from qianzhi.hub.identity import Sender

JSON: Final = "application/json"


def answer_with(problem: Problem) -> Response:
    """Return a problem as an answer."""
    return Response(
        problem.encode(), status_code=problem.status, media_type=problems.MEDIA_TYPE, headers=problem.headers()
    )


async def admit(request: Request, desk: Desk, regulator: str) -> Sender | Problem:
    """Return who sends a request, or why it is not let in."""
    if regulator not in desk.served:
        return problems.of_status(HTTPStatus.NOT_FOUND)
    authorization = request.headers.get("authorization")
    return await desk.query(lambda: desk.doorkeeper.admit(authorization, regulator))


async def read(
    request: Request,
    desk: Desk,
    regulator: str,
    reading: Callable[[Session, Sender], Any],
    missing: Problem | None = None,
) -> Response:
    """Answer with what `reading` gives for a session and the sender; None means `missing`."""
    sender = await admit(request, desk, regulator)
    if isinstance(sender, Problem):
        return answer_with(sender)

    def reads() -> Any:  # noqa: ANN401  # JSON
        with desk.pool.connection() as session:
            return reading(session, sender)

    found = await desk.query(reads)
    return answer_with(missing) if found is None and missing is not None else json(orjson.dumps(found))


def json(content: bytes) -> Response:
    """Return an answer that is JSON already."""
    return Response(content, media_type=JSON)


async def refuse(request: Request, problem: Problem) -> Response:
    """Refuse a request so that its sender learns why, also one that goes on writing."""
    await bodies.drain(request)
    return answer_with(problem)
