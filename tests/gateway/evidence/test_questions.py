"""What strangers may cause."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

from tests.gateway.evidence.conftest import BASE, DEFAULT, GUANGDONG

from qianzhi.gateway.evidence.desk import Desk, Terms
from qianzhi.gateway.evidence.diary import Diary
from qianzhi.gateway.evidence.gathering import Gathering
from qianzhi.gateway.evidence.guard import Clients
from qianzhi.gateway.evidence.keys import KeyRing, ensure_key
from qianzhi.gateway.evidence.links import Signer
from qianzhi.gateway.evidence.questions import STRANGERS_NOTED_MAX, Questions
from qianzhi.gateway.evidence.reach import Reach
from qianzhi.gateway.evidence.remote import Bounds, Remote
from qianzhi.gateway.evidence.shelf import Shelf
from qianzhi.ledger.evidence import Media, Noted
from qianzhi.runtime import clock


def _records(_wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Media]]:
    return {}


def _files(_wanted: Sequence[int]) -> dict[int, Media]:
    return {}


def test_strangers_fill_no_table(tmp_path: Path) -> None:
    """Who proves nothing is on record so often in a minute, from however many addresses; who proves it is always."""
    key, now = ensure_key(tmp_path / "keys", 64, clock.now()).key, int(clock.now().timestamp())
    written: list[Noted] = []
    proven = urlencode(GUANGDONG.ask(key, "1", DEFAULT, now=now)).encode()

    async def ask() -> None:
        desk = Desk(
            evidence=GUANGDONG,
            terms=Terms(BASE, DEFAULT, 300, 300),
            keys=KeyRing(tmp_path / "keys"),
            signer=Signer(bytes(32)),
            clients=Clients(()),
            shelf=Shelf({}),
            remote=Remote(Reach(()), Bounds(1, 1.0)),
            records=Gathering(_records),
            files=Gathering(_files),
            diary=Diary(written.extend),
        )
        questions, asked = Questions(desk), GUANGDONG.ASKED[0]
        for number in range(STRANGERS_NOTED_MAX * 2):
            query = b"" if number % 2 else proven.replace(b"Token=", b"Token=0")
            scope = {"query_string": query, "client": (f"192.0.2.{number % 250}", 1), "headers": []}
            assert (await questions.answer(scope, asked))[0] in {202, 401}
        scope = {"query_string": proven, "client": ("198.51.100.1", 1), "headers": []}
        assert (await questions.answer(scope, asked))[0] == 404
        await desk.diary.close()
        await desk.remote.close()
        desk.records.close()
        desk.files.close()

    asyncio.run(ask())

    assert len(written) == STRANGERS_NOTED_MAX + 1
    assert written[-1].client == "198.51.100.1"
