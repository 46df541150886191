from __future__ import annotations

import os
import signal
import time
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.faults.driver import GATEWAY_POINTS, HUB_POINTS, Charge
from tests.faults.field import PAUSE_SECONDS, postmaster_of

if TYPE_CHECKING:
    from tests.faults.field import Field

pytestmark = pytest.mark.faults

CYCLES_MAX = 8  # within which a point must have been come to
LATER_NTH = range(2, 4)
WALK_STEPS = 5


@pytest.mark.parametrize("point", GATEWAY_POINTS)
def test_killing_a_cycle_loses_and_doubles_nothing(field: Field, point: str) -> None:
    """Whatever a killed cycle was doing, at the first time or a later one, every row gets its one outcome."""
    for nth in (1, Random(point).choice(LATER_NTH)):
        field.stage_few()
        kill_cycle(field, Charge(point, nth))
    field.run_until_still()


@pytest.mark.parametrize("point", HUB_POINTS)
def test_killing_the_hub_loses_and_doubles_nothing(field: Field, point: str) -> None:
    """Whatever a killed intake was doing, the gateway sends the same again and every row gets its one outcome."""
    for nth in (1, Random(point).choice(LATER_NTH)):
        field.hub_fuse.arm(Charge(point, nth))
        burn(field)
    field.run_until_still()


@pytest.mark.parametrize("seed", range(2))
def test_killing_either_end_again_and_again_loses_and_doubles_nothing(field: Field, seed: int) -> None:
    """Deaths that follow upon each other, each amid what the one before left, add up to no loss either."""
    rng = Random(seed)
    for _ in range(WALK_STEPS):
        field.stage_day()
        if rng.random() < 0.5:
            field.hub_fuse.arm(Charge(rng.choice(list(HUB_POINTS)), rng.randint(1, 3)))
        kill_cycle(field, Charge(rng.choice(list(GATEWAY_POINTS)), rng.randint(1, 3)))
    if field.hub_fuse.is_armed:
        burn(field)
    field.wait_for_hub()
    field.run_until_still()


@pytest.mark.parametrize(
    "point", ["rows taken", "batch entered, not committed", "receipt come, attempt not noted", "settled"]
)
def test_killing_the_gateways_postgresql_loses_and_doubles_nothing(field: Field, point: str) -> None:
    """A cycle whose database dies ends with an error that says so; after the recovery it goes on."""
    field.stage_few()
    field.gateway_fuse.arm(Charge(point, nth=2, victim=postmaster_of(field.gateway_cluster)))
    running = field.start_cycle()
    assert running.end() == 1
    assert "Traceback" not in running.errors
    assert not field.gateway_fuse.is_armed
    field.gateway_cluster.start()
    field.run_until_still()


@pytest.mark.parametrize("point", ["turn come", "everything written, not committed", "stored, not answered"])
def test_killing_the_hubs_postgresql_loses_and_doubles_nothing(field: Field, point: str) -> None:
    """A hub whose database dies asks for patience, and takes the same batches when it is back."""
    field.stage_few()
    field.hub_fuse.arm(Charge(point, nth=2, victim=postmaster_of(field.hub_cluster)))
    running = field.start_cycle()
    while field.hub_fuse.is_armed and running.process.is_alive():
        time.sleep(PAUSE_SECONDS)
    assert not field.hub_fuse.is_armed
    field.hub_cluster.start()
    running.end()
    field.run_until_still()


def test_killing_postgresql_at_any_time_loses_and_doubles_nothing(field: Field) -> None:
    """Servers that die at times nobody chose leave every row with one outcome."""
    rng = Random(1)
    for cluster in (field.gateway_cluster, field.hub_cluster):
        field.stage_day()
        running = field.start_cycle()
        time.sleep(rng.uniform(0.3, 1.2))
        os.kill(postmaster_of(cluster), signal.SIGKILL)
        cluster.start()
        running.end()
        cluster.start()  # the cycle leaves it as it found it, be it dead
    field.run_until_still()


def kill_cycle(field: Field, charge: Charge) -> None:
    """Run cycles until one has died of the charge."""
    field.gateway_fuse.arm(charge)
    for attempt in range(CYCLES_MAX):
        field.wait_for_hub()
        if attempt:
            field.stage_few()  # the cycle before may have left too little to come to the point so often
        running = field.start_cycle()
        if running.end() == -signal.SIGKILL:
            assert not field.gateway_fuse.is_armed
            return
    field.gateway_fuse.disarm()
    raise AssertionError(charge.point)


def burn(field: Field) -> None:
    """Run cycles until the hub's fuse is used up, and wait until the hub is back."""
    for _ in range(CYCLES_MAX):
        field.stage_few()
        field.start_cycle().end()
        field.wait_for_hub()
        if not field.hub_fuse.is_armed:
            return
    raise AssertionError("nobody came to the hub's fuse")
