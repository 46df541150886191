"""One home, made by `qianzhi demo --once`, gone on with by `hub run` and `gateway run`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psutil
import pytest
from filelock import FileLock
from tests.acceptance.town import Said, Seen, Town, call

from qianzhi.runtime.home import End
from qianzhi.runtime.sources import write_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEMO = ("demo", "--once", "--people", "40", "--seed", "3", "--faults", "0.3")
REALTIME = "department"
IMPATIENT = {"gateway.retry.first_seconds": 0.2, "gateway.retry.max_seconds": 0.5}


@dataclass(frozen=True, slots=True)
class Demo:
    """What `qianzhi demo --once` did, looked at before anything else happened to its home."""

    home: Path
    said: Said
    left: list[str]  # processes
    seen: Seen | None  # once both ends go on with it

    @property
    def told(self) -> dict[str, dict[str, dict[str, dict[str, int]]]]:
        """The JSON that it wrote."""
        told: dict[str, dict[str, dict[str, dict[str, int]]]]
        told = json.loads((self.home / "demo.json").read_text(encoding="utf-8"))
        return told


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Demo, Town]]:
    """Play the demo and go on from there, unless it failed; nothing runs any more afterwards."""
    home = tmp_path_factory.mktemp("town")
    town = Town(home)
    # Two at once could think the same port free: the lock is kept until this one's ports are taken.
    with FileLock(tmp_path_factory.getbasetemp().parent / "town.lock"):
        said = call(*DEMO, "--home", home, "--json", home / "demo.json")
        demo = Demo(home, said, leftovers(home), None)
        if said.code == 0:
            write_settings(town.rooms, {"gateway.destinations.hub.realtime": (REALTIME,), **IMPATIENT})
            assert town.call("gateway", "init").code == 0
            town.run(End.HUB)
            town.run(End.GATEWAY)
            demo = replace(demo, seen=town.seen())
    try:
        yield demo, town
    finally:
        town.tear_down()
    assert leftovers(home) == []


@pytest.fixture(scope="session")
def demo(begun: tuple[Demo, Town]) -> Demo:
    """The demo that was played."""
    return begun[0]


@pytest.fixture(scope="session")
def town(begun: tuple[Demo, Town]) -> Town:
    """Both ends running on the demo's home, one dataset in real time."""
    demo, found = begun
    assert demo.said.code == 0, demo.said.errors
    return found


def leftovers(home: Path) -> list[str]:
    """Return the command lines of processes that still name a home."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(home) in line]
