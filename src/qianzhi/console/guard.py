"""The outermost layer of the console: nothing passes without a live session, and no other site speaks through it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import structlog
from anyio import to_thread
from nicegui import __version__
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse

from qianzhi.console.headers import Dressed
from qianzhi.errors import QianzhiError
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from qianzhi.console.base import Base
    from qianzhi.console.sessions import Live, Sessions

COOKIE: Final = "qianzhi_console"
LIVE: Final = "qianzhi.live"  # where a scope holds its session
ADDRESS: Final = "qianzhi.address"
SIGN_IN: Final = "/sign-in"
STATIC: Final = "/assets/"
BODY_BYTES_MAX: Final = 64 * 1024
UPLOAD_BYTES_MAX: Final = 64 * 1024 * 1024
COOKIES_BYTES_MAX: Final = 8 * 1024  # reading quoted ones takes time by the square of their length
FRAME_BYTES_MAX: Final = 1024 * 1024
SIGNED_OUT: Final = 4401  # why a socket was closed
FILES: Final = f"/_nicegui/{__version__}/"  # the toolkit's own, the same for all
_CLIENTS: Final = "/_nicegui/client/"
_SOCKET: Final = "/_nicegui_ws/"
# What the toolkit's script understands (Engine.IO 4, Socket.IO 5): a connection is open, and the page is to be left.
_GREETING: Final = ('0{"sid":"-","upgrades":[],"pingInterval":25000,"pingTimeout":20000}', '40{"sid":"-"}')
LEAVE: Final = f'42["open",{{"path":"{SIGN_IN}","new_tab":false}}]'
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_ACTIVITY: Final = '42["event"'  # what a person does; pings and acknowledgements are no use of a session

log = structlog.stdlib.get_logger()


class Guard:
    """
    Wraps the console's application.

    `owns` tells whether a client of the toolkit (by its id) was made for a session.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions, base: Base, owns: Callable[[Live, str], bool]) -> None:
        self._app = app
        self._sessions = sessions
        self._base = base
        self._owns = owns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        scope["headers"] = _without_bombs(scope)
        headers = Headers(scope=scope)
        client = scope.get("client")
        scope[ADDRESS] = self._base.address_of(client[0] if client else "", headers)
        scope["headers"] = self._forwarded(scope)
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send, headers)
        else:
            await self._serve(scope, receive, send, headers)

    def _forwarded(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Let nobody but the settings say below which sub-path the console stands."""
        kept = [(name, value) for name, value in scope["headers"] if name.lower() != b"x-forwarded-prefix"]
        return [*kept, (b"x-forwarded-prefix", self._base.prefix.encode())] if self._base.prefix else kept

    async def _serve(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        dressed = Dressed(send, scope["path"], is_secure=self._base.is_secure)
        try:
            refusal = await self._refusal(scope, headers)
        except QianzhiError:
            log.exception("console:session:unread")
            refusal = PlainTextResponse("数据库暂不可用，请稍后再试。\nThe database is away; try again soon.", 503)
        if refusal is not None:
            await refusal(scope, receive, dressed)
            return
        await self._app(scope, receive, dressed)

    async def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | RedirectResponse | None:
        """Return the answer to a request that may not pass."""
        path = scope["path"]
        if (status := self._wrong(scope, headers)) is not None:
            return _plain(status)
        scope[LIVE] = live = await self._live(headers)
        if live is None:
            return None if _is_open(path) else self._to_sign_in(scope)
        live.seen_at = clock.now()
        if path.startswith(_CLIENTS) and not self._owns(live, path.removeprefix(_CLIENTS).partition("/")[0]):
            return _plain(HTTPStatus.NOT_FOUND)
        return None

    def _wrong(self, scope: Scope, headers: Headers) -> HTTPStatus | None:
        """Tell what is wrong with a request, whoever sends it."""
        method, path = scope["method"], scope["path"]
        if method not in _METHODS:
            return HTTPStatus.METHOD_NOT_ALLOWED
        if method == "POST" and not self._base.is_own(headers.get("origin", ""), headers.get("host", "")):
            log.warning("console:origin:refused", method=method)
            return HTTPStatus.FORBIDDEN
        if method == "POST" and not _is_within(
            headers, UPLOAD_BYTES_MAX if path.startswith(_CLIENTS) else BODY_BYTES_MAX
        ):
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if path.startswith(_SOCKET):  # no polling: its requests would not be bound to one connection
            return HTTPStatus.FORBIDDEN
        return None

    def _to_sign_in(self, scope: Scope) -> PlainTextResponse | RedirectResponse:
        if scope["method"] == "POST":
            return _plain(HTTPStatus.UNAUTHORIZED)
        asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        to = "" if asked == "/" else f"?next={quote(asked, safe='')}"
        return RedirectResponse(self._base.link(SIGN_IN) + to, HTTPStatus.SEE_OTHER)

    async def _live(self, headers: Headers) -> Live | None:
        token = token_of(headers)
        if token is None:
            return None
        return self._sessions.held(token) or await to_thread.run_sync(self._sessions.find, token)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        """Let a socket of our own pages talk as long as its session lives."""
        try:
            live = await self._live(headers)
        except QianzhiError:
            live = None
        is_ours = self._base.is_own(headers.get("origin", ""), headers.get("host", ""))
        if not is_ours or not scope["path"].startswith(_SOCKET):
            await receive()
            await send({"type": "websocket.close", "code": SIGNED_OUT})
            return
        if live is None:
            await _send_away(receive, send)
            return
        scope[LIVE] = live
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        forget = live.on_end(partial(_set, loop, over))
        try:
            await self._app(scope, _Watched(receive, send, live, over), send)
        finally:
            forget()


class _Watched:
    """Wraps `receive` of a socket: it ends when its session does, and notes when the session was used."""

    def __init__(self, receive: Receive, send: Send, live: Live, over: asyncio.Event) -> None:
        self._receive = receive
        self._send = send
        self._live = live
        self._over = over
        self._waiting: asyncio.Task[Message] | None = None

    async def __call__(self) -> Message:
        if self._waiting is None:
            self._waiting = asyncio.ensure_future(self._receive())
        ended = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({self._waiting, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        if self._over.is_set():
            with suppress(OSError, RuntimeError):
                await self._send({"type": "websocket.send", "text": LEAVE})
            return await self._cut(SIGNED_OUT)
        message, self._waiting = self._waiting.result(), None
        text = message.get("text") or ""
        if len(text) > FRAME_BYTES_MAX or len(message.get("bytes") or b"") > FRAME_BYTES_MAX:
            return await self._cut(1009)
        if text.startswith(_ACTIVITY):
            self._live.seen_at = clock.now()
        return message

    async def _cut(self, code: int) -> Message:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        with suppress(OSError, RuntimeError):  # the other side was faster
            await self._send({"type": "websocket.close", "code": code})
        return {"type": "websocket.disconnect", "code": code}


def _without_bombs(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the headers; without any cookie where there is more of them than a browser of ours has."""
    given: list[tuple[bytes, bytes]] = list(scope["headers"])
    size = sum(len(value) for name, value in given if name.lower() == b"cookie")
    return given if size <= COOKIES_BYTES_MAX else [each for each in given if each[0].lower() != b"cookie"]


def token_of(headers: Headers) -> str | None:
    """Return the token that a browser holds."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[COOKIE].value if COOKIE in cookies else None


async def _send_away(receive: Receive, send: Send) -> None:
    """Tell a page whose session is over to leave: were its socket refused, it would stand there as it was."""
    await receive()
    await send({"type": "websocket.accept"})
    for text in (*_GREETING, LEAVE):
        await send({"type": "websocket.send", "text": text})
    await send({"type": "websocket.close", "code": SIGNED_OUT})


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event from any thread; a loop that is gone has nobody who waits."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(event.set)


def _is_open(path: str) -> bool:
    """Tell whether a path is for everybody: signing in, and files that are the same for all."""
    if path in {SIGN_IN, "/language", "/favicon.ico"} or path.startswith(STATIC):
        return True
    return path.startswith(FILES) and not path.startswith(f"{FILES}dynamic_resources/")


def _is_within(headers: Headers, bytes_max: int) -> bool:
    """Tell whether a body says how long it is, and is not too long; the server holds it to that."""
    length = headers.get("content-length", "")
    return length.isascii() and length.isdigit() and int(length[:12]) <= bytes_max


def _plain(status: HTTPStatus) -> PlainTextResponse:
    return PlainTextResponse(status.phrase, status.value)
