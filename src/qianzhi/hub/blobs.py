"""Images that records name: content-addressed files, on the disk before the ledger says that they are held."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from qianzhi.db.queries import load
from qianzhi.errors import SenderError
from qianzhi.hub import problems
from qianzhi.hub.problems import Problem
from qianzhi.runtime.files import is_full
from qianzhi.sealing import images

if TYPE_CHECKING:
    from qianzhi.db.server import Session
    from qianzhi.hub.bodies import Body
    from qianzhi.ledger.blobs import Blobs

_QUERIES = load("qianzhi.hub", "blobs.sql")


def misfit(body: Body, digest: bytes, media_type: str) -> Problem | None:
    """Return why a body is not the image that its address and head say, or None."""
    if body.digest != digest:
        return Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "digest-mismatch",
            "The body's SHA-256 is not the one in the address.",
            "Send the blob to the address of its own SHA-256, in hex.",
        )
    try:
        found = images.media_type(body.content)
    except SenderError as error:
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "not-an-image", error.what, error.remedy)
    if found != media_type:
        return Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            f"The image is {found}, and Content-Type says something else.",
            f"Send it as {found}.",
        )
    return None


def store(session: Session, files: Blobs, institution_id: int, body: Body, media_type: str) -> Problem | None:
    """Keep an image for an institution: file first, then ledger. Returns why it could not be kept, or None."""
    try:
        files.put(body.content)
    except OSError as error:
        if is_full(error):
            return problems.FULL
        raise
    session.execute(
        _QUERIES.add,
        {
            "digest": body.digest,
            "institution_id": institution_id,
            "byte_count": len(body.content),
            "media_type": media_type,
        },
    )
    return None


def is_held(session: Session, institution_id: int, digest: bytes) -> bool:
    """Tell whether an institution's blob is stored."""
    found = session.execute(_QUERIES.held, {"institution_id": institution_id, "digest": digest}).fetchone()
    return found is not None


def held_of(session: Session, institution_id: int, digests: list[bytes]) -> set[bytes]:
    """Return those of the digests that are stored for an institution."""
    found = session.execute(_QUERIES.held_of, {"institution_id": institution_id, "digests": digests})
    return {digest for (digest,) in found if isinstance(digest, bytes)}
