"""One home, made by `qianzhi demo --once`, gone on with by `hub run` and `gateway run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest
from tests.acceptance.town import Said, Town, call

from qianzhi.runtime.home import End
from qianzhi.runtime.sources import write_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEMO = ("demo", "--once", "--people", "40", "--seed", "3", "--faults", "0.3")
REALTIME = "department"
IMPATIENT = {"gateway.retry.first_seconds": 0.2, "gateway.retry.max_seconds": 0.5}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """The home that the demo leaves, and what it said; its numbers are in demo.json."""
    home = tmp_path_factory.mktemp("town")
    return home, call(*DEMO, "--home", home, "--json", home / "demo.json")


@pytest.fixture(scope="session")
def town(demo: tuple[Path, Said]) -> Iterator[Town]:
    """Both ends running on the demo's home, one dataset in real time; nothing runs any more afterwards."""
    home, said = demo
    assert said.code == 0, said.errors
    found = Town(home)
    write_settings(found.rooms, {"gateway.destinations.hub.realtime": (REALTIME,), **IMPATIENT})
    assert found.call("gateway", "init").code == 0
    try:
        found.run(End.HUB)
        found.run(End.GATEWAY)
        yield found
    finally:
        found.tear_down()
    assert leftovers(home) == []


def leftovers(home: Path) -> list[str]:
    """Return the command lines of processes that still name a home."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(home) in line]
