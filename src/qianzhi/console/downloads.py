"""Files that a page hands to its visitor: fetched once, by the same session, for a short while."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from nicegui import ui
from starlette.responses import Response

from qianzhi.console.guard import LIVE
from qianzhi.errors import OperatorError
from qianzhi.runtime import clock, workbooks

if TYPE_CHECKING:
    from starlette.requests import Request

    from qianzhi.console.sessions import Live
    from qianzhi.console.visit import Visit

FILES_MAX: Final = 50
BYTES_MAX: Final = 64 * 1024 * 1024  # of one file
HELD_BYTES_MAX: Final = 256 * 1024 * 1024  # of all files; the oldest makes room
LASTS: Final = timedelta(minutes=2)
TOKEN_BYTES: Final = 18
PATH: Final = "/download/{token}"


@dataclass(frozen=True, slots=True)
class Offer:
    """A file for one session."""

    live: Live
    name: str
    media_type: str
    content: bytes
    until: datetime


class Offers:
    """The files that wait to be fetched, bounded in number and size; the oldest makes room."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Offer] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, offered: Offer, now: datetime) -> str:
        """Keep a file, and return what it is fetched by."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._lock:
            for key in [key for key, each in self._held.items() if each.until < now or each.live.ended]:
                del self._held[key]
            size = len(offered.content) + sum(len(each.content) for each in self._held.values())
            while self._held and (len(self._held) >= FILES_MAX or size > HELD_BYTES_MAX):
                size -= len(self._held.popitem(last=False)[1].content)
            self._held[token] = offered
        return token

    def take(self, token: str, live: Live | None, now: datetime) -> Offer | None:
        """Return a file once, to its own session and in time."""
        with self._lock:
            found = self._held.get(token)
            if found is None or found.live is not live or found.until < now:
                return None
            return self._held.pop(token)


_offers = Offers()


def offer(visit: Visit, name: str, content: bytes, media_type: str = workbooks.MEDIA_TYPE) -> None:
    """Let the visitor's browser save a file; to be called in a handler."""
    if len(content) > BYTES_MAX:
        raise OperatorError("The file is too large to be downloaded.", remedy="Narrow the filters and try again.")
    now = clock.now()
    token = _offers.keep(Offer(visit.live, name, media_type, content, now + LASTS), now)
    ui.navigate.to(PATH.format(token=token))


def serve(request: Request) -> Response:
    """Answer the request that a file is fetched by."""
    found = _offers.take(request.path_params["token"], request.scope[LIVE], clock.now())
    if found is None:
        return Response(status_code=404)
    disposition = f"attachment; filename*=UTF-8''{quote(found.name, safe='')}"
    return Response(found.content, headers={"content-disposition": disposition}, media_type=found.media_type)
