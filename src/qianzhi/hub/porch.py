"""What answers while the intake cannot open for want of its database: everybody is told to come again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog
from starlette.requests import Request

from qianzhi.hub import bodies
from qianzhi.hub.exchange import answer_with
from qianzhi.hub.intake import HEALTH_PATH, failing
from qianzhi.hub.problems import UNAVAILABLE
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

PAUSE_SECONDS: Final = 1.0

log = structlog.stdlib.get_logger()


class Porch:
    """
    Stands before an application that `opener` gives, from a thread, as soon as it can.

    A worker that only waited would let requests wait with it, and its successor too.
    """

    def __init__(self, opener: Callable[[], ASGIApp]) -> None:
        self._app: ASGIApp | None = None
        threading.Thread(target=self._open, args=(opener,), name="porch", daemon=True).start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["path"] == HEALTH_PATH:
            await failing("The hub waits for its database.")(scope, receive, send)
        else:
            await bodies.drain(Request(scope, receive))
            await answer_with(UNAVAILABLE)(scope, receive, send)

    def _open(self, opener: Callable[[], ASGIApp]) -> None:
        while self._app is None:
            clock.sleep(PAUSE_SECONDS)
            try:
                self._app = opener()
            except Exception:
                log.exception("intake:opening:failed")


async def _live(receive: Receive, send: Send) -> None:
    """Take part in a worker's start and end; sessions that were opened late end with their process."""
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})
