from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest
from tests.faults import rows
from tests.faults.driver import Charge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faults.field import Field

pytestmark = pytest.mark.faults

AGAIN_AND_AGAIN = 1_000
SMALL_KIB = 16
CYCLES_MAX = 3


@pytest.mark.parametrize("point", ["spool file half written", "before an image is kept", "before the spool is written"])
def test_a_full_disk_at_the_gateway_costs_nothing(field: Field, point: str) -> None:
    """A cycle that cannot write says so in words, leaves no half file, and goes on when there is room."""
    field.stage_few()
    field.gateway_fuse.arm(Charge(point, times=AGAIN_AND_AGAIN, error="disk full"))
    running = field.start_cycle()
    assert running.end() == 1
    assert "Traceback" not in running.errors
    assert "disk" in running.errors
    assert list(field.spool.glob(".*")) == []
    field.gateway_fuse.disarm()
    field.run_until_still()


def test_a_spool_on_a_full_file_system_costs_nothing(field: Field) -> None:
    """The same on a file system that is really full."""
    field.run_until_still()
    field.stage_few()
    with small_disk(field.spool):
        for _ in range(SMALL_KIB):  # too long, and nothing that could be compressed
            field.stage({"contacts": rows.contacts([rows.label()], FZRXM=token_hex(2_000))})
        running = field.start_cycle()
        assert running.end() == 1
        assert "Traceback" not in running.errors
        for left in field.spool.iterdir():
            assert not left.name.startswith(".")
            shutil.copy(left, field.home.path)
    for saved in [path for path in field.home.path.iterdir() if path.is_file() and len(path.name) == 36]:
        shutil.move(saved, field.spool)
    field.run_until_still()


@pytest.mark.parametrize("point", ["blob half written", "rows written"])
def test_a_full_disk_at_the_hub_costs_nothing(field: Field, point: str) -> None:
    """A hub that cannot write asks for patience, keeps nothing of it, and takes the same when there is room."""
    field.stage_few()
    error = "disk full" if point == "blob half written" else "server disk full"
    field.hub_fuse.arm(Charge(point, times=3, error=error))
    for _ in range(CYCLES_MAX):  # images end at the first refusal, rows are tried again at once
        field.start_cycle().end()
        if not field.hub_fuse.is_armed:
            break
    assert not field.hub_fuse.is_armed
    field.run_until_still()


@pytest.mark.parametrize("error", ["server disk full", "lock timeout"])
def test_what_passes_by_itself_sets_no_row_aside(field: Field, error: str) -> None:
    """A database that is full or busy says nothing of the rows: the cycle ends, and a later one takes them all."""
    before = quarantined_count(field)
    field.stage_few()
    field.gateway_fuse.arm(Charge("batch entered, not committed", times=20, error=error))
    running = field.start_cycle()
    assert running.end() == 1
    assert "Traceback" not in running.errors
    field.gateway_fuse.disarm()
    field.run_until_still()
    assert quarantined_count(field) == before


def test_a_row_that_cannot_be_sealed_is_set_aside_alone(field: Field) -> None:
    """Whatever a row provokes, it ends as one finding for an operator, and its neighbours are accepted."""
    before = field.run_until_still()["contacts"]["quarantined"]
    ids = field.stage({"contacts": rows.contacts([rows.label() for _ in range(8)])})["contacts"]
    field.gateway_fuse.arm(Charge("batch entered, not committed", times=2, error="bad row"))
    assert field.run_until_still()["contacts"]["quarantined"] == before + 1
    (found,) = [each for each in field.findings("contacts") if each["row_id"] in ids]
    assert (found["row_id"], found["code"]) == (ids[0], "Q01")


def test_a_spool_file_that_is_lost_stops_its_own_dataset_only(field: Field, free_port: Callable[[], int]) -> None:
    """A batch whose bytes are gone waits for their return, told by the doctor; the other datasets go on."""
    field.run_until_still()
    card = rows.label()
    with field.sending_to(f"https://127.0.0.1:{free_port()}"):
        field.stage_contacts(2)
        assert field.start_cycle().end() == 1
    (sealed,) = field.spool.iterdir()
    away = sealed.rename(field.home.path / sealed.name)
    field.stage({"person": rows.person(field.played, card)})
    assert field.start_cycle().end() == 1
    assert field.ask_hub("SELECT kh FROM guangdong.current_person WHERE kh = %s", card)
    doctor = field.start("gateway", "doctor", "--json")
    assert doctor.end() == 1
    assert any(sealed.name in told["what"] for told in doctor.said)
    away.rename(sealed)
    field.run_until_still()


def quarantined_count(field: Field) -> int:
    """Return how many rows wait for an operator."""
    ((count,),) = field.ask_gateway("SELECT count(*) FROM qianzhi.outcomes WHERE outcome = 'quarantined'")
    return int(count)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Put a small file system in the place of a folder; skips where this account may not."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    options = ["-t", "tmpfs", "-o", f"size={SMALL_KIB}k,mode=0700", "qianzhi-test"]
    if mount is None or umount is None or subprocess.run([mount, *options, folder], check=False).returncode:
        pytest.skip("this account may not mount a file system")
    try:
        yield
    finally:
        subprocess.run([umount, folder], check=True)
