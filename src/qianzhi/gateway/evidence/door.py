"""
The door that a regulator knocks at (ASGI): questions by record, and the files that their answers name.

Bare ASGI and no framework: the document fixes every address, parameter and status, and asks for speed.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence.files import Files
from qianzhi.gateway.evidence.questions import Questions
from qianzhi.gateway.evidence.registrar import PATH as REGISTRAR_PATH
from qianzhi.regulators.protocols import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from qianzhi.gateway.evidence.desk import Desk
    from qianzhi.gateway.evidence.registrar import Registrar
    from qianzhi.regulators.protocols import Reply

HEALTH_PATH: Final = "/healthz"
_METHODS: Final = frozenset({"GET", "HEAD"})


class Door:
    """The application; `is_well` tells, in a thread, whether it can answer, and `close` ends what the desk holds."""

    def __init__(
        self,
        desk: Desk,
        registrar: Registrar,
        is_well: Callable[[], Awaitable[bool]],
        close: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._registrar = registrar
        self._is_well = is_well
        self._close = close
        self._questions = Questions(desk)
        self._files = Files(desk)
        self._methods = {each.method: each for each in desk.evidence.ASKED}
        self._links = frozenset(link for each in desk.evidence.ASKED for link in each.links.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["path"] == REGISTRAR_PATH and self._registrar.is_open_to(scope):
            await self._registrar.serve(scope, receive, send)
        elif scope["method"] not in _METHODS:
            await _reply(send, HTTPStatus.METHOD_NOT_ALLOWED, None, (b"allow", b"GET, HEAD"))
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        step = self._step(scope["path"])
        if (asked := self._methods.get(step)) is not None:
            status, reply = await self._questions.answer(scope, asked)
            await _reply(send, status, reply)
        elif step in self._links:
            why = await self._files.show(scope, receive, send, step)
            if why is not None:
                await self._refuse(send, why)
        elif step == HEALTH_PATH[1:]:
            await _reply(send, HTTPStatus.OK if await self._is_well() else HTTPStatus.SERVICE_UNAVAILABLE, None)
        else:
            await self._refuse(send, Outcome.UNKNOWN)

    def _step(self, path: str) -> str:
        """Return the last step of an address, with or without the path of the public address; "" for another one."""
        rest = path.removeprefix(self._desk.terms.base_path)
        return rest[1:] if rest.startswith("/") and "/" not in rest[1:] else ""

    async def _refuse(self, send: Send, outcome: Outcome) -> None:
        await _reply(send, self._desk.evidence.STATUSES[outcome], self._desk.evidence.refuse(outcome))

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._desk.diary.begin()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._desk.diary.close()
        await self._desk.remote.close()
        self._files.close()
        self._close()
        await send({"type": "lifespan.shutdown.complete"})


async def _reply(send: Send, status: HTTPStatus, reply: Reply | None, *more: tuple[bytes, bytes]) -> None:
    content = b"" if reply is None else reply.content
    head = [
        (b"content-length", str(len(content)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    if reply is not None:
        head.append((b"content-type", reply.media_type.encode()))
    await send({"type": "http.response.start", "status": status.value, "headers": head})
    await send({"type": "http.response.body", "body": content})
