"""Registering over HTTPS: a hospital system that made a recording tells so itself, with a credential of its own."""

from __future__ import annotations

import asyncio
import hmac
from http import HTTPStatus
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qianzhi.errors import QianzhiError, SenderError
from qianzhi.gateway.evidence import asking, registry
from qianzhi.gateway.evidence.register import look
from qianzhi.gateway.evidence.sending import header_of
from qianzhi.ledger import evidence
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from qianzhi.gateway.evidence.guard import Clients
    from qianzhi.gateway.evidence.sessions import Sessions
    from qianzhi.runtime.settings import Settings

PATH: Final = "/v1/media"
BODY_BYTES_MAX: Final = 16 * 1024
BODY_SECONDS_MAX: Final = 10.0
AT_ONCE_MAX: Final = 4
"""Files that are looked into at once; others wait."""

_SCHEME: Final = "Bearer "


class Told(BaseModel):
    """What a system says of a file."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    record: str
    kind: str
    source: str = Field(max_length=4_096)
    number: int = Field(default=0, ge=0, le=registry.NUMBER_MAX)


class Registrar:
    """
    Answers POST /v1/media to systems of named networks that show the credential; to nobody else it is there.

    The body is JSON: record, kind, source (a path or an address) and, of several files, number.
    """

    def __init__(
        self, settings: Settings, sessions: Sessions, clients: Clients, networks: Iterable[str], credential: str
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._clients = clients
        self._networks = [ip_network(each) for each in networks]
        self._credential = credential.encode()
        self._turn = asyncio.Semaphore(AT_ONCE_MAX)

    def is_open_to(self, scope: Scope) -> bool:
        """Tell whether a client is of a network that may register."""
        client = self._clients.of(scope)
        return client is not None and any(ip_address(client) in network for network in self._networks)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Register one file."""
        status, said = await self._answer(scope, receive)
        content = orjson.dumps(said)
        head = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status.value, "headers": head})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[HTTPStatus, dict[str, Any]]:
        if scope["method"] != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, _problem("It takes POST.", "Send JSON by POST.")
        shown = (header_of(scope, b"authorization") or "").removeprefix(_SCHEME).encode()
        if not hmac.compare_digest(shown, self._credential):
            return HTTPStatus.UNAUTHORIZED, _problem("The credential is not right.", "Show that of this gateway.")
        body = await _read(receive)
        try:
            told = None if body is None else Told.model_validate_json(body)
        except ValidationError:
            told = None
        if told is None:
            return HTTPStatus.UNPROCESSABLE_ENTITY, _problem(
                "The body is not understood.", "Send record, kind, source."
            )
        try:
            async with self._turn:
                return HTTPStatus.CREATED, await asyncio.to_thread(self._register, told)
        except SenderError as error:
            return HTTPStatus.UNPROCESSABLE_ENTITY, _problem(error.what, error.remedy)
        except QianzhiError as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, _problem(error.what, error.remedy)

    def _register(self, told: Told) -> dict[str, Any]:
        entry, found = look(self._settings, told.record, told.kind, told.source, number=told.number)
        key = asking.regulator_key(self._settings)
        with self._sessions.lend() as session, session.transaction():
            media_id = evidence.register(session, key, entry, now=clock.now())
        return {
            "media_id": media_id,
            "media_type": found.media_type,
            "codecs": list(found.codecs),
            "unusual": list(found.unusual),
        }


async def _read(receive: Receive) -> bytes | None:
    """Read a body; None where it is too large, too slow or broken off."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return None
                body += message.get("body", b"")
                if len(body) > BODY_BYTES_MAX:
                    return None
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return None


def _problem(what: str, remedy: str) -> dict[str, Any]:
    return {"what": what, "remedy": remedy}
