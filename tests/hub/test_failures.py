"""What a sender sees when the hub itself is in trouble."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx
import pytest
from PIL import Image
from tests.hub.samples import CODE, GUANGDONG, row, sealed

from qianzhi.hub import intake
from qianzhi.hub.bodies import Allowance
from qianzhi.hub.identity import Doorkeeper
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime import vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qianzhi.hub.desk import Desk

VALUE = "张三 440100199001010011"


def ask(desk: Desk, method: str, path: str, credential: str, content: bytes = b"", kind: str = "") -> httpx.Response:
    """Ask a hub in this process."""

    async def exchange() -> httpx.Response:
        door = httpx.ASGITransport(intake.build(desk))
        async with httpx.AsyncClient(transport=door, base_url="https://hub") as client:
            headers = {"Authorization": f"Bearer {credential}", "Content-Type": kind}
            return await client.request(method, f"/v1/{GUANGDONG}{path}", content=content, headers=headers)

    return asyncio.run(exchange())


def put_person(desk: Desk, credential: str) -> httpx.Response:
    """Send a batch of one person."""
    batch_id, content = sealed("person", row("person"))
    return ask(desk, "PUT", f"/batches/{batch_id}", credential, content, "application/vnd.qianzhi.batch+zstd")


def test_a_defect_is_answered_without_a_value(
    desk: Desk, register: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that quotes a record becomes 500 with a code; the value stands in no answer."""
    credential = register(CODE)

    def fail(*_: object) -> None:
        raise ValueError(VALUE)

    monkeypatch.setattr(desk.reception, "receive", fail)
    response = put_person(desk, credential)
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.INTERNAL_SERVER_ERROR, "internal")
    assert VALUE not in response.text


def test_a_database_that_is_gone_is_a_reason_to_come_again(desk: Desk, register: Callable[[str], str]) -> None:
    """503 with Retry-After: nothing is wrong with the batch."""
    credential = register(CODE)
    desk.doorkeeper.admit(f"Bearer {credential}", GUANGDONG)
    desk.pool.close()
    response = put_person(desk, credential)
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "unavailable")
    assert response.headers["retry-after"].isdecimal()
    assert ask(desk, "GET", "/../../healthz", credential).status_code == HTTPStatus.SERVICE_UNAVAILABLE


def test_sessions_that_broke_are_replaced(desk: Desk, register: Callable[[str], str]) -> None:
    """After the server cut every connection, the next batch is taken as if nothing had been."""
    credential = register(CODE)
    with desk.pool.connection() as session:
        session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert put_person(desk, credential).status_code == HTTPStatus.OK


def test_a_full_disk_leaves_no_part_of_an_image(
    desk: Desk, register: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """507, nothing in the ledger, nothing on the disk; and when there is room again, the same works."""
    credential = register(CODE)
    drawn = io.BytesIO()
    Image.new("RGB", (2, 2)).save(drawn, "PNG")
    content = drawn.getvalue()
    path = f"/blobs/{hashlib.sha256(content).hexdigest()}"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(vault, "written_durably", full)
        response = ask(desk, "PUT", path, credential, content, "image/png")
    assert (response.status_code, response.json()["code"]) == (HTTPStatus.INSUFFICIENT_STORAGE, "storage-full")
    assert ask(desk, "HEAD", path, credential).status_code == HTTPStatus.NOT_FOUND
    assert not [each for each in desk.files.folder.rglob("*") if each.is_file()]
    assert ask(desk, "PUT", path, credential, content, "image/png").status_code == HTTPStatus.NO_CONTENT
    assert [each.read_bytes() for each in desk.files.folder.rglob("*") if each.is_file()] == [content]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """Unfinished files go, finished ones stay."""
    store = Blobs(tmp_path)
    digest = store.put(b"content")
    unfinished = store.path(digest).with_name(".x.part")
    unfinished.write_bytes(b"part")
    assert store.sweep() == 1
    assert not unfinished.exists()
    assert store.get(digest) == b"content"


def test_a_process_holds_no_more_than_its_allowance() -> None:
    """A share grows up to what is left and gives everything back."""
    allowance = Allowance(10)
    with allowance.share() as first, allowance.share() as second:
        assert first.grow(6)
        assert not second.grow(5)
        assert second.grow(4)
    with allowance.share() as again:
        assert again.grow(10)


def test_guesses_push_nobody_out(desk: Desk, register: Callable[[str], str]) -> None:
    """Only valid credentials are remembered."""
    credential = register(CODE)
    doorkeeper = Doorkeeper(desk.pool)
    doorkeeper.admit(f"Bearer {credential}", GUANGDONG)
    for number in range(20):
        doorkeeper.admit(f"Bearer {number}.x", GUANGDONG)
    assert list(doorkeeper._remembered) == [credential.partition(".")[0]]
