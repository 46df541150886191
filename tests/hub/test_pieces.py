"""Images that come in pieces, over HTTPS."""

from __future__ import annotations

import hashlib
import os
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.hub.samples import OTHER_CODE, picture
from tests.hub.server import Hub, answering, problem

from qianzhi.hub import pieces
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qianzhi.db.embedded import Cluster


@pytest.fixture(scope="module")
def hub(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that answers."""
    with answering(postgres, tmp_path_factory.mktemp("hub"), free_port()) as answers:
        yield answers


@pytest.fixture
def client(hub: Hub) -> Iterator[httpx.Client]:
    """The client of the institution."""
    with hub.client() as opened:
        yield opened


def patch(client: httpx.Client, content: bytes, offset: int, piece: bytes, **said: str) -> httpx.Response:
    """Send a piece of an image; `said` replaces headers."""
    headers = {"Content-Type": "image/png", "Upload-Offset": str(offset), "Upload-Length": str(len(content))}
    return client.patch(
        _path(content), content=piece, headers=headers | {k.replace("_", "-"): v for k, v in said.items()}
    )


def _path(content: bytes) -> str:
    return f"/blobs/{hashlib.sha256(content).hexdigest()}"


def test_pieces_become_a_blob(client: httpx.Client) -> None:
    """HEAD says how much there is; with the last piece the image is held."""
    content = picture(40)
    first = patch(client, content, 0, content[:50])
    begun = client.head(_path(content))
    last = patch(client, content, 50, content[50:])
    assert (first.status_code, first.headers["Upload-Offset"]) == (HTTPStatus.NO_CONTENT, "50")
    assert (begun.status_code, begun.headers["Upload-Offset"]) == (HTTPStatus.NOT_FOUND, "50")
    assert (last.status_code, last.headers["Upload-Offset"]) == (HTTPStatus.NO_CONTENT, str(len(content)))
    assert client.head(_path(content)).status_code == HTTPStatus.OK


def test_a_piece_goes_only_behind_what_is_there(client: httpx.Client) -> None:
    """A repeated piece and a gap are told where to go on; nothing is written."""
    content = picture(41)
    patch(client, content, 0, content[:30])
    assert problem(patch(client, content, 0, content[:30])) == "offset-mismatch"
    assert problem(patch(client, content, 40, content[40:])) == "offset-mismatch"
    assert client.head(_path(content)).headers["Upload-Offset"] == "30"


@pytest.mark.parametrize("damage", [b"", b"?"])
def test_a_hub_that_ended_with_the_last_piece_keeps_the_image_when_that_comes_again(
    hub: Hub, client: httpx.Client, damage: bytes
) -> None:
    """All of it lies there and is no blob yet; what the crash took of it is found by the digest, and begun anew."""
    content = picture(46 + len(damage))
    patch(client, content, 0, content[:30])
    (part,) = _parts(Blobs(hub.home.end(End.HUB).blobs), content)
    part.write_bytes(damage + content[len(damage) :])
    begun = client.head(_path(content))
    assert (begun.status_code, begun.headers["Upload-Offset"]) == (HTTPStatus.NOT_FOUND, str(len(content)))
    again = patch(client, content, 30, content[30:])
    if damage:
        assert problem(again) == "digest-mismatch"
        assert client.head(_path(content)).headers["Upload-Offset"] == "0"
    else:
        assert again.status_code == HTTPStatus.NO_CONTENT
        assert client.head(_path(content)).status_code == HTTPStatus.OK


def test_what_is_not_what_its_address_says_is_forgotten(client: httpx.Client) -> None:
    """The digest of the whole decides; then the image is begun anew."""
    content = picture(42)
    patch(client, content, 0, bytes(30))
    assert problem(patch(client, content, 30, content[30:])) == "digest-mismatch"
    assert client.head(_path(content)).headers["Upload-Offset"] == "0"


def test_what_is_no_image_is_no_blob(client: httpx.Client) -> None:
    """Also when it comes in pieces."""
    content = b"GIF89a, or so it seems"
    assert problem(patch(client, content, 0, content)) == "not-an-image"


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (-1, {}),
        (0, {"Upload_Length": "0"}),
        (0, {"Upload_Length": "999999999"}),
        (0, {"Upload_Length": "3"}),
        (0, {"Upload_Offset": "x"}),
    ],
)
def test_an_impossible_piece_is_refused(client: httpx.Client, offset: int, said: dict[str, str]) -> None:
    """Negative, empty, beyond the bound, longer than announced, no number."""
    content = picture(43)
    assert patch(client, content, offset, content[:9], **said).status_code == HTTPStatus.UNPROCESSABLE_ENTITY


def test_parts_of_one_institution_are_not_anothers(hub: Hub, client: httpx.Client) -> None:
    """Nobody learns what another has begun, or adds to it."""
    content = picture(44)
    patch(client, content, 0, content[:30])
    with hub.client(hub.issue(OTHER_CODE)) as other:
        assert other.head(_path(content)).headers["Upload-Offset"] == "0"
        assert problem(patch(other, content, 30, content[30:])) == "offset-mismatch"


def test_begun_images_are_bounded(hub: Hub) -> None:
    """Who begins many and finishes none fills no disk."""
    with hub.client(hub.issue("440100000000000009")) as client:
        statuses = [patch(client, os.urandom(100), 0, b"x").status_code for _ in range(pieces.PARTS_MAX + 1)]
    assert statuses == [HTTPStatus.NO_CONTENT] * pieces.PARTS_MAX + [HTTPStatus.TOO_MANY_REQUESTS]


def test_parts_that_nobody_finishes_are_swept(hub: Hub, client: httpx.Client) -> None:
    """After their time, and only then."""
    content = picture(45)
    patch(client, content, 0, content[:30])
    files = Blobs(hub.home.end(End.HUB).blobs)
    (part,) = _parts(files, content)
    written = part.stat().st_mtime
    pieces.sweep(files, before=written - 1)
    assert _parts(files, content) == [part]
    pieces.sweep(files, before=written + 1)
    assert _parts(files, content) == []


def _parts(files: Blobs, content: bytes) -> list[Path]:
    return list(files.folder.glob(f"parts/*-{hashlib.sha256(content).hexdigest()}"))
