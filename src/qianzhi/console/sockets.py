"""
Whose page a socket may speak for.

The toolkit knows a page by an id in the page's text, and lets any socket speak for any page whose id it names. Here
a socket shakes hands only with a page that was made for its own session, and speaks for that page alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from nicegui import Client, core

from qianzhi.console.guard import LIVE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qianzhi.console.sessions import Live

_SPACE: Final = "/"
_UNKNOWN: Final = {"QUERY_STRING": "implicit_handshake=true&client_id=-"}
_SPEAKING: Final = ("event", "javascript_response", "ack", "log")


def bind() -> None:
    """Put the checks before the toolkit's own handlers; to be called once, after the toolkit is imported."""
    handlers = core.sio.handlers[_SPACE]
    connect, handshake = handlers["connect"], handlers["handshake"]

    async def connect_bound(sid: str, environ: dict[str, Any], auth: object = None) -> None:
        named = parse_qs(str(environ.get("QUERY_STRING", ""))).get("client_id", [""])[0]
        # Refused as a page that nobody knows: then the toolkit's script loads the page anew.
        await connect(sid, environ if owns(_live(environ), named) else _UNKNOWN, auth)

    async def handshake_bound(sid: str, message: object) -> bool:
        named = message.get("client_id") if isinstance(message, dict) else None
        if not owns(_live(core.sio.get_environ(sid)), named):
            return False
        return bool(await handshake(sid, message))

    core.sio.on("connect", connect_bound)
    core.sio.on("handshake", handshake_bound)
    for name in _SPEAKING:
        core.sio.on(name, _bound(handlers[name]))


def owns(live: Live | None, client_id: object) -> bool:
    """Tell whether a page of the toolkit was made for a session."""
    client = Client.instances.get(client_id) if isinstance(client_id, str) else None
    return live is not None and client is not None and client.request.scope.get(LIVE) is live


def _bound(handle: Callable[[str, Any], Any]) -> Callable[[str, Any], Awaitable[None]]:
    async def speak(sid: str, message: object) -> None:
        # The toolkit puts a socket into the room of the page that it shook hands with.
        if isinstance(message, dict) and message.get("client_id") in core.sio.rooms(sid):
            handle(sid, message)

    return speak


def _live(environ: dict[str, Any] | None) -> Live | None:
    live: Live | None = ((environ or {}).get("asgi.scope") or {}).get(LIVE)
    return live
