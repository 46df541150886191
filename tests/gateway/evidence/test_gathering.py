"""What waits together goes together, and nobody waits for nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from tests.gateway.evidence.conftest import DEFAULT, GUANGDONG

from qianzhi.errors import RetryableError
from qianzhi.gateway.evidence import assembly, diary, gathering, keys, service
from qianzhi.gateway.evidence.diary import Diary
from qianzhi.gateway.evidence.gathering import Gathering
from qianzhi.ledger.evidence import Noted
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import write_settings

NOTED = Noted(datetime(2026, 11, 20, tzinfo=UTC), "GetPrescription", "served", None, None, None, 0)


def test_questions_that_come_during_a_query_share_the_next_one() -> None:
    """A hundred at once take two queries: the first one's, and that of all others."""
    queries: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def read(wanted: Sequence[int]) -> dict[int, int]:
        queries.append(len(wanted))
        begun.set()
        go_on.wait(90)
        return {key: key * key for key in wanted if key % 2}

    async def ask() -> list[int | None]:
        gathered = Gathering(read)
        first = asyncio.ensure_future(gathered.ask(1))
        await asyncio.to_thread(begun.wait, 90)
        others = [asyncio.ensure_future(gathered.ask(number)) for number in [*range(100), *range(100)]]
        await asyncio.sleep(0)  # each of them has asked
        go_on.set()
        found = await asyncio.gather(first, *others)
        gathered.close()
        return list(found)

    found = asyncio.run(ask())

    assert queries == [1, 100]
    assert found[1:101] == [number * number if number % 2 else None for number in range(100)]


def test_a_query_that_fails_fails_for_those_who_waited_for_it_alone() -> None:
    """The next one is tried anew."""
    calls: list[int] = []

    def read(wanted: Sequence[int]) -> dict[int, int]:
        calls.append(len(wanted))
        if len(calls) == 1:
            raise RetryableError("The database is away.", remedy="Wait.")
        return dict.fromkeys(wanted, 1)

    async def ask() -> int | None:
        gathered = Gathering(read)
        with pytest.raises(RetryableError):
            await gathered.ask(1)
        found = await gathered.ask(1)
        gathered.close()
        return found

    assert asyncio.run(ask()) == 1


def test_too_many_waiting_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that hangs does not fill the memory with questions."""
    monkeypatch.setattr(gathering, "WAITING_MAX", 3)
    go_on = threading.Event()

    def read(wanted: Sequence[int]) -> dict[int, int]:
        go_on.wait(90)
        return dict.fromkeys(wanted, 1)

    async def ask() -> int:
        gathered = Gathering(read)
        asked = [asyncio.ensure_future(gathered.ask(number)) for number in range(10)]
        await asyncio.sleep(0.05)
        go_on.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        gathered.close()
        return sum(isinstance(each, RetryableError) for each in found)

    assert asyncio.run(ask()) == 7


def test_a_diary_keeps_what_was_not_written_and_counts_what_it_cannot_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the database is away nothing is lost up to a bound."""
    monkeypatch.setattr(diary, "WAITING_MAX", 5)
    written: list[int] = []
    is_away = [True]

    def write(questions: Sequence[Noted]) -> None:
        if is_away[0]:
            raise RetryableError("The database is away.", remedy="Wait.")
        written.append(len(questions))

    async def live() -> None:
        kept = Diary(write)
        for _ in range(8):
            kept.note(NOTED)
        await kept.close()
        is_away[0] = False
        await kept.close()

    asyncio.run(live())
    assert written == [5]


def test_a_service_without_its_database_answers_that_it_failed(tmp_path: Path) -> None:
    """500 for a question that proves itself, 401 for another one, 404 for a wrong address; and /healthz says 503."""
    home = Home(tmp_path / "home")
    home.create(End.GATEWAY)
    settings = write_settings(
        home,
        {
            "gateway.database.dsn": "postgresql://nobody@127.0.0.1:9/nothing",
            "gateway.destinations.hub.regulator": "guangdong",
            "gateway.destinations.hub.url": "https://hub.example",
            "gateway.evidence.enabled": True,
        },
    )
    key = keys.ensure_key(assembly.keys_file(home, "guangdong"), 64, clock.now()).key
    door = service._opened(home, settings)
    right = GUANGDONG.ask(key, "1", DEFAULT, now=int(clock.now().timestamp()))

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app=door)
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
            said = [
                await client.get("/GetPrescription", params=dict(right)),
                await client.get("/GetPrescription", params={**right, "Token": "0" * 64}),
                await client.get("/PicUri?id=1"),
                await client.get("/healthz"),
            ]
        return [answer.status_code for answer in said]

    assert asyncio.run(ask()) == [500, 401, 404, 503]
