"""The rules evidence_served(FIELD): what rows promise, against what is registered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import psycopg
from psycopg import sql
from tests.gateway.conftest import REGULATOR, Answerer
from tests.gateway.evidence.conftest import GUANGDONG

from qianzhi.db.server import Session, connect
from qianzhi.gateway import report, staging
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.evidence.pledges import Pledges
from qianzhi.gateway.preview import preview
from qianzhi.ledger import evidence
from qianzhi.ledger.batches import CycleKind
from qianzhi.ledger.evidence import Entry
from qianzhi.runtime import clock

VISITS = REGULATOR.dataset("treatment_record")
PLEDGES = Pledges("guangdong", GUANGDONG.ASKED)
FLAGS = ("DZCFWJCFDZ", "YSDSPWJCFDZ", "HZDSPWJCFDZ", "JLYPCFDZ")


def visits(*rows: dict[str, Any]) -> pl.DataFrame:
    """Raw rows that hold what is given."""
    return pl.DataFrame([{"row_id": at, **row} for at, row in enumerate(rows, 1)], schema=staging.raw_schema(VISITS))


def broken(session: Session, raw: pl.DataFrame) -> list[tuple[int, str, str, str, str]]:
    """Row, code, class, field and severity of each finding."""
    found = PLEDGES.broken(session, raw, VISITS, "guangdong")
    return found.select("row_id", "code", "class", "field", "severity").rows()


def register(session: Session, record: str, *kinds: str) -> None:
    """Let there be evidence of a record."""
    for kind in kinds:
        entry = Entry(kind, record, 0, "file", f"/media/{record}.{kind}", "video/mp4", (), 1, 1)
        evidence.register(session, "guangdong", entry, now=clock.now())


def test_a_promise_without_a_file_is_a_warning(workplace: Workplace) -> None:
    """One for each of the four fields; F, an empty field and another sign promise nothing."""
    raw = visits(
        {"MZH": "1", **dict.fromkeys(FLAGS, "T")},
        {"MZH": "2", **dict.fromkeys(FLAGS, "F")},
        {"MZH": "3"},
        {"MZH": "4", **dict.fromkeys(FLAGS, "Y")},
        {"MZH": " 5 ", "JLYPCFDZ": " T "},
        {"MZH": None, "JLYPCFDZ": "T"},
        {"MZH": "1", "CXBZ": "3", **dict.fromkeys(FLAGS, "T")},
    )
    with connect(workplace.dsn, application="test") as session:
        register(session, "1", "prescription", "patient_video")
        register(session, "5", "audio")

        assert broken(session, raw) == [
            (1, "V42.2", "E08", "YSDSPWJCFDZ", "warning"),
            (1, "V42.4", "E08", "JLYPCFDZ", "warning"),
            (6, "V42.4", "E08", "JLYPCFDZ", "warning"),
        ]


def test_a_file_that_was_removed_is_promised_in_vain(workplace: Workplace) -> None:
    """The register counts as it is now."""
    with connect(workplace.dsn, application="test") as session:
        register(session, "1", "audio")
        found = evidence.listed(session, "guangdong", record="1")
        evidence.remove(session, [found[0]["media_id"]], now=clock.now())

        assert [row[1] for row in broken(session, visits({"MZH": "1", "JLYPCFDZ": "T"}))] == ["V42.4"]


def test_nothing_is_asked_where_nothing_is_promised(workplace: Workplace) -> None:
    """Neither of other datasets and regulators, nor of rows without a T: the cycle does not pay for it."""

    class Silent:
        def execute(self, *_: object) -> None:
            raise AssertionError("the ledger was asked")

        cursor = execute

    silent: Any = Silent()
    raw = visits({"MZH": "1", "JLYPCFDZ": "F"})

    assert PLEDGES.broken(silent, raw, VISITS, "guangdong").is_empty()
    assert PLEDGES.broken(silent, visits(), VISITS, "guangdong").is_empty()
    assert PLEDGES.broken(silent, visits({"MZH": "1", "JLYPCFDZ": "T"}), VISITS, "other").is_empty()
    assert PLEDGES.broken(silent, raw, REGULATOR.dataset("person"), "guangdong").is_empty()


def stage_visit(workplace: Workplace) -> None:
    """Stage a visit that promises a video."""
    with psycopg.connect(workplace.dsn, autocommit=True) as session:
        statement = sql.SQL("INSERT INTO guangdong.treatment_record (jgdm, mzh, ysdspwjcfdz) VALUES ('1', '9', 'T')")
        session.execute(statement)


def test_check_and_cycle_warn_of_it_while_evidence_is_on(
    workplace: Workplace, destination: Destination, answerer: Answerer
) -> None:
    """The preview tells it, the cycle puts it on record and sends the row all the same; off, neither says a word."""
    stage_visit(workplace)
    on = replace(workplace, pledges=PLEDGES)

    with connect(workplace.dsn, application="test", autocommit=True) as session:
        for site, wanted in ((workplace, set()), (on, {"V42.2"})):
            seen = {name: frame for name, _, frame in preview(session, site, destination, as_of=clock.local_now())}
            codes = set(seen["treatment_record"]["code"].to_list())
            assert {code for code in codes if code.startswith("V42")} == wanted

    with Dispatcher(on, destination) as dispatcher:
        dispatcher.advance(CycleKind.MANUAL, clock.now())
    with psycopg.connect(workplace.dsn) as session:
        told = session.execute("SELECT field, severity FROM qianzhi.findings WHERE code = 'V42.2'").fetchall()
        found = report.findings_of(session, destination, dataset="treatment_record", language="en")
    assert told == [("YSDSPWJCFDZ", "warning")]
    reason = next(each["reason"] for each in found if each["code"] == "V42.2")
    assert "GetDoctorVedio" in reason
    assert answerer.rows == {"treatment_record": 1}
