"""The intake while its PostgreSQL is away: over HTTPS, with a server of its own that stops and starts."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import psutil
import pytest
from tests.conftest import FORGETFUL
from tests.hub.samples import sealed
from tests.hub.server import BODY_BYTES_MAX, Hub, answering, await_health, person, problem, put, serving

from qianzhi.db.embedded import Cluster
from qianzhi.hub.service import SESSION_SECONDS_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ANSWER_SECONDS_MAX = SESSION_SECONDS_MAX + 52.0
BACK_SECONDS_MAX = 60.0
CROWD = 24  # several times the threads that answer them
LARGE = bytes(BODY_BYTES_MAX)  # an answer is easily lost over a body that nobody reads


@pytest.fixture(scope="module")
def postgresql(free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that tests may stop."""
    cluster = Cluster(tmp_path_factory.mktemp("postgres") / "cluster", port=free_port(), extra=FORGETFUL)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def hub(postgresql: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that answers."""
    with answering(postgresql, tmp_path_factory.mktemp("hub"), free_port()) as answers:
        yield answers


def test_a_crowd_is_told_to_come_again_while_postgresql_is_away(hub: Hub, postgresql: Cluster) -> None:
    """503 with Retry-After for each within the time of one, /healthz too; and soon all goes on."""
    postgresql.stop()
    try:
        with ThreadPoolExecutor(CROWD + 1) as crowd:
            health = crowd.submit(asked, lambda: ask_health(hub))
            answers = [each.result() for each in [crowd.submit(asked, lambda: send(hub, LARGE)) for _ in range(CROWD)]]
            answers.append(health.result())
    finally:
        postgresql.start()
    for answer, seconds in answers:
        assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert answer.headers["retry-after"].isdecimal()
        assert seconds < ANSWER_SECONDS_MAX
    assert {problem(answer) for answer, _ in answers[:-1]} == {"unavailable"}
    assert health.result()[0].json()["status"] == "failing"
    assert_is_back(hub)


def test_a_server_that_does_not_answer_is_away_too(hub: Hub, postgresql: Cluster) -> None:
    """Sessions that are open and silent are found out in time."""
    assert send(hub).is_success
    family = postmaster(postgresql)
    for process in family:
        process.suspend()
    try:
        answer, seconds = asked(lambda: send(hub))
        assert (answer.status_code, ask_health(hub).status_code) == (HTTPStatus.SERVICE_UNAVAILABLE,) * 2
        assert seconds < ANSWER_SECONDS_MAX
    finally:
        for process in family:
            process.resume()
    assert_is_back(hub)


def test_a_hub_that_starts_without_postgresql_says_so(
    postgresql: Cluster, free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Its port answers 503 instead of letting wait; when the server comes, the hub opens by itself."""
    with answering(postgresql, tmp_path, free_port()) as ready:
        pass
    postgresql.stop()
    try:
        with serving(ready.home) as process:
            until = time.monotonic() + ANSWER_SECONDS_MAX
            while not is_there(ready):
                assert time.monotonic() < until
            answers = [send(ready), ask_health(ready)]
            postgresql.start()
            await_health(ready.port, ready.tls, process)
            assert send(ready).is_success
    finally:
        postgresql.start()
    assert [answer.status_code for answer in answers] == [HTTPStatus.SERVICE_UNAVAILABLE] * 2
    assert all(answer.headers["retry-after"].isdecimal() for answer in answers)
    assert problem(answers[0]) == "unavailable"
    assert answers[1].json()["status"] == "failing"


def send(hub: Hub, content: bytes | None = None) -> httpx.Response:
    """Send a good batch, or whatever else."""
    with hub.client() as client:
        return put(client, sealed("person", person()) if content is None else (uuid4(), content))


def ask_health(hub: Hub) -> httpx.Response:
    """Ask /healthz."""
    return httpx.get(f"https://127.0.0.1:{hub.port}/healthz", verify=hub.tls, trust_env=False, timeout=60)


def asked(request: Callable[[], httpx.Response]) -> tuple[httpx.Response, float]:
    """Return an answer, and how many seconds it took."""
    began = time.monotonic()
    answer = request()
    return answer, time.monotonic() - began


def is_there(hub: Hub) -> bool:
    """Tell whether anybody answers at all."""
    try:
        ask_health(hub)
    except httpx.TransportError:
        return False
    return True


def assert_is_back(hub: Hub) -> None:
    """Assert that batches are taken soon."""
    until = time.monotonic() + BACK_SECONDS_MAX
    while not send(hub).is_success:
        assert time.monotonic() < until


def postmaster(cluster: Cluster) -> list[psutil.Process]:
    """Return every process of a server."""
    file = cluster.files / "postmaster.pid"
    first = psutil.Process(int(file.read_text(encoding="utf-8").split()[0]))
    return [first, *first.children(recursive=True)]
