"""What `qianzhi hub run` keeps running."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.hub.samples import GUANGDONG
from tests.hub.server import START_SECONDS_MAX, STOP_SECONDS_MAX, await_health

from qianzhi.hub import assembly, service
from qianzhi.hub.install import install
from qianzhi.runtime import clock
from qianzhi.runtime.certificates import shown_fingerprint
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.lives import Phase
from qianzhi.runtime.sources import load_settings, write_settings
from qianzhi.runtime.supervisor import read_states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, free_port: Callable[[], int]) -> Home:
    """A hub's home with an embedded PostgreSQL that was not set up yet."""
    place = Home(tmp_path / "home")
    place.create(End.HUB)
    ports = {"hub.intake.port": free_port(), "hub.database.port": free_port()}
    write_settings(place, {"hub.regulators": (GUANGDONG,), **ports})
    return place


def test_intake_and_watch_need_the_database_only_if_it_is_ours(home: Home) -> None:
    """Embedded: three parts, PostgreSQL first. By DSN: two parts that need nothing of ours."""
    embedded = service.parts(home, load_settings(home))
    assert [(part.name, tuple(part.needs)) for part in embedded] == [
        ("postgresql", ()),
        ("intake", ("postgresql",)),
        ("watch", ("postgresql",)),
    ]
    foreign = service.parts(home, write_settings(home, {"hub.database.dsn": "postgresql://hub@127.0.0.1/hub"}))
    assert [(part.name, tuple(part.needs)) for part in foreign] == [("intake", ()), ("watch", ())]


@pytest.mark.slow
def test_a_hub_runs_heals_and_stops(home: Home) -> None:
    """A killed intake comes back by itself; a signal to stop ends every part, PostgreSQL too."""
    settings = load_settings(home)
    authority = install(home, settings).authority
    assert authority is not None
    tls, port = ssl.create_default_context(cafile=authority), settings.hub.intake.port
    running = subprocess.Popen([sys.executable, "-m", "qianzhi", "hub", "run", "--home", str(home.path)])
    try:
        await_health(port, tls, running)
        first = pid_of(home, "intake")
        psutil.Process(first).kill()
        assert wait_for(lambda: pid_of(home, "intake") not in {0, first})
        await_health(port, tls, running)
        assert {part.phase for part in read_states(home.end(End.HUB).run)} == {Phase.UP}
        renew_while_running(home, port)
        await_health(port, tls, running)
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait(STOP_SECONDS_MAX) == 0
    embedded = assembly.cluster(home, settings)
    assert embedded is not None
    assert not embedded.running()
    assert read_states(home.end(End.HUB).run) == []


def renew_while_running(home: Home, port: int) -> None:
    """A new certificate is shown soon after the watch has looked, by the same intake and for the same authority."""
    settings, before = load_settings(home), shown_fingerprint("127.0.0.1", port)
    intake = pid_of(home, "intake")
    (home.end(End.HUB).tls / "server.pem").unlink()
    service.look(home, settings)
    renewed = assembly.identity(home, settings, clock.now()).fingerprint
    assert before not in {None, renewed}
    assert wait_for(lambda: shown_fingerprint("127.0.0.1", port) == renewed)
    assert pid_of(home, "intake") == intake


def pid_of(home: Home, name: str) -> int:
    """Return the process of a part that is up, else 0."""
    states = {part.name: part for part in read_states(home.end(End.HUB).run)}
    return (states[name].pid or 0) if name in states and states[name].phase is Phase.UP else 0


def wait_for(condition: Callable[[], bool]) -> bool:
    """Wait until something is true; tell whether it became so in time."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False
