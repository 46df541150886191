"""
Images that come in pieces: what a cut line left is kept, and the sender goes on behind it.

A part lies in `parts/` of the blobs' folder, named by institution and digest, until it is whole and becomes a blob. It
is never flushed: what a crash takes of it is sent again, and the digest says whether the whole is right.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from qianzhi.db import locks
from qianzhi.hub import blobs
from qianzhi.hub.bodies import Body
from qianzhi.hub.problems import FULL, Problem
from qianzhi.runtime.files import is_full
from qianzhi.sealing.images import IMAGE_BYTES_MAX, PIECE_BYTES_MAX

if TYPE_CHECKING:
    from pathlib import Path

    from qianzhi.db.server import Session
    from qianzhi.ledger.blobs import Blobs

PARTS_MAX: Final = 32
"""Begun images of one institution: senders finish one before they begin the next."""

PART_HOURS_MAX: Final = 7 * 24.0
"""How long a part waits for its rest."""

_FOLDER: Final = "parts"
_BUSY: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "blob-busy",
    "Another request is adding to this blob.",
    "Ask by HEAD how much there is, and go on behind it.",
)
_MANY: Final = Problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "parts-many",
    f"{PARTS_MAX} blobs of this institution are begun and not finished.",
    "Finish them before the next is begun.",
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of an image as its sender announced it."""

    digest: bytes
    media_type: str
    offset: int
    length: int  # of the whole


def misfit(piece: Piece, byte_count: int) -> Problem | None:
    """Return why a piece cannot be one of an image, or None."""
    if not 0 < piece.length <= IMAGE_BYTES_MAX:
        return _invalid(f"Upload-Length is not between 1 and {IMAGE_BYTES_MAX}.")
    if not 0 < byte_count <= PIECE_BYTES_MAX:
        return _invalid(f"A piece has between 1 and {PIECE_BYTES_MAX} bytes.")
    if piece.offset + byte_count > piece.length:
        return _invalid("The piece reaches beyond Upload-Length.")
    return None


def begun(files: Blobs, institution_id: int, digest: bytes) -> int:
    """Return how many bytes of a blob are there already."""
    try:
        return _path(files, institution_id, digest).stat().st_size
    except FileNotFoundError:
        return 0


def add(session: Session, files: Blobs, institution_id: int, piece: Piece, content: bytes) -> int | Problem:
    """
    Add a piece; the last one makes the blob. Returns how many bytes are there now, or why it was not added.

    The last one may come again where all of it came and was not kept: the disk was full, or the hub ended. In one
    transaction, which is the caller's: two requests must not add to one part at once.
    """
    if not locks.try_hold(session, f"hub piece {institution_id} {piece.digest.hex()}"):
        return _BUSY
    path = _path(files, institution_id, piece.digest)
    there = begun(files, institution_id, piece.digest)
    if there == piece.length == piece.offset + len(content):
        return _finish(session, files, institution_id, piece, path)
    if piece.offset != there:
        return _elsewhere(there)
    if not there and len(list(path.parent.glob(f"{institution_id}-*"))) >= PARTS_MAX:
        return _MANY
    try:
        _append(path, content)
    except OSError as error:
        if is_full(error):
            return FULL
        raise
    there += len(content)
    return there if there < piece.length else _finish(session, files, institution_id, piece, path)


def sweep(files: Blobs, *, before: float) -> int:
    """Remove the parts that nobody added to since an instant (seconds since 1970); return how many."""
    removed = 0
    for part in (files.folder / _FOLDER).glob("*-*"):
        if part.stat().st_mtime < before:
            part.unlink(missing_ok=True)
            removed += 1
    return removed


def _finish(session: Session, files: Blobs, institution_id: int, piece: Piece, path: Path) -> int | Problem:
    content = path.read_bytes()
    body = Body(content, hashlib.sha256(content).digest())
    problem = blobs.misfit(body, piece.digest, piece.media_type)
    if problem is None:
        problem = blobs.store(session, files, institution_id, body, piece.media_type)
        if problem is not None:
            return problem  # the part stays: all of it came
    path.unlink()
    return problem or piece.length


def _append(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = path.stat().st_size if path.exists() else 0
    try:
        with path.open("ab") as part:
            part.write(content)
    except OSError:
        with path.open("ab") as part:
            part.truncate(before)
        raise


def _path(files: Blobs, institution_id: int, digest: bytes) -> Path:
    return files.folder / _FOLDER / f"{institution_id}-{digest.hex()}"


def _elsewhere(there: int) -> Problem:
    return Problem(
        HTTPStatus.CONFLICT,
        "offset-mismatch",
        f"{there} bytes of the blob are there.",
        "Go on behind them; HEAD says how many there are.",
    )


def _invalid(detail: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "piece-invalid", detail, "Look at /openapi.json.")
