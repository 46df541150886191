"""Who fell silent."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from tests.hub.samples import AS_OF, GUANGDONG, row, send

from qianzhi.hub import watch
from qianzhi.hub.watch import Watched, Window
from qianzhi.regulators import regulator
from qianzhi.runtime import clock
from qianzhi.specs.model import Schedule

if TYPE_CHECKING:
    from qianzhi.hub.desk import Desk
    from qianzhi.hub.identity import Sender

NIGHTLY = Schedule(cut_off=time(2), cycle=time(3))  # SEED-000: push until 02:00, upload from 03:00
WINDOW = Window(date(2026, 11, 20), datetime(2026, 11, 20, 2), datetime(2026, 11, 20, 9))
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def watched(institution_id: int = 1, **fields: object) -> Watched:
    """Return an institution that was silent."""
    known: dict[str, object] = {"sent": False, "noticed": False, "state": "production", "registered_at": LONG_AGO}
    return Watched(institution_id=institution_id, **(known | fields))  # type: ignore[arg-type]


def test_a_window_is_over_a_grace_after_the_cycle() -> None:
    """The window of a day opens at the cut-off and is over six hours after the cycle's hour, not earlier."""
    before, at = (list(watch.windows(NIGHTLY, datetime(2026, 11, 20, *end))) for end in ((8, 59), (9, 0)))
    assert before[-1].on == date(2026, 11, 19)
    assert at[-1] == WINDOW


def test_an_evening_cut_off_belongs_to_the_next_mornings_cycle() -> None:
    """A cycle whose hour lies before the cut-off's is that of the next day."""
    evening = Schedule(cut_off=time(22), cycle=time(1))
    (*_, last) = watch.windows(evening, datetime(2026, 11, 20, 12))
    assert last == Window(date(2026, 11, 19), datetime(2026, 11, 19, 22), datetime(2026, 11, 20, 7))


def test_windows_of_a_week_are_caught_up_with() -> None:
    """After the hub was down, it looks back, and not without end."""
    found = [window.on for window in watch.windows(NIGHTLY, datetime(2026, 11, 20, 12))]
    assert found == [date(2026, 11, 20) - timedelta(days=back) for back in range(7, -1, -1)]


def test_who_is_silent() -> None:
    """Silent is who had to send, was there in time, sent nothing, and is not noticed yet."""
    institutions = [
        watched(1),
        watched(2, state="testing"),
        watched(3, sent=True),
        watched(4, noticed=True),
        watched(5, state="suspended"),
        watched(6, registered_at=datetime(2026, 11, 20, 2, 0, 1, tzinfo=clock.LOCAL)),
        watched(7, registered_at=datetime(2026, 11, 20, 1, 59, tzinfo=clock.LOCAL)),
    ]
    assert watch.silent(institutions, WINDOW) == [1, 2, 7]


def interruptions(desk: Desk) -> list[tuple[object, ...]]:
    """Return day and whether it goes on, of every interruption."""
    with desk.pool.connection() as session:
        return session.execute(
            "SELECT window_on, ended_at IS NULL FROM qianzhi.interruptions ORDER BY window_on"
        ).fetchall()


def tick(desk: Desk, local: datetime) -> None:
    """Look at a local time."""
    with desk.pool.connection() as session:
        watch.tick(session, regulator(GUANGDONG), local.replace(tzinfo=clock.LOCAL))


def test_an_interruption_is_noticed_once_and_ends(desk: Desk, sender: Sender) -> None:
    """A missed night is noticed when it is over, stays one interruption, and ends with the next batch."""
    register_earlier(desk, AS_OF - timedelta(days=1))
    tick(desk, datetime(2026, 11, 20, 8, 59))
    assert interruptions(desk) == []
    for hour in (9, 10):
        tick(desk, datetime(2026, 11, 20, hour))
    assert interruptions(desk) == [(date(2026, 11, 20), True)]
    receive_at(desk, sender, datetime(2026, 11, 20, 11))
    tick(desk, datetime(2026, 11, 20, 12))
    assert interruptions(desk) == [(date(2026, 11, 20), False)]


def test_a_batch_within_the_window_is_enough(desk: Desk, sender: Sender) -> None:
    """Whoever sent anything between cut-off and deadline is not silent."""
    register_earlier(desk, AS_OF - timedelta(days=1))
    receive_at(desk, sender, datetime(2026, 11, 20, 3, 30))
    tick(desk, datetime(2026, 11, 20, 10))
    assert interruptions(desk) == []


def test_a_tick_opens_the_next_month(desk: Desk) -> None:
    """Partitions are there before the month turns."""
    tick(desk, datetime(2026, 12, 31, 12))
    with desk.pool.connection() as session:
        found = session.execute("SELECT to_regclass('guangdong.person_202701') IS NOT NULL").fetchone()
    assert found == (True,)


def register_earlier(desk: Desk, local: datetime) -> None:
    """Let every institution be registered since a local time."""
    with desk.pool.connection() as session:
        session.execute("UPDATE qianzhi.institutions SET registered_at = %s", [local.replace(tzinfo=clock.LOCAL)])


def receive_at(desk: Desk, sender: Sender, local: datetime) -> None:
    """Receive a batch at a local time."""
    send(desk, sender, "person", row("person"))
    with desk.pool.connection() as session:
        session.execute("UPDATE qianzhi.batches SET received_at = %s", [local.replace(tzinfo=clock.LOCAL)])
