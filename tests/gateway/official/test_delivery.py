"""Cycles in front of an official machine: what goes, what stays, and what is said of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
from PIL import Image
from tests.faults import rows
from tests.gateway.conftest import REGULATOR, Answerer
from tests.gateway.official.conftest import OFFICIAL
from tests.gateway.official.machine import PREFIX

from qianzhi.gateway import report
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.gateway.standing import standing
from qianzhi.gateway.views import uploads
from qianzhi.ledger import tally
from qianzhi.ledger.batches import CycleKind
from qianzhi.runtime import clock
from qianzhi.synthetic.insert import insert

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg
    from tests.gateway.official.machine import Official

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.ledger.tally import Tally
    from qianzhi.synthetic import Played


def stage(session: psycopg.Connection, dataset: str, frame: pl.DataFrame) -> list[int]:
    """Stage rows as a hospital's system would."""
    with session.transaction():
        return insert(session, f"{REGULATOR.key}.{dataset}", frame)


def cycle(workplace: Workplace, destination: Destination) -> frozenset[str]:
    """Run a cycle; return the datasets that have to wait."""
    with Dispatcher(workplace, destination) as dispatcher:
        return dispatcher.advance(CycleKind.MANUAL, clock.now()).postponed


def told(session: psycopg.Connection, destination: Destination, dataset: str = "contacts") -> Tally:
    """Return where the rows of a dataset are."""
    return report.tallies(session, destination)[dataset]


def test_what_went_is_delivered_and_not_accepted(
    workplace: Workplace, front: Destination, official: Official, ask: psycopg.Connection
) -> None:
    """Tally, status and upload log show it as a state of its own, and count nothing as accepted."""
    stage(ask, "contacts", rows.contacts(["a", "b"]))
    assert cycle(workplace, front) == frozenset()
    assert official.count("contacts") == 2
    seen = told(ask, front)
    assert seen.as_json() == {
        "staged": 2,
        "submitted": 2,
        "accepted": 0,
        "rejected": 0,
        "held": 0,
        "delivered": 2,
    }
    assert (seen.is_accounted_for, seen.open) == (True, 0)
    assert standing(ask, front).as_json()["datasets"]["contacts"]["delivered"] == 2
    today = clock.local_now().date()
    (day,) = uploads.days(ask, since_on=today - timedelta(days=1), until_on=today, destination=OFFICIAL)
    assert (day.submitted, day.accepted, day.failed, day.delivered) == (2, 0, 0, 2)
    assert ask.execute("SELECT state::text, accepted_count FROM qianzhi.batches").fetchall() == [("delivered", 0)]
    assert list(workplace.spool.folder.iterdir()) == []


def test_rows_with_an_error_stay_and_can_be_corrected(
    workplace: Workplace, front: Destination, official: Official, ask: psycopg.Connection
) -> None:
    """They are told with their findings; the corrected row goes, and closes them."""
    (bad,) = stage(ask, "contacts", rows.contacts(["a"], TBRQSJ="2026-02-30 10:00:00"))
    stage(ask, "contacts", rows.contacts(["b"]))
    cycle(workplace, front)
    assert official.ask("SELECT bm FROM contacts") == [("b",)]
    seen = told(ask, front)
    assert (seen.rejected, seen.ended_here, seen.delivered, seen.is_accounted_for) == (1, 1, 1, True)
    (found,) = report.findings_of(ask, front, open_only=True)
    assert (found["row_id"], found["field"], found["severity"]) == (bad, "TBRQSJ", "error")
    stage(ask, "contacts", rows.contacts(["a"]))
    cycle(workplace, front)
    assert official.ask("SELECT bm FROM contacts ORDER BY id") == [("b",), ("a",)]
    assert report.findings_of(ask, front, open_only=True) == []


def test_a_delivered_parent_is_good_enough_for_its_children(
    workplace: Workplace, front: Destination, official: Official, ask: psycopg.Connection, played: Played
) -> None:
    """A child waits until its parent is there, not until somebody has accepted it."""
    card, number = rows.label(), rows.label()
    stage(ask, "treatment_record", rows.visit(played, number, KH=card))
    cycle(workplace, front)
    assert (told(ask, front, "treatment_record").held, official.count("treatment_record")) == (1, 0)
    stage(ask, "person", rows.person(played, card, XBDM="77"))
    cycle(workplace, front)
    assert (told(ask, front, "treatment_record").held, official.count("person")) == (1, 0)
    stage(ask, "person", rows.person(played, card))
    cycle(workplace, front)
    assert (official.count("person"), official.count("treatment_record")) == (1, 1)
    seen = told(ask, front, "treatment_record")
    assert (seen.held, seen.delivered, seen.accepted) == (0, 1, 0)


def test_changes_of_one_record_go_one_after_the_other(
    workplace: Workplace, front: Destination, official: Official, ask: psycopg.Connection
) -> None:
    """A modification of what is delivered stays one; that of what never was goes as new; a lone revoke ends here."""
    for minutes, change in ((50, rows.NEW), (40, rows.MODIFY), (30, rows.REVOKE)):
        stage(ask, "contacts", rows.contacts(["a"], CXBZ=change, SJSCSJ=rows.moment(minutes=minutes)))
    stage(ask, "contacts", rows.contacts(["b"], CXBZ=rows.MODIFY))
    stage(ask, "contacts", rows.contacts(["c"], CXBZ=rows.REVOKE))
    cycle(workplace, front)
    assert official.ask("SELECT bm, cxbz FROM contacts WHERE bm = 'a' ORDER BY id") == [
        ("a", rows.NEW),
        ("a", rows.MODIFY),
        ("a", rows.REVOKE),
    ]
    assert official.ask("SELECT bm, cxbz FROM contacts WHERE bm <> 'a'") == [("b", rows.NEW)]


def test_one_bad_row_does_not_stop_its_neighbours(
    workplace: Workplace, front: Destination, official: Official, ask: psycopg.Connection
) -> None:
    """What the official table refuses stands aside for an operator; the others of its batch go, each once."""
    official.ask("ALTER TABLE contacts ADD CHECK (bm <> 'c')")
    stage(ask, "contacts", rows.contacts(list("abcde")))
    cycle(workplace, front)
    assert official.ask("SELECT bm FROM contacts ORDER BY bm") == [("a",), ("b",), ("d",), ("e",)]
    seen = told(ask, front)
    assert (seen.delivered, seen.ended_here, seen.is_accounted_for) == (4, 1, True)
    assert [found["code"] for found in report.findings_of(ask, front)] == ["Q01"]


def test_each_destination_has_its_own_states(
    workplace: Workplace,
    front: Destination,
    destination: Destination,
    answerer: Answerer,
    official: Official,
    ask: psycopg.Connection,
) -> None:
    """What the hub accepts is accepted there, what it cannot get waits there; the official machine knows neither."""
    stage(ask, "contacts", rows.contacts(["a"]))
    stage(ask, "contacts", rows.contacts(["b"], TBRQSJ="2026-02-30 10:00:00"))
    answerer.answers = False
    assert cycle(workplace, destination) == {"contacts"}
    cycle(workplace, front)
    assert (told(ask, destination).open, told(ask, front).delivered) == (2, 1)
    answerer.answers = True
    cycle(workplace, destination)
    hub, machine = told(ask, destination), told(ask, front)
    assert (hub.accepted, hub.delivered, "delivered" in hub.as_json()) == (2, 0, False)
    assert (machine.accepted, machine.delivered, machine.rejected) == (0, 1, 1)
    assert official.count("contacts") == 1


def test_images_lie_there_before_the_row_that_names_them(
    workplace: Workplace,
    front: Destination,
    official: Official,
    ask: psycopg.Connection,
    played: Played,
    tmp_path: Path,
) -> None:
    """Rows name the path as the official machine sees it; an image of several rows lies there once."""
    day = played.days[0]
    faulty = {found.position for found in day.expected if found.dataset == "staff"}
    frame = day.frames["staff"].with_row_index()
    staff = frame.filter(~frame["index"].is_in(sorted(faulty)) & (frame["CXBZ"] == rows.NEW)).drop("index").head(2)
    shared = picture(tmp_path)
    staff = staff.with_columns(shared)
    stage(ask, "department", day.frames["department"])
    stage(ask, "staff", staff)
    cycle(workplace, front)
    stored = official.ask("SELECT grzpcfdz, zgzcfdz, zyzcfdz FROM staff")
    assert len(stored) == 2
    (path,) = {path for row in stored for path in row}
    (file,) = [each for each in official.images.rglob("*") if each.is_file()]
    assert path == f"{PREFIX}\\{file.parent.name}\\{file.name}"
    assert file.read_bytes() == (tmp_path / "shared.png").read_bytes()


def test_a_folder_that_cannot_be_written_stops_the_row_and_loses_nothing(
    workplace: Workplace,
    front: Destination,
    official: Official,
    ask: psycopg.Connection,
    played: Played,
    tmp_path: Path,
) -> None:
    """The lane waits and says why; other lanes go on; when the folder is there again everything goes."""
    shared = picture(tmp_path)
    staff = played.days[0].frames["staff"].head(1)
    stage(ask, "staff", staff.with_columns(shared))
    stage(ask, "contacts", rows.contacts(["a"]))
    away = official.images.with_name("away")
    official.images.rename(away)
    assert cycle(workplace, front) == {"staff"}
    (trouble,) = tally.troubles(ask, OFFICIAL)
    assert "cannot be put" in trouble["outcome"]
    assert (official.count("staff"), official.count("contacts")) == (0, 1)
    away.rename(official.images)
    assert cycle(workplace, front) == frozenset()
    assert official.count("staff") == 1


def picture(folder: Path) -> list[pl.Expr]:
    """Draw a picture, and return what makes every image field of staff name it."""
    path = folder / "shared.png"
    Image.new("RGB", (8, 8), "red").save(path)
    return [pl.lit(str(path)).alias(field.name) for field in REGULATOR.dataset("staff").fields if field.image]
