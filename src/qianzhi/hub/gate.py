"""The outermost layer of the intake: one line of log a request, and an answer when something failed."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog

from qianzhi.hub import problems
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = structlog.stdlib.get_logger()
_UNROUTED: Final = "none"


class Gate:
    """
    Wraps an ASGI application.

    A log line has the route's template and never the address or its query, which may name people.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = clock.monotonic(), 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        error: BaseException | None = None
        try:
            await self._app(scope, receive, watch)
        except Exception as raised:  # noqa: BLE001  # the last place that can answer
            error = raised
            if not status:
                await _fail(watch)
        error = error or (scope.get("state") or {}).get("error")
        _write(scope, status, clock.monotonic() - began, error)


async def _fail(send: Send) -> None:
    problem = problems.internal()
    await send(
        {
            "type": "http.response.start",
            "status": problem.status.value,
            "headers": [(b"content-type", problems.MEDIA_TYPE.encode())],
        }
    )
    await send({"type": "http.response.body", "body": problem.encode()})


def _write(scope: Scope, status: int, seconds: float, error: BaseException | None) -> None:
    route = getattr(scope.get("route"), "path", _UNROUTED).replace("{", "<").replace("}", ">")
    write = _LOG.error if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _LOG.info
    write(
        "intake:request:answered",
        method=scope["method"],
        route=route,
        status=status,
        seconds=round(seconds, 4),
        exc_info=error,
    )
