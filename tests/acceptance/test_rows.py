from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.acceptance.town import INSTITUTION, wait_for
from tests.faults import rows
from tests.faults.invariant import assert_each_row_once

from qianzhi import regulators
from qianzhi.runtime import clock
from qianzhi.synthetic import Plan, Played, play

if TYPE_CHECKING:
    from tests.acceptance.town import Town

KEYS = ["dataset", "row_id", "code", "class", "field", "value", "reason", "remedy", "severity"]
LATENCY_SECONDS_MAX = 2.5
REALTIME_ROWS = 5


@pytest.fixture(scope="module")
def played() -> Played:
    """A hospital whose rows are models for those that a test inserts."""
    plan = Plan(
        people=10,
        days=1,
        seed=3,
        last_on=clock.local_now().date() - timedelta(days=1),
        institution=INSTITUTION,
        images=Path("/nowhere"),
    )
    return play(plan, regulators.regulator("guangdong"))


def test_a_row_from_psql_becomes_an_accepted_record(town: Town) -> None:
    """What an ordinary client inserts by the address that `gateway dsn` tells stands in the hub after a cycle."""
    before = submitted(town, "contacts")
    office = rows.label()
    row_id = town.insert("contacts", contact(office))
    tally = town.cycle()["contacts"]
    assert tally["staged"] == tally["accepted"] + tally["rejected"] + tally["held"]
    assert town.findings("contacts", row_id) == []
    line = town.call("hub", "log", "--dataset", "contacts", "--json").json[0]
    assert (line["dataset"], line["institution"]) == ("contacts", INSTITUTION)
    assert (line["submitted"], line["succeeded"], line["failed"]) == (1, 1, 0)
    assert submitted(town, "contacts") == before + 1
    assert town.ask_hub("SELECT institution FROM guangdong.current_contacts WHERE bm = %s", office) == [(INSTITUTION,)]


def test_a_rejected_row_is_corrected_by_a_new_one(town: Town) -> None:
    """The finding names field, value, reason and remedy in either language; the corrected row is accepted."""
    office = rows.label()
    bad = town.insert("contacts", contact(office, TBRQSJ="2026-02-30 10:00:00"))
    rejected = town.cycle()["contacts"]["rejected"]
    (found,) = [each for each in town.findings("contacts", bad) if each["severity"] == "error"]
    assert list(found) == KEYS
    assert (found["field"], found["value"], found["class"]) == ("TBRQSJ", "2026-02-30 10:00:00", "E03")
    english = town.call("gateway", "findings", "--language", "en", "--json").json
    (told,) = [each for each in english if each["row_id"] == bad and each["dataset"] == "contacts"]
    assert told["reason"] != found["reason"]
    assert told["remedy"].isascii()
    good = town.insert("contacts", contact(office))
    assert town.cycle()["contacts"]["rejected"] == rejected
    assert town.findings("contacts", good) == []
    assert town.findings("contacts", bad) != [], "what was found stays on record"
    still_open = town.call("gateway", "findings", "--open", "--json").json
    assert bad not in [each["row_id"] for each in still_open if each["dataset"] == "contacts"]
    assert town.ask_hub("SELECT row_id FROM guangdong.current_contacts WHERE bm = %s", office) == [(good,)]


def test_a_row_whose_parent_is_missing_goes_when_that_is_accepted(town: Town, played: Played) -> None:
    """It is held and told so; when the parent comes later, both are accepted without anybody touching the child."""
    card, number = rows.label(), rows.label()
    child = town.insert("treatment_record", of(rows.visit(played, number, KH=card)))
    held = town.cycle()["treatment_record"]["held"]
    (found,) = town.findings("treatment_record", child)
    assert (found["class"], found["severity"]) == ("E06", "error")
    assert card in found["reason"] or card in str(found["value"])
    town.insert("person", of(rows.person(played, card)))
    assert town.cycle()["treatment_record"]["held"] == held - 1
    assert [each for each in town.findings("treatment_record", child) if each["severity"] == "error"] == []
    assert town.ask_hub("SELECT row_id FROM guangdong.current_treatment_record WHERE mzh = %s", number) == [(child,)]


def test_a_child_goes_in_the_same_cycle_as_its_corrected_parent(town: Town, played: Played) -> None:
    """A parent that is rejected and corrected before the cycle does not make its child wait for another night."""
    card, number = rows.label(), rows.label()
    town.insert("person", of(rows.person(played, card, XBDM="77")))
    town.insert("person", of(rows.person(played, card)))
    child = town.insert("treatment_record", of(rows.visit(played, number, KH=card)))
    town.cycle()
    assert town.ask_hub("SELECT row_id FROM guangdong.current_treatment_record WHERE mzh = %s", number) == [(child,)]


def test_the_hub_keeps_the_whole_history(town: Town) -> None:
    """New, modified and revoked: the current view shows what holds, the table every row that came."""
    office = rows.label()
    history = []
    for change, phone in ((rows.NEW, "020-00000001"), (rows.MODIFY, "020-00000002"), (rows.REVOKE, "020-00000002")):
        history.append(town.insert("contacts", contact(office, CXBZ=change, LXDH=phone, SJSCSJ=rows.moment(minutes=9))))
        town.cycle()
        current = town.ask_hub("SELECT lxdh FROM guangdong.current_contacts WHERE bm = %s", office)
        assert current == ([] if change == rows.REVOKE else [(phone,)])
    stored = town.ask_hub("SELECT row_id, accepted FROM guangdong.contacts WHERE bm = %s ORDER BY row_id", office)
    assert stored == [(row_id, True) for row_id in history]


def test_changes_of_one_record_go_in_order_within_one_cycle(town: Town) -> None:
    """New, modified, revoked and new again, inserted at once: each is judged on top of the one before."""
    office = rows.label()
    changes = (rows.NEW, rows.MODIFY, rows.REVOKE, rows.NEW)
    inserted = []
    for minutes, change in zip((50, 40, 30, 20), changes, strict=True):
        values = {"CXBZ": change, "SJSCSJ": rows.moment(minutes=minutes), "LXDH": f"020-000000{minutes}"}
        inserted.append(town.insert("contacts", contact(office, **values)))
    town.cycle()
    stored = town.ask_hub("SELECT accepted FROM guangdong.contacts WHERE bm = %s", office)
    assert stored == [(True,)] * len(changes)
    assert town.ask_hub("SELECT row_id FROM guangdong.current_contacts WHERE bm = %s", office) == [(inserted[-1],)]


def test_what_was_never_accepted_is_not_modified_or_revoked(town: Town) -> None:
    """Its modification goes as new with a warning; its revocation is settled without being sent."""
    office, other = rows.label(), rows.label()
    modified = town.insert("contacts", contact(office, CXBZ=rows.MODIFY))
    revoked = town.insert("contacts", contact(other, CXBZ=rows.REVOKE))
    town.cycle()
    assert [(each["code"], each["severity"]) for each in town.findings("contacts", modified)] == [("V22", "warning")]
    assert [(each["code"], each["severity"]) for each in town.findings("contacts", revoked)] == [("V22", "warning")]
    assert town.ask_hub("SELECT cxbz FROM guangdong.current_contacts WHERE bm = %s", office) == [(rows.NEW,)]
    assert town.ask_hub("SELECT row_id FROM guangdong.contacts WHERE bm = %s", other) == []


def test_a_check_tells_what_would_be_found_and_submits_nothing(town: Town) -> None:
    """It exits 1 where a row would be rejected, 0 where none would be, and leaves every row where it is."""
    town.cycle()
    assert (town.call("gateway", "check", "--json").code, submitted(town, "contacts")) == (
        0,
        submitted(town, "contacts"),
    )
    before = submitted(town, "contacts")
    good = town.insert("contacts", contact(rows.label()))
    said = town.call("gateway", "check", "--json")
    assert (said.code, said.json) == (0, [])
    bad = town.insert("contacts", contact(rows.label(), FZRXM=None))
    said = town.call("gateway", "check", "--json")
    assert said.code == 1
    assert [(each["dataset"], each["row_id"], each["code"]) for each in said.json] == [("contacts", bad, "V01")]
    assert [list(each) for each in said.json] == [KEYS]
    assert submitted(town, "contacts") == before
    waiting = town.ask_gateway("SELECT row_id FROM qianzhi.arrived ORDER BY row_id")
    assert waiting == [(good,), (bad,)]
    town.cycle()


def test_a_realtime_row_is_settled_at_once(town: Town) -> None:
    """A row of a dataset in real time needs no cycle: it stands in the hub within seconds."""
    took = []
    for _ in range(REALTIME_ROWS):
        code = rows.label()
        town.insert("department", department(code))
        took.append(wait_for("the row at the hub", lambda code=code: is_department(town, code)))
    assert min(took) < LATENCY_SECONDS_MAX


def test_history_is_sent_by_a_backfill(town: Town) -> None:
    """Rows that the ledger has never heard of, as from before its time, go on request, and only once."""
    office = rows.label()
    row_id = town.insert("contacts", contact(office))
    town.ask_gateway("DELETE FROM qianzhi.arrived")
    for _ in range(2):
        said = town.call("gateway", "backfill", "--dataset", "contacts")
        assert said.code == 0, said.errors
    assert town.ask_hub("SELECT row_id FROM guangdong.contacts WHERE bm = %s", office) == [(row_id,)]


def test_every_row_has_one_outcome_in_the_end(town: Town) -> None:
    """After all of this the two ends agree on every row."""
    town.cycle()
    assert_each_row_once(town.books)


def contact(office: str, **values: str | None) -> dict[str, str | None]:
    """Return a good row of contacts, but for the values given."""
    return of(rows.contacts([office], **values))


def department(code: str) -> dict[str, str | None]:
    """Return a good row of department."""
    at = rows.moment(minutes=5)
    texts = {"JGDM": INSTITUTION, "KSBM": code, "KSMC": "内科", "BZKSDM": "03"}
    return {**texts, "SJSCSJ": at, "TBRQSJ": at, "CXBZ": rows.NEW}


def is_department(town: Town, code: str) -> bool:
    """Tell whether the hub holds a department."""
    return bool(town.ask_hub("SELECT ksbm FROM guangdong.current_department WHERE ksbm = %s", code))


def submitted(town: Town, dataset: str) -> int:
    """Return how many rows of a dataset the hub has received."""
    ((count,),) = town.ask_hub("SELECT coalesce(sum(row_count), 0) FROM qianzhi.batches WHERE dataset = %s", dataset)
    return int(count)


def of(frame: object) -> dict[str, str | None]:
    """Return the only row of a frame."""
    import polars as pl

    assert isinstance(frame, pl.DataFrame)
    return frame.row(0, named=True)
