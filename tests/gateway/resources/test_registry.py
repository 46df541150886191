from __future__ import annotations

import itertools
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl
import psycopg
import pytest
from tests.gateway.resources import books
from tests.gateway.resources.conftest import INSTITUTION, drawn

from qianzhi.db.server import connect
from qianzhi.errors import QianzhiError, SenderError
from qianzhi.gateway import assembly, images
from qianzhi.gateway.documents.facts import facts
from qianzhi.gateway.documents.forms import fill
from qianzhi.gateway.resources import records, saving
from qianzhi.gateway.resources.attachments import attached
from qianzhi.gateway.resources.records import State
from qianzhi.gateway.resources.registry import registry
from qianzhi.ledger import lanes
from qianzhi.ledger.keys import settle_states
from qianzhi.regulators import paperwork
from qianzhi.runtime import clock, keyfile
from qianzhi.runtime.sources import load_settings

if TYPE_CHECKING:
    from qianzhi.gateway.resources.plan import Plan
    from qianzhi.gateway.resources.records import Record
    from qianzhi.gateway.resources.registry import Registry

Samples = dict[str, dict[str, str | None]]


def code() -> str:
    """Return a key that no other test uses."""
    return uuid4().hex[:8]


def rows(kept: Registry, dataset: str, where: str, value: str) -> list[dict[str, object]]:
    """Return the staged rows of a record, oldest first."""
    with psycopg.connect(kept._dsn, row_factory=psycopg.rows.dict_row) as session:
        statement = f"SELECT * FROM guangdong.{dataset} WHERE {where} = %s ORDER BY id"
        return session.execute(statement.encode(), (value,)).fetchall()


def found(kept: Registry, dataset: str, name: str, value: str) -> Record:
    """Return a current record."""
    (record,) = [each for each in kept.records(dataset) if each.values.get(name) == value]
    return record


def added(kept: Registry, samples: Samples, **values: str | None) -> Record:
    """Save a new department and return its record."""
    said = samples["department"] | {"KSBM": code()} | values
    kept.save(kept.form_plan("department", said, row_id=None), actor="test")
    return found(kept, "department", "KSBM", str(said["KSBM"]))


def settled(
    kept: Registry,
    dataset: str,
    record: Record,
    *,
    outcome: str | None = None,
    live: bool = True,
    state: str = "settled",
) -> None:
    """Let the ledger know what a destination said of a record's newest row."""
    destination, regulator = kept.destination, kept.destination.regulator
    with connect(kept._dsn, application="test") as session:
        (lane,) = [each for each in lanes.lanes_of(session, destination.name, regulator) if each.dataset == dataset]
        session.execute("DELETE FROM qianzhi.arrived WHERE lane_id = %s AND row_id = %s", (lane.lane_id, record.row_id))
        session.execute(
            "INSERT INTO qianzhi.batches (batch_id, lane_id, edition, ruleset, as_of, row_ids, row_count, digest,"
            " byte_count, state) VALUES (%s, %s, 'V3.0', '', now(), int8multirange(int8range(%s, %s, '[]')), 1,"
            " sha256(''), 0, %s::qianzhi.batch_state)",
            (uuid4(), lane.lane_id, record.row_id, record.row_id, state),
        )
        if outcome is None:
            raw = records._newest(session, destination, regulator.dataset(dataset))
            changes = records._changes(raw, regulator.dataset(dataset), destination)
            mine = changes.filter(changes["row_id"] == record.row_id)
            keys = mine.select("key_hash", "key_check", "row_id").with_columns(pl.lit(live).alias("live"))
            settle_states(session, lane.lane_id, keys)
        else:
            session.execute(
                "INSERT INTO qianzhi.outcomes (lane_id, row_id, outcome) VALUES (%s, %s, %s::qianzhi.row_outcome)",
                (lane.lane_id, record.row_id, outcome),
            )
            session.execute(
                "INSERT INTO qianzhi.findings (lane_id, row_id, origin, code, class, field, severity)"
                " VALUES (%s, %s, 'hub', 'V09', 'E03', 'KSBM', 'error')",
                (lane.lane_id, record.row_id),
            )
        session.commit()


def test_a_form_inserts_a_whole_row_as_the_senders_account(kept: Registry, samples: Samples) -> None:
    """Institution, change and times are filled in by clock; the account can do nothing but insert."""
    before = clock.local_now().replace(microsecond=0)
    record = added(kept, samples, KSMC="<b>内科</b>", YBJDM=" ")

    (row,) = rows(kept, "department", "ksbm", record.values["KSBM"])
    assert (row["jgdm"], row["cxbz"], row["ksmc"], row["ybjdm"]) == (INSTITUTION, "1", "<b>内科</b>", None)
    assert row["sjscsj"] == row["tbrqsj"]
    assert f"{before:%Y-%m-%d %H:%M:%S}" <= str(row["sjscsj"]) <= f"{clock.local_now():%Y-%m-%d %H:%M:%S}"
    assert (record.state, record.exists, record.is_live) == (State.WAITING, True, False)
    with psycopg.connect(kept._sender_dsn) as session:
        assert session.info.user == "us_pos"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("UPDATE guangdong.department SET ksmc = 'x'")


def test_what_happens_to_a_record_follows_from_what_is_accepted(kept: Registry, samples: Samples) -> None:
    """New, then modified, be it that the first is still waiting; revoked once; new again afterwards."""
    record = added(kept, samples)
    key = record.values["KSBM"]
    said = dict(record.values)

    def change(**values: str) -> Record:
        newest = found(kept, "department", "KSBM", key)
        kept.save(kept.form_plan("department", said | values, row_id=newest.row_id), actor="test")
        return found(kept, "department", "KSBM", key)

    waiting = change(KSMC="二")
    settled(kept, "department", waiting)
    accepted = found(kept, "department", "KSBM", key)
    assert (accepted.state, accepted.is_live) == (State.ACCEPTED, True)
    modified = change(KSMC="三")
    settled(kept, "department", modified)
    kept.save(kept.revocation("department", modified.row_id), actor="test")
    going = found(kept, "department", "KSBM", key)
    assert (going.state, going.is_live, going.exists) == (State.WAITING, True, False)
    settled(kept, "department", going, live=False)
    gone = found(kept, "department", "KSBM", key)
    assert (gone.state, gone.is_live, gone.exists) == (State.REVOKED, False, False)
    assert [each.code for each in kept.revocation("department", gone.row_id).remarks] == ["nothing-to-revoke"]
    change(KSMC="四")

    changes = [(row["cxbz"], row["ksmc"]) for row in rows(kept, "department", "ksbm", key)]
    assert changes == [("1", said["KSMC"]), ("2", "二"), ("2", "三"), ("3", "三"), ("1", "四")]


def test_a_rejected_record_shows_its_findings_and_goes_as_new(kept: Registry, samples: Samples) -> None:
    """The regulator never accepted it, so there is nothing to modify."""
    record = added(kept, samples)
    settled(kept, "department", record, outcome="rejected")

    rejected = found(kept, "department", "KSBM", record.values["KSBM"])
    assert (rejected.state, rejected.exists) == (State.REJECTED, False)
    (told,) = kept.findings("department", [rejected], "en")
    assert (told["row_id"], told["code"], told["dataset"]) == (record.row_id, "V09", "department")
    kept.save(kept.form_plan("department", rejected.values, row_id=rejected.row_id), actor="test")
    assert [row["cxbz"] for row in rows(kept, "department", "ksbm", record.values["KSBM"])] == ["1", "1"]


def test_a_row_on_its_way_is_told_and_modified(kept: Registry, samples: Samples) -> None:
    """It was sent and nobody has answered yet: what comes behind it is a modification."""
    record = added(kept, samples)
    settled(kept, "department", record, state="sealed", live=False)

    sent = found(kept, "department", "KSBM", record.values["KSBM"])
    assert (sent.state, sent.is_live, sent.exists) == (State.SENT, False, True)


def test_a_record_that_another_destination_holds_is_modified(kept: Registry, samples: Samples) -> None:
    """A new record would be refused there; here the modification goes as new by itself."""
    record = added(kept, samples)
    settled(kept, "department", record, outcome="rejected")
    with connect(kept._dsn, application="test") as session:
        lanes.register(session, "elsewhere", kept.destination.regulator, {})
        (lane,) = [
            each
            for each in lanes.lanes_of(session, "elsewhere", kept.destination.regulator)
            if each.dataset == "department"
        ]
        dataset = kept.destination.regulator.dataset("department")
        changes = records._changes(records._newest(session, kept.destination, dataset), dataset, kept.destination)
        mine = changes.filter(changes["row_id"] == record.row_id).select("key_hash", "key_check", "row_id")
        settle_states(session, lane.lane_id, mine.with_columns(pl.lit(value=True).alias("live")))
        session.commit()

    rejected = found(kept, "department", "KSBM", record.values["KSBM"])
    assert (rejected.state, rejected.is_live, rejected.exists) == (State.REJECTED, False, True)


def test_what_has_not_changed_is_not_saved_again(kept: Registry, samples: Samples) -> None:
    """To open a form and save it is no modification."""
    record = added(kept, samples)
    plan = kept.form_plan("department", dict(record.values), row_id=record.row_id)
    kept.save(plan, actor="test")

    assert (plan.changes, plan.counts()["department"]["unchanged"]) == (0, 1)
    assert len(rows(kept, "department", "ksbm", record.values["KSBM"])) == 1


def test_a_finding_that_rejects_forbids_saving(kept: Registry, samples: Samples) -> None:
    """Every field with its reason, before anything is saved."""
    said = samples["department"] | {"KSBM": code(), "KSMC": None, "BZKSDM": "9999", "YBJDM": "123456789"}
    plan = kept.form_plan("department", said, row_id=None)

    assert [(each.field, each.code, each.severity.value) for each in plan.remarks] == [
        ("KSMC", "V01", "error"),
        ("YBJDM", "V02", "error"),
        ("BZKSDM", "V03", "error"),
    ]
    with pytest.raises(SenderError):
        kept.save(plan, actor="test")
    assert rows(kept, "department", "ksbm", str(said["KSBM"])) == []


def test_a_new_record_takes_nobodys_place(kept: Registry, samples: Samples) -> None:
    """A number that is taken is told, and so is a record that somebody changed meanwhile."""
    record = added(kept, samples)
    said = dict(record.values)
    taken = kept.form_plan("department", said, row_id=None)
    opened = kept.form_plan("department", said | {"KSMC": "甲"}, row_id=record.row_id)
    kept.save(kept.form_plan("department", said | {"KSMC": "乙"}, row_id=record.row_id), actor="test")

    assert [each.code for each in taken.remarks] == ["record-exists"]
    with pytest.raises(SenderError):
        kept.save(opened, actor="test")
    late = kept.form_plan("department", said | {"KSMC": "甲"}, row_id=record.row_id)
    assert [each.code for each in late.remarks] == ["record-changed"]
    assert [row["ksmc"] for row in rows(kept, "department", "ksbm", said["KSBM"])] == [said["KSMC"], "乙"]


def test_a_photo_is_kept_with_its_row(kept: Registry, samples: Samples) -> None:
    """Until then nothing is written; afterwards the gateway finds it under the path in the record."""
    picture = kept.album.picture(drawn(colour="navy"))
    said = samples["staff"] | {"YHRYGH": code(), "GRZPCFDZ": picture.path}
    missing = kept.form_plan("staff", said, row_id=None)
    assert ("GRZPCFDZ", "V41.1") in [(each.field, each.code) for each in missing.remarks]

    plan = kept.form_plan("staff", said, row_id=None, pictures=[picture])
    assert plan.errors == 0
    assert not kept._paths.resolve(picture.path).exists()
    kept.save(plan, actor="test")

    assert kept._paths.resolve(picture.path).read_bytes() == picture.content
    again = kept.form_plan("staff", said, row_id=found(kept, "staff", "YHRYGH", str(said["YHRYGH"])).row_id)
    assert again.errors == 0


def test_a_photo_is_encrypted_where_a_key_file_is_set(
    kept: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forms show it, and batches carry what was put in; without the key nobody sees it."""
    keyfile.make(tmp_path / "key", now=clock.now())
    monkeypatch.setenv("QIANZHI_GATEWAY__ENCRYPTION__KEY_FILE", str(tmp_path / "key"))
    settings = load_settings(kept.home)
    locked = registry(kept.home, settings)
    photo = locked.album.picture(drawn(colour="plum"))
    locked.album.keep(photo)
    assert images.content_of(photo.path, assembly.workplace(kept.home, settings).paths) == photo.content
    assert [each.thumbnail(photo.path) is None for each in (locked, kept)] == [False, True]


def test_records_of_others_and_without_a_key_are_not_ours_to_keep(kept: Registry, samples: Samples) -> None:
    """Hospital systems may put anything into the table."""
    before = kept.records("contacts")
    with psycopg.connect(kept._sender_dsn) as session:
        session.execute("INSERT INTO contacts (jgdm, bm) VALUES ('another', 'a'), (%s, ' ')", (INSTITUTION,))
        session.execute("INSERT INTO contacts (jgdm, bm, cxbz) VALUES (%s, ' 财务处 ', '?')", (f" {INSTITUTION} ",))

    (record,) = [each for each in kept.records("contacts") if each not in before]
    assert (record.values["BM"], record.state, record.exists) == (" 财务处 ", State.WAITING, False)


def test_a_workbook_is_saved_whole_or_not_at_all(kept: Registry, samples: Samples) -> None:
    """One bad cell, and nothing of it is saved; corrected, only what changed is inserted."""
    before, fresh, photo = added(kept, samples), code(), drawn(colour="olive")
    content = kept.template(["department", "staff"], filled=True)
    department, staff = kept.forms["department"].title, kept.forms["staff"].title
    at = 2 + [each.row_id for each in kept.records("department") if each.exists].index(before.row_id)
    member = {**samples["staff"], "YHRYGH": fresh, "GRZPCFDZ": "照片.jpg", "XB": "1 男性"}
    member = {name: value for name, value in member.items() if name in [e.name for e in kept.forms["staff"].inputs]}
    content = books.put(content, department, {"KSMC": "改名"}, first=at)
    bad = books.put(content, staff, member | {"XB": "男人"}, first=200)
    good = books.put(content, staff, member, first=200)
    files = attached([("照片.jpg", photo)])

    plan = kept.plan(bad, files)
    (error,) = [each for each in plan.remarks if each.severity.value == "error"]
    assert (error.place.sheet, error.place.row, error.place.column, error.field) == (staff, 200, "C", "XB")
    with pytest.raises(SenderError):
        kept.save(plan, actor="test")
    assert rows(kept, "staff", "yhrygh", fresh) == []
    assert len(rows(kept, "department", "ksbm", before.values["KSBM"])) == 1

    counts = kept.save(kept.plan(good, files), actor="test")
    assert (counts["staff"]["new"], counts["department"]["new"], counts["department"]["modify"]) == (1, 0, 1)
    assert [row["ksmc"] for row in rows(kept, "department", "ksbm", before.values["KSBM"])][1:] == ["改名"]
    assert Path(kept._paths.resolve(str(rows(kept, "staff", "yhrygh", fresh)[0]["grzpcfdz"]))).is_file()


def test_findings_go_through_the_workbook_as_people_do(kept: Registry) -> None:
    """Row by row and from left to right, sheets in their order; a cell is blamed once for one mistake."""
    department, staff = kept.forms["department"].title, kept.forms["staff"].title
    content = books.put(kept.template(["department", "staff"], filled=False), department, {"KSBM": code()}, first=3)
    bad = {"YHRYGH": code(), "XB": "男人", "GRZPCFDZ": "没有.jpg"}
    content = books.put(content, staff, bad, {"YHRYGH": code()}, first=2)

    found = kept.plan(content, attached([("没人用.jpg", drawn())]))

    places = [(each.place.sheet, each.place.row, len(each.place.column), each.place.column) for each in found.remarks]
    cells = [each for each in places if each[1] is not None]
    assert places[: len(cells)] == cells  # what no row names stands behind them
    assert [sheet for sheet, _ in itertools.groupby(cells, key=lambda each: each[0])] == [department, staff]
    assert cells == sorted(cells, key=lambda each: (each[0] != department, *each[1:]))
    assert [each.code for each in found.remarks if (each.field, each.place.row) == ("GRZPCFDZ", 2)] == [
        "picture-missing"
    ]


def test_what_is_downloaded_and_uploaded_inserts_nothing(kept: Registry, samples: Samples) -> None:
    """The whole way through the database and Excel."""
    added(kept, samples, KSMC="=1+1", KSJS="一\n二")
    plan = kept.plan(kept.template(list(kept.forms), filled=True), attached([]))

    assert plan.remarks == []
    counts = _count(kept)
    kept.save(plan, actor="test")
    assert _count(kept) == counts
    assert {name: each["unchanged"] for name, each in plan.counts().items()}["department"] > 0


def test_a_preview_that_somebody_overtook_is_not_saved(kept: Registry, samples: Samples) -> None:
    """What it would have overwritten nobody has looked at."""
    record = added(kept, samples)
    plan = _plan_of_one(kept, record)
    added(kept, samples)

    with pytest.raises(SenderError):
        kept.save(plan, actor="test")


def test_of_two_people_who_save_at_once_one_is_told(
    kept: Registry, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw the same; the second comes while the first one's rows are about to be inserted."""
    record = added(kept, samples)
    first, second = _plan_of_one(kept, record), _plan_of_one(kept, record)
    insert, others = saving.insert, ThreadPoolExecutor(1)
    told: list[Future[object]] = []

    def overtaken(*given: Any) -> None:
        monkeypatch.setattr(saving, "insert", insert)
        told.append(others.submit(kept.save, second, actor="second"))
        wait(told, timeout=1.0)
        insert(*given)

    monkeypatch.setattr(saving, "insert", overtaken)
    with others:
        kept.save(first, actor="first")
    with pytest.raises(SenderError, match="changed meanwhile"):
        told[0].result()
    assert len(rows(kept, "department", "KSBM", str(record.values["KSBM"]))) == 2


def test_what_the_database_refuses_is_told_without_values(kept: Registry, samples: Samples) -> None:
    """A sign that no text of PostgreSQL holds is refused, and no value stands in the error."""
    said = samples["department"] | {"KSBM": code(), "KSJS": "秘密\0"}
    with pytest.raises(QianzhiError) as refused:
        kept.save(kept.form_plan("department", said, row_id=None), actor="test")

    assert "秘密" not in str(refused.value)


def _plan_of_one(kept: Registry, record: Record) -> Plan:
    said = dict(record.values) | {"KSMC": "改名"}
    return kept.form_plan("department", said, row_id=record.row_id)


def _count(kept: Registry) -> list[tuple[object, ...]]:
    with psycopg.connect(kept._dsn) as session:
        return [
            session.execute(f"SELECT count(*), max(id) FROM guangdong.{name}".encode()).fetchone() or ()
            for name in kept.forms
        ]


def test_forms_take_the_name_of_the_hospital_from_its_record(kept: Registry, samples: Samples) -> None:
    """What is answered goes over it."""
    statement, known = paperwork("guangdong").form("statement"), facts(kept.home, load_settings(kept.home), "guangdong")
    known["health"] = lambda _: ""
    assert fill(statement, known, {}).values["institution_name"] == ""
    said = samples["institution"] | {"JGMC": "演示互联网医院"}
    kept.save(kept.form_plan("institution", said, row_id=None), actor="test")
    assert fill(statement, known, {}).heading == "演示互联网医院前置机部署完成说明"
    assert fill(statement, known, {"institution_name": "另一医院"}).heading == "另一医院前置机部署完成说明"
