from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest

from qianzhi.runtime import clock
from qianzhi.runtime.certificates import Identity, own_identity
from qianzhi.runtime.parts import Process

ROOT = Path(__file__).parents[2]
READY_SECONDS_MAX = 90.0


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """A certificate of an authority of its own."""
    return own_identity(tmp_path_factory.mktemp("tls"), [], now=clock.now())


@pytest.fixture
def server(identity: Identity, free_port: Callable[[], int], tmp_path: Path) -> Iterator[tuple[Process, int]]:
    """The echoing server, as a process, with its port."""
    port = free_port()
    command = [sys.executable, "-m", "tests.runtime.echo", str(port), str(tmp_path)]
    process = Process(
        "echo", [*command, str(identity.certificate), str(identity.key)], environment={"PYTHONPATH": _path()}
    )
    process.start()
    _wait_for(lambda: _answers(port))
    yield process, port
    process.kill()
    _wait_for(lambda: process.end() is not None)


def test_a_body_arrives_whole_over_tls_that_trusts_our_authority(
    server: tuple[Process, int], identity: Identity
) -> None:
    """A client that trusts `ca.pem` reaches the server, and a large body arrives whole."""
    with _client(identity) as client:
        answer = client.post(f"https://localhost:{server[1]}/", content=bytes(20_000_000))

    assert answer.text == "20000000"


def test_a_client_that_does_not_trust_our_authority_is_kept_out(server: tuple[Process, int]) -> None:
    """A client with only the public authorities refuses the certificate."""
    with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        client.get(f"https://localhost:{server[1]}/")


def test_requests_under_way_are_answered_before_the_server_ends(
    server: tuple[Process, int], identity: Identity, tmp_path: Path
) -> None:
    """A stop lets a slow request finish, then the process exits with 0."""
    process, port = server
    with _client(identity) as client, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.get, f"https://localhost:{port}/slow")
        _wait_for((tmp_path / "answering").exists)
        process.stop()

        assert answer.result().text == "0"
    _wait_for(lambda: process.end() is not None)
    assert process.end() == "exit 0"


def test_a_server_that_is_still_loading_ends_when_it_is_asked_to(free_port: Callable[[], int], tmp_path: Path) -> None:
    """Its worker does not load to the end only to be killed when its time to stop is over."""
    command = [sys.executable, "-m", "tests.runtime.echo", str(free_port()), str(tmp_path), "slowly"]
    process = Process("echo", command, environment={"PYTHONPATH": _path()})
    process.start()
    try:
        _wait_for((tmp_path / "loading").exists)
        process.stop()
        _wait_for(lambda: process.end() is not None)
    finally:
        process.kill()

    assert process.end() == "exit 0"
    assert "Killing" not in (tmp_path / "echo.log").read_text(encoding="utf-8")


def test_a_killed_server_leaves_no_worker_behind(server: tuple[Process, int]) -> None:
    """Whoever supervises a server that was killed ends its workers too, so that the port is free again."""
    process, port = server
    assert process.pid is not None
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers

    os.kill(process.pid, signal.SIGKILL)
    _wait_for(lambda: process.end() is not None)

    assert process.end() == "signal 9"
    assert psutil.wait_procs(workers, timeout=READY_SECONDS_MAX)[1] == []
    assert not _answers(port)


def test_a_failing_request_shows_neither_query_nor_text_in_the_log(
    server: tuple[Process, int], identity: Identity, tmp_path: Path
) -> None:
    """The log of a server has the type of an application's exception, not its text, and never a query string."""
    with _client(identity) as client:
        answer = client.get(f"https://localhost:{server[1]}/fail?name=Zhang&id=110101199003070000")

    log = (tmp_path / "echo.log").read_text(encoding="utf-8")
    assert answer.status_code == 500
    assert "ValueError" in log
    assert "Zhang" not in log
    assert "110101199003070000" not in log


def _client(identity: Identity) -> httpx.Client:
    return httpx.Client(verify=ssl.create_default_context(cafile=identity.authority), trust_env=False, timeout=60)


def _path() -> str:
    return os.pathsep.join([str(ROOT), str(ROOT / "src")])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + READY_SECONDS_MAX
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)
