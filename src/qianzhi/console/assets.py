"""The files of the console itself: its style, its sign-in page, its mark."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from qianzhi.console.guard import STATIC

if TYPE_CHECKING:
    from starlette.requests import Request

_FOLDER: Final = "static"
_SERVED: Final = {"console.css": "text/css; charset=utf-8"}
KEPT: Final = "public, max-age=31536000, immutable"


def address(name: str) -> str:
    """Return where a file is served; a changed file has another address, so that none is kept too long."""
    return f"{STATIC}{sha256(content(name)).hexdigest()[:12]}/{name}"


@cache
def content(name: str) -> bytes:
    """Return a file of the package."""
    return resources.files("qianzhi.console").joinpath(_FOLDER, name).read_bytes()


def serve(request: Request) -> Response:
    """Answer a request for a file."""
    digest, name = request.path_params["digest"], request.path_params["name"]
    media_type = _SERVED.get(name)
    if media_type is None or address(name) != f"{STATIC}{digest}/{name}":
        return Response(status_code=404)
    return Response(content(name), headers={"cache-control": KEPT}, media_type=media_type)
