"""Documents, their reviews and publications at a hub of ours, over the same line as rows."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import orjson

from qianzhi.errors import OperatorError
from qianzhi.regulators.guangdong.deliver import REGULATOR
from qianzhi.regulators.guangdong.line import ANSWER_SECONDS, HubLine
from qianzhi.regulators.protocols import Publication, Review

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from datetime import date

T = TypeVar("T")

LIST_BYTES_MAX = 4 * 2**20
LISTED_MAX = 1000
TEXT_CHARACTERS_MAX = 500
STATES = ("submitted", "reviewed", "returned")
KINDS = ("file", "notice", "certificate")


def open_cabinet(url: str, credential: Callable[[], str], tls: ssl.SSLContext) -> HubCabinet:
    """Return the cabinet of the hub at `url`."""
    return HubCabinet(HubLine(url, REGULATOR, credential, tls, answer_seconds=ANSWER_SECONDS))


class HubCabinet:
    """What a hub keeps of an institution's documents, and publishes for it."""

    def __init__(self, line: HubLine) -> None:
        self._line = line

    def hand_in(self, document: str, dated_on: date, digest: bytes, media_type: str, content: bytes) -> Review:
        """Hand in one version of a document; the same again is the same version."""
        proof = f"sha-256=:{base64.b64encode(digest).decode()}:"
        headers = {"Content-Type": media_type, "Content-Digest": proof}
        path = f"/documents/{quote(document, safe='')}?dated={dated_on.isoformat()}"
        answer = self._line.request("PUT", path, bytes_max=LIST_BYTES_MAX, content=content, headers=headers)
        return _read(answer.body, _review)

    def reviews(self) -> list[Review]:
        """Return what became of every version, the newest first."""
        answer = self._line.request("GET", "/documents", bytes_max=LIST_BYTES_MAX)
        return _read(answer.body, lambda said: [_review(each) for each in said[:LISTED_MAX]])

    def publications(self) -> list[Publication]:
        """Return what is addressed to this institution now."""
        answer = self._line.request("GET", "/publications", bytes_max=LIST_BYTES_MAX)
        return _read(answer.body, lambda said: [_publication(each) for each in said[:LISTED_MAX]])

    def fetch(self, publication_id: UUID, *, bytes_max: int) -> bytes:
        """Return the content of a publication, as it came."""
        return self._line.request("GET", f"/publications/{publication_id}", bytes_max=bytes_max).body

    def close(self) -> None:
        """Release connections."""
        self._line.close()


def _read(body: bytes, reading: Callable[[Any], T]) -> T:
    try:
        return reading(orjson.loads(body))
    except (ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            "The hub's answer about documents cannot be read.",
            remedy="Check whether the destination's address is that of the hub, and of which release it is.",
        ) from error


def _review(said: dict[str, Any]) -> Review:
    return Review(
        document=_text(said["document"]),
        digest=bytes.fromhex(said["digest"]),
        dated_on=datetime.strptime(said["dated_on"], "%Y-%m-%d").date(),  # noqa: DTZ007 - a day
        state=_one_of(STATES, said["state"]),
        reason=_text(said["reason"]),
        received_at=_instant(said["received_at"]),
        reviewed_at=_instant(said["reviewed_at"]) if said["reviewed_at"] else None,
    )


def _publication(said: dict[str, Any]) -> Publication:
    return Publication(
        publication_id=UUID(said["publication_id"]),
        kind=_one_of(KINDS, said["kind"]),
        title=_text(said["title"]),
        file_name=_text(said["file_name"]),
        media_type=_text(said["media_type"]),
        digest=bytes.fromhex(said["digest"]),
        byte_count=int(said["byte_count"]),
        published_at=_instant(said["published_at"]),
    )


def _instant(value: str) -> datetime:
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError
    return found


def _one_of(known: tuple[str, ...], value: object) -> str:
    if value not in known:
        raise ValueError
    return str(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:TEXT_CHARACTERS_MAX].replace("\x00", "")
