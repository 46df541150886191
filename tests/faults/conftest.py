"""One home with both ends for all faults: the invariant then holds over everything that ever happened to it."""

from __future__ import annotations

import multiprocessing
from datetime import timedelta
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.faults.field import INSTITUTION, REGULATOR, Field

from qianzhi import regulators
from qianzhi.runtime import clock
from qianzhi.runtime.home import Home
from qianzhi.synthetic import Plan, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAYS = 300
SEED = 5
# What processes of either end import anyway: each is forked from one that has done so, and starts at once.
PRELOADED = [
    "tests.faults.driver",
    "fastapi",
    "granian",
    "qianzhi.cli",
    "qianzhi.gateway.worker",
    "qianzhi.gateway.report",
    "qianzhi.gateway.service",
    "qianzhi.hub.service",
    "qianzhi.regulators.guangdong.deliver",
    "qianzhi.regulators.guangdong.intake",
    "rich.console",
    "rich.table",
]


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Field]:
    """Both ends, ready; nothing of them runs any more when the session is over."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    home = Home(tmp_path_factory.mktemp("field"))
    plan = Plan(
        people=20,
        days=DAYS,
        seed=SEED,
        last_on=clock.local_now().date() - timedelta(days=1),
        institution=INSTITUTION,
        images=home.path / "gateway" / "images",
        fault_rate=0.3,
        rows_per_dataset=2,
    )
    found = Field(home, play(plan, regulators.regulator(REGULATOR)))
    try:
        found.set_up(free_port)
        yield found
    finally:
        found.tear_down()
    assert leftovers(home) == []


@pytest.fixture(autouse=True)
def _well(field: Field) -> None:
    """Nothing is broken when a test begins, whatever the one before did."""
    field.mend()


def leftovers(home: Home) -> list[str]:
    """Return the command lines of processes that still name a home."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(home.path) in line]
