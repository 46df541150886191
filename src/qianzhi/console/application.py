"""The console as one ASGI application: sign-in, pages, guard. Exactly one process serves it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog
from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from nicegui import app as toolkit
from nicegui import ui

from qianzhi.console import assets, downloads, pages, password, sockets
from qianzhi.console.entrance import DatabaseAccount, Entrance
from qianzhi.console.guard import FILES, SIGN_IN, STATIC, Guard
from qianzhi.console.sessions import Limits, Sessions
from qianzhi.console.signin import SignIn
from qianzhi.console.visit import SESSIONS_MAX, Desk
from qianzhi.errors import QianzhiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp, Receive, Scope, Send

    from qianzhi.console.base import Base
    from qianzhi.console.pages import Site
    from qianzhi.db.pool import Pool

SWEEP_SECONDS: Final = 5.0
RECONNECT_SECONDS: Final = 60.0
"""
How long a page waits for its browser, with all that was typed: a laptop that slept, a proxy that was started anew.

The toolkit looks for a lost browser each 0.8 of it, which keeps a line below the minute after which proxies cut it.
"""

HISTORY_MAX: Final = 200  # messages that are sent again after a short break; they hold what a page shows

log = structlog.stdlib.get_logger()


def build(
    site: Site,
    pool: Pool,
    base: Base,
    *,
    limits: Limits | None = None,
    database_accounts: Mapping[str, DatabaseAccount] | None = None,
) -> ASGIApp:
    """Make the application; once in a process, for the toolkit has one application of its own in each."""
    sessions = Sessions(pool, limits or Limits())
    entrance = Entrance(pool, sessions, database_accounts or {})
    desk = Desk(pool, sessions, base, CapacityLimiter(SESSIONS_MAX))
    site = replace(site, pages=(*site.pages, password.page(entrance)))
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=_lifespan(sessions))
    _route(app, SignIn(entrance, base, site.title, site.institution))
    pages.register(site, desk)
    sockets.bind()
    toolkit.config.socket_io_js_transports = ["websocket"]
    toolkit.on_exception(_note_failure)
    ui.run_with(
        app,
        title="qianzhi",
        language="zh-CN",
        favicon=None,
        tailwind=False,
        show_welcome_message=False,
        reconnect_timeout=RECONNECT_SECONDS,
        message_history_length=HISTORY_MAX,
        gzip_middleware_factory=CompressedFiles,
    )
    return Guard(app, sessions, base, sockets.owns)


class CompressedFiles(GZipMiddleware):
    """Compresses the toolkit's files, and no page: its length would tell what it holds."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        is_file = scope["type"] == "http" and scope["path"].startswith(FILES)
        await (super().__call__ if is_file else self.app)(scope, receive, send)


def _route(app: FastAPI, sign_in: SignIn) -> None:
    app.add_route(SIGN_IN, sign_in.show, methods=["GET"])
    app.add_route(SIGN_IN, sign_in.enter, methods=["POST"])
    app.add_route("/sign-out", sign_in.leave, methods=["POST"])
    app.add_route("/language", sign_in.prefer, methods=["POST"])
    app.add_route(f"{STATIC}{{digest}}/{{name}}", assets.serve, methods=["GET"])
    app.add_route(downloads.PATH, downloads.serve, methods=["GET"])


def _lifespan(sessions: Sessions) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(_sweep(sessions))
        try:
            yield
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping

    return lifespan


async def _sweep(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await to_thread.run_sync(sessions.sweep)
        except QianzhiError:
            log.exception("console:sessions:unswept")


def _note_failure(error: Exception) -> None:
    log.error("console:toolkit:failed", exc_info=error)
