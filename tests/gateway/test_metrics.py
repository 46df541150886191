"""/metrics, read back by the parser of Prometheus."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.gateway.conftest import HUB, REGULATOR, Answerer, stage
from tests.gateway.test_porter import stage_staff, submit

from qianzhi.gateway import health, metrics
from qianzhi.gateway.metrics import Exposition, Measures, gather, render
from qianzhi.runtime import clock
from qianzhi.runtime.home import Home

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from qianzhi.gateway.destination import Destination, Workplace

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: bytes) -> Samples:
    """Every sample by its name and labels."""
    families = text_string_to_metric_families(text.decode())
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def at(samples: Samples, name: str, **labels: str) -> float | None:
    """One number of the destination."""
    return samples.get((name, frozenset({"destination": HUB, **labels}.items())))


def test_what_became_of_rows_is_counted(
    home: Home,
    workplace: Workplace,
    destination: Destination,
    answerer: Answerer,
    ask: psycopg.Connection,
    tmp_path: Path,
) -> None:
    """Rows per dataset and state, images, batches, the last cycle, attempts by outcome: under bounded labels only."""
    stage(ask, "person", 3)
    stage_staff(ask, tmp_path, "red")
    submit(workplace, destination)
    answerer.answers = False
    stage(ask, "department", 2)
    submit(workplace, destination)
    stage(ask, "device", 4)

    found = read(render(gather(home, workplace, [destination])))

    assert at(found, "qianzhi_rows", dataset="person", state="accepted") == 3
    assert at(found, "qianzhi_rows", dataset="department", state="on_the_way") == 2
    assert at(found, "qianzhi_rows", dataset="device", state="waiting") == 4
    assert (at(found, "qianzhi_batches_open"), at(found, "qianzhi_images_open")) == (1, 1)
    assert at(found, "qianzhi_attempts_day", outcome="receipt") == 2
    assert (at(found, "qianzhi_attempts_day", outcome="RetryableError") or 0) >= 1
    assert (at(found, "qianzhi_waiting_seconds") or 0) > 0
    assert (at(found, "qianzhi_cycle_finished_timestamp_seconds") or 0) > 1.7e9
    assert found["qianzhi_database_up", frozenset()] == 1
    assert found["qianzhi_disk_free_bytes", frozenset()] > 0
    labels = {name for _, pairs in found for name, _ in pairs}
    assert labels == {"destination", "dataset", "state", "outcome", "version"}
    assert {value for _, pairs in found for name, value in pairs if name == "dataset"} == {
        each.name for each in REGULATOR.datasets
    }


def test_without_a_database_there_are_still_numbers(
    home: Home, workplace: Workplace, destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its absence is one of them."""
    from dataclasses import replace

    monkeypatch.setattr(metrics, "DATABASE_WAIT_SECONDS", 0.1)
    away = replace(workplace, dsn="postgresql://nobody@127.0.0.1:9/nowhere")
    found = read(render(gather(home, away, [destination])))
    assert found["qianzhi_database_up", frozenset()] == 0
    assert found["qianzhi_disk_bytes", frozenset()] > 0


def test_a_storm_of_scrapes_gathers_once() -> None:
    """Whoever asks within a few seconds is told the same."""
    calls: list[float] = []
    clock = [0.0]

    def count() -> Measures:
        calls.append(clock[0])
        return Measures(len(calls), 100, {"worker": True})

    exposition = Exposition(count, now=lambda: clock[0])
    askers = [threading.Thread(target=exposition.text) for _ in range(50)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert calls == [0.0]
    clock[0] = metrics.CACHE_SECONDS
    found = read(exposition.text())
    assert found["qianzhi_disk_free_bytes", frozenset()] == 2
    assert found["qianzhi_part_up", frozenset({("part", "worker")})] == 1


@pytest.fixture
def server() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """A server whose scrapes wait: where it is, what lets them go, and what says that one has come."""
    gate, come = threading.Event(), threading.Event()

    def wait() -> bytes:
        come.set()
        gate.wait(90)
        return b"x 1\n"

    made = health.serve("127.0.0.1", 0, partial(dict, status="ok"), wait)
    with made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}", gate, come
        gate.set()
        made.shutdown()


def test_it_is_served_beside_healthz(server: tuple[str, threading.Event, threading.Event]) -> None:
    """Nothing else is, and nothing is changed."""
    url, gate, _ = server
    gate.set()
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        assert client.get("/metrics").headers["content-type"] == metrics.CONTENT_TYPE
        assert client.get("/metrics?x=1").text == "x 1\n"
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/metrics/../etc/passwd").status_code == 404
        assert client.post("/metrics").status_code == 501


def test_requests_beyond_the_bound_are_sent_away(
    server: tuple[str, threading.Event, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hold no thread while others wait."""
    url, gate, come = server
    waiting = [
        threading.Thread(target=httpx.get, args=(f"{url}/metrics",), kwargs={"trust_env": False, "timeout": 120})
        for _ in range(health.REQUESTS_AT_ONCE_MAX)
    ]
    for each in waiting:
        come.clear()
        each.start()
        assert come.wait(90)
    assert httpx.get(f"{url}/metrics", trust_env=False, timeout=60).status_code == 503
    gate.set()
    for each in waiting:
        each.join()


def test_who_connects_and_says_nothing_takes_no_thread_beyond_the_bound(
    server: tuple[str, threading.Event, threading.Event],
) -> None:
    """A few hundred silent connections are a few hundred sockets, and not as many threads."""
    url, _, _ = server
    where = urlsplit(url)
    before = threading.active_count()
    with ExitStack() as held:
        for _ in range(health.CONNECTIONS_MAX + 40):
            held.enter_context(socket.create_connection((where.hostname, where.port), timeout=60))
        clock.sleep(0.5)
        assert threading.active_count() - before <= health.CONNECTIONS_MAX
