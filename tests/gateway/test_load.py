"""What has still to go, counted from staging tables, files and the ledger."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.gateway.conftest import HUB, Answerer, stage
from tests.gateway.test_porter import stage_staff, submit

from qianzhi.gateway import load
from qianzhi.gateway.porter import opened_porter
from qianzhi.ledger import backlog
from qianzhi.runtime import clock
from qianzhi.runtime.settings import Link

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from qianzhi.gateway.destination import Destination, Workplace


def test_every_image_counts_once_until_it_was_sent(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection, tmp_path: Path
) -> None:
    """Two rows may name one image, and one image may lie under two names; what is promised still has to go."""
    stage_staff(ask, tmp_path, "red", "blue", "red")
    (tmp_path / "copy.png").write_bytes((tmp_path / "red.png").read_bytes())
    ask.execute("INSERT INTO guangdong.staff (yhrygh, grzpcfdz) VALUES ('9', %s)", (str(tmp_path / "copy.png"),))
    stage(ask, "person", 5)
    sizes = sum((tmp_path / f"{colour}.png").stat().st_size for colour in ("red", "blue"))

    before = load.waiting(ask, workplace, destination)
    submit(workplace, destination)
    promised = load.waiting(ask, workplace, destination)
    with opened_porter(workplace, destination) as porter:
        porter.carry(lambda: True)
    stage_staff(ask, tmp_path, "red")
    after = load.waiting(ask, workplace, destination)

    assert (before.rows, before.image_count, before.image_bytes) == ({"staff": 4, "person": 5}, 2, sizes)
    assert (promised.row_count, promised.image_count, promised.image_bytes) == (0, 2, sizes)
    assert (after.rows, after.image_count) == ({"staff": 1}, 0)


def test_what_is_sealed_counts_as_it_will_travel(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection, tmp_path: Path
) -> None:
    """While the destination does not answer, the batch waits in the spool, and its images with it."""
    answerer.answers = False
    stage_staff(ask, tmp_path, "red")
    submit(workplace, destination)
    spooled = sum(file.stat().st_size for file in (tmp_path / "spool").iterdir())
    waiting = load.waiting(ask, workplace, destination)
    assert (waiting.row_count, waiting.sealed_count, waiting.sealed_bytes) == (0, 1, spooled)
    assert waiting.image_bytes == (tmp_path / "red.png").stat().st_size


def test_a_run_is_predicted_from_what_earlier_ones_taught(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection
) -> None:
    """Bytes of a row are those that went; the next run begins at three in the morning of the regulator."""
    stage(ask, "person", 1000)
    submit(workplace, destination)
    (byte_count,) = ask.execute("SELECT byte_count FROM qianzhi.batches").fetchone() or (0,)
    now = clock.now()
    told = load.experience(ask, destination, now=now)
    assert told.row_bytes == {"person": byte_count / 1000}
    assert told.bytes_per_second is None  # less than a megabyte says nothing of a line

    stage(ask, "person", 2000)
    night = load.forecast(ask, workplace, destination, Link(bits_per_second=1_000_000), now=now, round_trip_seconds=0)
    assert night.record_bytes == round(2 * byte_count)
    assert clock.local(night.begins_at).time() == destination.schedule.cycle
    assert timedelta() < night.begins_at - now <= timedelta(days=1)
    assert night.ends_at > night.begins_at


def test_what_a_day_adds_is_known_after_the_first(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection
) -> None:
    """Nothing is guessed before anything went."""
    since = clock.now() - timedelta(days=30)
    assert backlog.volume(ask, since=since) == backlog.Volume(0, None, 0)
    stage(ask, "person", 10)
    submit(workplace, destination)
    went = backlog.volume(ask, since=since)
    assert (went.row_count, went.days) == (10, 1)
    assert backlog.sizes(ask, ["qianzhi", "guangdong"])[0] > 0
    assert backlog.sent(ask, HUB, ["person"])[0][2] > 0
