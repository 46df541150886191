"""Images that records name: content-addressed files, on the disk before the ledger says that they are held."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from qianzhi.db.queries import load
from qianzhi.errors import SenderError
from qianzhi.hub.problems import Problem
from qianzhi.runtime.files import write_durably
from qianzhi.sealing import images

if TYPE_CHECKING:
    from pathlib import Path

    from qianzhi.db.server import Session
    from qianzhi.hub.bodies import Body

_QUERIES = load("qianzhi.hub", "blobs.sql")
_UNFINISHED: Final = "*/.*.part"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Store:
    """The folder of all blobs: `<first two digits>/<SHA-256 in hex>`."""

    folder: Path

    def path(self, digest: bytes) -> Path:
        """Return where a blob lies, whether or not it is there."""
        name = digest.hex()
        return self.folder / name[:2] / name

    def keep(self, body: Body) -> None:
        """Put a blob on the disk; OSError leaves nothing behind. Safe to repeat and to interrupt."""
        target = self.path(body.digest)
        if target.is_file() and target.stat().st_size == len(body.content):
            return
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(target, body.content)

    def sweep(self) -> None:
        """Remove what a killed process left unfinished; only while no intake runs."""
        for unfinished in self.folder.glob(_UNFINISHED):
            unfinished.unlink(missing_ok=True)


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


def store(session: Session, files: Store, institution_id: int, body: Body, media_type: str) -> Problem | None:
    """Keep an image for an institution: file first, then ledger. Returns why it could not be kept, or None."""
    try:
        files.keep(body)
    except OSError as error:
        if error.errno in _FULL:
            return Problem(
                HTTPStatus.INSUFFICIENT_STORAGE,
                "storage-full",
                "The hub's storage is full.",
                "Send the same again later; nothing of it was kept.",
            )
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
