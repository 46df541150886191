"""What the other pages show: today, uploads, held rows, a record's history, a check that somebody watches."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.gateway.views.site import CORRECTED, HUB, REGULATOR, UNDER_WAY, WAITING, Site

from qianzhi.gateway import report
from qianzhi.gateway.preview import preview
from qianzhi.gateway.views import checkup, held, records, uploads
from qianzhi.gateway.views.personal import personal_fields
from qianzhi.gateway.views.today import DAYS_SHOWN, due, today
from qianzhi.runtime import clock
from qianzhi.specs.model import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEDULE = Schedule(cut_off=time(2), cycle=time(3))


@pytest.mark.parametrize(
    ("now", "cut_off_at", "cycle_at"),
    [
        (datetime(2026, 11, 20, 1, 59), datetime(2026, 11, 20, 2), datetime(2026, 11, 20, 3)),
        (datetime(2026, 11, 20, 2), datetime(2026, 11, 21, 2), datetime(2026, 11, 20, 3)),
        (datetime(2026, 11, 20, 23, 30), datetime(2026, 11, 21, 2), datetime(2026, 11, 21, 3)),
        (datetime(2026, 12, 31, 12), datetime(2027, 1, 1, 2), datetime(2027, 1, 1, 3)),
    ],
)
def test_the_next_cycle_is_told_with_the_time_left(now: datetime, cut_off_at: datetime, cycle_at: datetime) -> None:
    """An hour that strikes now is past: the next one is tomorrow's."""
    told = due(HUB, SCHEDULE, now)
    assert (told.cut_off_at, told.cycle_at) == (cut_off_at, cycle_at)
    assert timedelta(seconds=told.seconds_to_cut_off) == cut_off_at - now


def test_today_is_what_the_tally_says_of_a_site_that_began_today(site: Site, ask: psycopg.Connection) -> None:
    """Everything of this site happened today, so its day is its whole tally."""
    told = today(ask, [site.destination], now=clock.now())
    tallies = report.tallies(ask, site.destination)
    assert [each.day.dataset for each in told.datasets] == [dataset.name for dataset in REGULATOR.datasets]
    for each in told.datasets:
        tally, day = tallies[each.day.dataset], each.day
        assert (day.staged, day.submitted, day.accepted) == (tally.staged, tally.submitted, tally.accepted)
        assert (day.failed, each.held) == (tally.rejected, tally.held)
        assert day.ended == tally.ended_here
        assert each.waiting + each.under_way == tally.open
    assert sum(each.day.ended for each in told.datasets) > 0
    contacts = next(each for each in told.datasets if each.day.dataset == "contacts")
    assert (contacts.waiting, contacts.under_way) == (len(WAITING), len(UNDER_WAY))
    (errors,) = site.ask("SELECT count(*) FROM qianzhi.findings WHERE closed_at IS NULL AND severity = 'error'")[0]
    assert told.open_errors == errors
    assert [each.destination for each in told.due] == [HUB]


def test_the_days_are_a_series_without_a_gap(site: Site, ask: psycopg.Connection) -> None:
    """Each of thirty days has a figure for each dataset; what was answered on another day counts there."""
    (batch, rows), *_ = site.ask(
        "SELECT batch_id, row_count FROM qianzhi.batches JOIN qianzhi.lanes USING (lane_id)"
        " WHERE dataset = 'department' AND batches.state = 'settled'"
    )
    move = "UPDATE qianzhi.batches SET settled_at = settled_at + %s WHERE batch_id = %s"
    ask.execute(move, [timedelta(days=-3), batch])
    try:
        told = today(ask, [site.destination], now=clock.now())
    finally:
        ask.execute(move, [timedelta(days=3), batch])
    dates = sorted({day.on for day in told.days})
    assert dates[-1] == clock.local_now().date()
    assert dates == [dates[0] + timedelta(days=n) for n in range(DAYS_SHOWN)]
    assert len(told.days) == DAYS_SHOWN * len(REGULATOR.datasets)
    moved = {day.on: day.submitted for day in told.days if day.dataset == "department" and day.submitted}
    assert moved[dates[-4]] == rows
    assert sum(moved.values()) == report.tallies(ask, site.destination)["department"].submitted


def test_the_upload_log_leads_from_days_to_batches(site: Site, ask: psycopg.Connection) -> None:
    """A day's figures are the sums of its batches, each with its attempts, its bytes and its receipt."""
    on = clock.local_now().date()
    days = {day.dataset: day for day in uploads.days(ask, since_on=on, until_on=on)}
    for dataset, day in days.items():
        below = [each for each in uploads.batches(ask, on, dataset=dataset, limit=500) if each.state != "split"]
        assert day.batch_count == len(below)
        assert (day.submitted, day.byte_count) == (
            sum(each.row_count for each in below),
            sum(each.byte_count for each in below),
        )
        assert (day.accepted, day.failed) == (
            sum(each.accepted or 0 for each in below),
            sum(each.failed or 0 for each in below),
        )
    assert days["contacts"].under_way == len(UNDER_WAY)
    every = uploads.batches(ask, on, destination=HUB, limit=500)
    assert len(every) == site.ask("SELECT count(*) FROM qianzhi.batches")[0][0]
    kept = dict(site.ask("SELECT batch_id, document FROM qianzhi.receipts"))
    for each in every:
        assert [attempt.outcome for attempt in each.attempts][-1:] == ["receipt"] or each.state == "sealed"
        assert each.took_seconds == pytest.approx(sum(attempt.took_seconds for attempt in each.attempts))
        assert uploads.receipt(ask, each.batch_id) == kept.get(each.batch_id)
        assert each.receipt_byte_count == (len(kept[each.batch_id]) if each.batch_id in kept else None)
    assert len(uploads.batches(ask, on, offset=len(every))) == 0
    assert uploads.days(ask, since_on=on - timedelta(days=9), until_on=on - timedelta(days=8)) == []


def test_days_and_batches_can_be_of_one_dataset_and_destination(ask: psycopg.Connection) -> None:
    """What is not chosen is not shown."""
    on = clock.local_now().date()
    assert {day.dataset for day in uploads.days(ask, since_on=on, until_on=on, dataset="person")} == {"person"}
    assert uploads.days(ask, since_on=on, until_on=on, destination="elsewhere") == []
    assert {each.dataset for each in uploads.batches(ask, on, dataset="person")} == {"person"}


def test_held_rows_say_what_they_wait_for_and_where_that_is(site: Site, ask: psycopg.Connection) -> None:
    """Each held row names its parent's dataset and key, and whether that was staged and what became of it."""
    told = held.page(ask)
    known = site.ask("SELECT dataset, row_id, wants FROM qianzhi.held JOIN qianzhi.lanes USING (lane_id)")
    assert sorted((row.dataset, row.row_id, row.wants) for row in told.rows) == sorted(known)
    assert told.total_count == len(known)
    for row in told.rows:
        wanted = row.wanted
        assert row.wants == f"{wanted.dataset}({', '.join(f'{name}={value}' for name, value in wanted.key.items())})"
        conditions = " AND ".join(f"{name} = %({name})s" for name in wanted.key)
        staged = [
            row_id
            for (row_id,) in ask.execute(
                f"SELECT id FROM guangdong.{wanted.dataset} WHERE {conditions}", dict(wanted.key)
            )
        ]
        assert wanted.row_id == max(staged, default=None)
        assert (wanted.state == held.NEVER_STAGED) == (not staged)
    assert personal_fields(held.Held) == {"value", "wants"}
    assert held.page(ask, dataset="person").rows == []
    assert [row.row_id for row in held.page(ask, offset=1, limit=1).rows] == [told.rows[1].row_id]


def test_held_rows_are_found_by_what_they_wait_for(ask: psycopg.Connection) -> None:
    """By its dataset, by a part of its key, or by the number of the row that waits; signs of patterns are texts."""
    every = held.page(ask).rows
    one = every[0]
    same = [row.row_id for row in every if row.wanted.dataset == one.wanted.dataset]
    assert [row.row_id for row in held.page(ask, wanted=one.wanted.dataset).rows] == same
    assert held.page(ask, wanted="device").total_count == 0
    *_institution, last = one.wanted.key.values()
    found = held.page(ask, text=last[1:])
    assert {row.row_id for row in found.rows} == {row.row_id for row in every if last[1:] in row.wants}
    assert found.total_count == len(found.rows)
    assert held.page(ask, text=f"{last}0").total_count == 0
    assert one.row_id in {row.row_id for row in held.page(ask, text=str(one.row_id)).rows}
    assert held.page(ask, text="%").total_count == 0


def test_a_wanted_row_that_failed_says_so(site: Site, ask: psycopg.Connection) -> None:
    """Who waits for a rejected record learns that it was rejected, and which row to correct."""
    (lane, row_id, key) = _rejected_person(site)
    waits = (
        "INSERT INTO qianzhi.held (lane_id, row_id, key_hash, key_check, key_text_hash, code, field, value,"
        " wants_lane_id, wants_key_hash, wants_key_check, wants, arrived_at)"
        " SELECT lane_id, 999999, 1, 1, 1, 'V30', 'KH', 'x', %s, 1, 1, %s, now() FROM qianzhi.lanes"
        " WHERE dataset = 'treatment_record'"
    )
    ask.execute(waits, [lane, f"person(JGDM={key[0]}, KLX={key[1]}, KH={key[2]})"])
    try:
        (row,) = [row for row in held.page(ask, limit=100).rows if row.row_id == 999999]
    finally:
        ask.execute("DELETE FROM qianzhi.held WHERE row_id = 999999")
    assert (row.wanted.state, row.wanted.row_id) == ("rejected", row_id)
    assert tuple(row.wanted.key.values()) == key


def _rejected_person(site: Site) -> tuple[int, int, tuple[str, str, str]]:
    (lane, row_id, *key), *_ = site.ask(
        "SELECT lane_id, row_id, jgdm, klx, kh FROM qianzhi.outcomes JOIN qianzhi.lanes USING (lane_id)"
        " JOIN guangdong.person ON id = row_id WHERE dataset = 'person' AND outcome = 'rejected'"
        " AND NOT EXISTS (SELECT FROM guangdong.person AS later WHERE later.kh = person.kh AND later.id > row_id)"
        " AND kh <> '' AND klx <> ''"
    )
    return lane, row_id, (key[0], key[1], key[2])


def test_a_record_s_history_is_all_its_rows(site: Site, ask: psycopg.Connection) -> None:
    """A rejected row and its correction are two versions, with what was found, what changed and where each is."""
    wanted = [
        row_id for (row_id,) in site.ask("SELECT id FROM guangdong.contacts WHERE bm = %s ORDER BY id", CORRECTED)
    ]
    told = records.history_of_row(ask, REGULATOR, "contacts", wanted[1])
    assert told is not None
    assert [version.row_id for version in told.versions] == wanted
    assert told.key["BM"] == CORRECTED
    first, second = told.versions
    assert [place.state for version in told.versions for place in version.places] == ["rejected", "accepted"]
    assert [(found.code, found.field) for found in first.findings if found.severity == "error"] == [("V01", "FZRXM")]
    assert all(found.closed_at for found in first.findings)
    assert {each.field: (each.before, each.after) for each in second.differences}["FZRXM"] == (None, "测试甲")
    assert [each.is_personal for each in second.differences if each.field == "FZRXM"] == [
        REGULATOR.dataset("contacts").field("FZRXM").personal
    ]
    assert (first.change, second.change) == ("new", "new")
    assert all(place.received_at for version in told.versions for place in version.places)
    assert told == records.history(ask, REGULATOR, "contacts", dict(told.key))
    assert not told.is_bounded
    assert records.history_of_row(ask, REGULATOR, "contacts", 10**12) is None


def test_versions_differ_where_their_rows_do(site: Site, ask: psycopg.Connection) -> None:
    """For every record that came more than once, the differences are those of its rows, field by field."""
    names = [field.name for field in REGULATOR.dataset("institution").fields]
    columns = ", ".join(name.lower() for name in names)
    rows: list[tuple[Any, ...]] = ask.execute(
        f"SELECT {columns} FROM guangdong.institution WHERE btrim(jgdm) = %s ORDER BY id",
        [site.destination.institution],
    ).fetchall()
    told = records.history(ask, REGULATOR, "institution", {"JGDM": site.destination.institution})
    assert len(told.versions) == len(rows) > 2
    for before, after, version in zip(rows, rows[1:], told.versions[1:], strict=False):
        expected = [name for name, was, now in zip(names, before, after, strict=True) if was != now]
        assert [each.field for each in version.differences] == expected


def test_a_key_is_looked_up_by_its_index(site: Site, ask: psycopg.Connection) -> None:
    """The versions of a record are found among any number of staged rows."""
    ask.execute("SET enable_seqscan = off")
    plan = "EXPLAIN SELECT * FROM guangdong.person WHERE btrim(jgdm) = '1' AND btrim(klx) = '3' AND btrim(kh) = 'K1'"
    assert "person_key" in " ".join(str(line) for (line,) in ask.execute(plan))


def test_the_states_of_a_view_are_words_of_the_ledger(site: Site) -> None:
    """A held row's parent and a version say where they are in the words of the view."""
    from qianzhi.ledger.views import STATES

    words = Counter(word for (word,) in site.ask("SELECT DISTINCT state FROM guangdong.row_states"))
    assert set(words) <= set(STATES)


@pytest.fixture
def session(site: Site) -> Iterator[psycopg.Connection]:
    """A session in autocommit, as a check wants it."""
    with psycopg.connect(site.dsn, autocommit=True) as opened:
        yield opened


def test_a_check_tells_how_far_it_is_and_what_it_found(
    site: Site, session: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress ends at the rows that wait; the findings are those of the preview, errors first, in bounded number."""
    told: list[tuple[int, int]] = []
    found = checkup.check_now(session, site.workplace, site.destination, progress=lambda *at: told.append(at))
    waiting = site.ask("SELECT count(*) FROM qianzhi.arrived")[0][0]
    assert told[0] == (0, waiting)
    assert told[-1] == (waiting, waiting)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert sum(each.row_count for each in found.datasets) == waiting
    previewed = list(preview(session, site.workplace, site.destination, as_of=clock.local(found.begun_at)))
    assert {each.dataset: each.finding_count for each in found.datasets} == {
        name: frame.height for name, _, frame in previewed
    }
    errors = {
        (name, row_id)
        for name, _, frame in previewed
        for row_id in frame.filter(frame["severity"] == "error")["row_id"]
    }
    assert found.rejected_count == len(errors)
    assert len(found.findings) == sum(frame.height for *_, frame in previewed)
    assert not found.is_bounded
    assert found.findings
    kept = len(found.findings) - 1  # how many there are depends on the hour: rows of later today are findings
    monkeypatch.setattr(checkup, "FINDINGS_KEPT_MAX", kept)
    few = checkup.check_now(session, site.workplace, site.destination, progress=lambda *_: None)
    assert (len(few.findings), few.is_bounded) == (kept, True)
    assert [asdict(each) for each in few.datasets] == [asdict(each) for each in found.datasets]
