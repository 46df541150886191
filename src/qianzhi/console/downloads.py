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
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from starlette.requests import Request

    from qianzhi.console.sessions import Live
    from qianzhi.console.visit import Visit

FILES_MAX: Final = 50
BYTES_MAX: Final = 64 * 1024 * 1024  # of one file
LASTS: Final = timedelta(minutes=2)
EXCEL: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TOKEN_BYTES: Final = 18
PATH: Final = "/download/{token}"


@dataclass(frozen=True, slots=True)
class _Offer:
    live: Live
    name: str
    media_type: str
    content: bytes
    until: datetime


_offers: OrderedDict[str, _Offer] = OrderedDict()
_lock = threading.Lock()


def offer(visit: Visit, name: str, content: bytes, media_type: str = EXCEL) -> None:
    """Let the visitor's browser save a file; to be called in a handler."""
    if len(content) > BYTES_MAX:
        raise OperatorError("The file is too large to be downloaded.", remedy="Narrow the filters and try again.")
    token, now = secrets.token_urlsafe(TOKEN_BYTES), clock.now()
    with _lock:
        for key in [key for key, each in _offers.items() if each.until < now]:
            del _offers[key]
        while len(_offers) >= FILES_MAX:
            _offers.popitem(last=False)
        _offers[token] = _Offer(visit.live, name, media_type, content, now + LASTS)
    ui.navigate.to(PATH.format(token=token))


def serve(request: Request) -> Response:
    """Answer the request that a file is fetched by."""
    token = request.path_params["token"]
    with _lock:
        found = _offers.get(token)
        if found is None or found.live is not request.scope[LIVE] or found.until < clock.now():
            return Response(status_code=404)
        del _offers[token]
    disposition = f"attachment; filename*=UTF-8''{quote(found.name, safe='')}"
    return Response(found.content, headers={"content-disposition": disposition}, media_type=found.media_type)
