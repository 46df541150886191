"""Images that follow their rows."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.gateway.conftest import HUB, Answerer, stage

from qianzhi.gateway.cycle import Dispatcher
from qianzhi.gateway.porter import Carried, Courtesy, Porter, opened_porter
from qianzhi.ledger import promises
from qianzhi.ledger.batches import CycleKind
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from qianzhi.gateway.destination import Destination, Workplace


@pytest.fixture
def porter(workplace: Workplace, destination: Destination) -> Iterator[Porter]:
    """A porter of the destination."""
    with opened_porter(workplace, destination) as opened:
        yield opened


def stage_staff(session: psycopg.Connection, folder: Path, *colours: str) -> None:
    """Insert a staff member for each colour, with a photo of it."""
    for number, colour in enumerate(colours):
        drawn = io.BytesIO()
        Image.new("RGB", (5, 5), colour).save(drawn, "PNG")
        photo = folder / f"{colour}.png"
        photo.write_bytes(drawn.getvalue())
        session.execute(
            "INSERT INTO guangdong.staff (jgdm, yhrygh, grzpcfdz) VALUES ('440000000000000001', %s, %s)",
            (str(number), str(photo)),
        )


def submit(workplace: Workplace, destination: Destination) -> None:
    """Run a cycle."""
    with Dispatcher(workplace, destination) as dispatcher:
        dispatcher.advance(CycleKind.MANUAL, clock.now())


def test_rows_go_before_their_images(
    workplace: Workplace,
    destination: Destination,
    answerer: Answerer,
    ask: psycopg.Connection,
    porter: Porter,
    tmp_path: Path,
) -> None:
    """The cycle settles the rows; the images are promised, and sent once whatever number of rows name them."""
    stage_staff(ask, tmp_path, "red", "blue", "red")
    submit(workplace, destination)
    assert (answerer.rows, answerer.blobs, promises.left(ask, HUB).image_count) == ({"staff": 3}, [], 2)

    assert porter.carry(lambda: True).sent_count == 2
    assert (len(answerer.blobs), promises.left(ask, HUB).image_count) == (2, 0)
    stage_staff(ask, tmp_path, "red")
    submit(workplace, destination)
    assert porter.carry(lambda: True).sent_count == 0
    assert len(answerer.blobs) == 2


def test_a_door_that_wants_images_first_gets_them_first(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection, tmp_path: Path
) -> None:
    """And nothing is promised to it."""
    answerer.images_follow = False
    stage_staff(ask, tmp_path, "red")
    submit(workplace, destination)
    assert (len(answerer.blobs), promises.left(ask, HUB).image_count) == (1, 0)


def test_a_cut_line_ends_the_call_and_keeps_the_promises(
    workplace: Workplace,
    destination: Destination,
    answerer: Answerer,
    ask: psycopg.Connection,
    porter: Porter,
    tmp_path: Path,
) -> None:
    """What was sent is recorded; the rest goes when somebody answers again."""
    stage_staff(ask, tmp_path, "red", "blue")
    submit(workplace, destination)
    answerer.answers = False
    assert porter.carry(lambda: True) == Carried(0, is_cut=True)
    answerer.answers = True
    assert porter.carry(lambda: True).sent_count == 2


def test_an_image_that_cannot_be_sent_keeps_no_other_waiting(
    workplace: Workplace,
    destination: Destination,
    answerer: Answerer,
    ask: psycopg.Connection,
    porter: Porter,
    tmp_path: Path,
) -> None:
    """One is refused, one is gone from the disk; both are told, the third is sent."""
    stage_staff(ask, tmp_path, "red", "blue", "green")
    submit(workplace, destination)
    digests = [each.digest for each in promises.due(ask, HUB, now=clock.now())]
    answerer.refused = frozenset(digests[:1])
    workplace.blobs.path(digests[1]).unlink()

    assert porter.carry(lambda: True).sent_count == 1
    assert (answerer.blobs, promises.left(ask, HUB).troubled_count) == (digests[2:], 2)
    assert promises.oldest_trouble(ask, HUB).startswith("SenderError")


def test_an_image_that_is_gone_before_the_answer_keeps_no_row_from_being_settled(
    workplace: Workplace,
    destination: Destination,
    answerer: Answerer,
    ask: psycopg.Connection,
    porter: Porter,
    tmp_path: Path,
) -> None:
    """The destination has accepted the row, and so it stands here; the image is told of until it is back."""
    answerer.answers = False
    stage_staff(ask, tmp_path, "red", "blue")
    submit(workplace, destination)
    (gone, content) = next((path, path.read_bytes()) for path in workplace.blobs.folder.rglob("*") if path.is_file())
    gone.unlink()
    answerer.answers = True
    submit(workplace, destination)
    assert ask.execute("SELECT state::text, accepted_count FROM qianzhi.batches").fetchall() == [("settled", 2)]
    assert porter.carry(lambda: True).sent_count == 1
    assert (promises.left(ask, HUB).image_count, promises.left(ask, HUB).troubled_count) == (1, 1)
    gone.write_bytes(content)
    ask.execute("UPDATE qianzhi.promised_images SET next_attempt_at = now()")
    assert porter.carry(lambda: True).sent_count == 1


def test_images_wait_while_a_batch_is_on_its_way(
    workplace: Workplace, destination: Destination, answerer: Answerer, ask: psycopg.Connection, porter: Porter
) -> None:
    """Rows go first, until they are through or somebody asks to stop."""
    assert not porter.rows_wait()
    answerer.answers = False
    stage(ask, "person")
    submit(workplace, destination)
    ask.execute("UPDATE qianzhi.attempts SET next_attempt_at = now()")
    assert porter.rows_wait()
    assert not Courtesy(porter, lambda: True)()
    answerer.answers = True
    submit(workplace, destination)
    assert not porter.rows_wait()
    assert Courtesy(porter, lambda: False)()
