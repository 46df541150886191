"""Results of the official console settle delivered rows, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults import rows
from tests.gateway.conftest import REGULATOR
from tests.gateway.official.test_delivery import cycle, stage, told

from qianzhi.db.server import connect
from qianzhi.errors import ConfigurationError, RetryableError
from qianzhi.gateway import report
from qianzhi.gateway.official import profile, results
from qianzhi.gateway.official.lines import Reading
from qianzhi.gateway.official.matching import CONTRADICTS, NOT_DELIVERED
from qianzhi.gateway.official.results import Imported, settle_results
from qianzhi.ledger import lanes
from qianzhi.runtime import clock, workbooks
from qianzhi.runtime.workbooks import Column, Sheet

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from tests.gateway.official.machine import Official

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.synthetic import Played

HEAD = ("数据集", "BM", "SJSCSJ", "处理时间", "处理结果", "错误代码", "错误字段", "错误值", "未成功原因")


def exported(*lines: Sequence[str], head: Sequence[str] = HEAD) -> bytes:
    """Return a CSV in GBK, as a console of Windows writes it."""
    return "\r\n".join(",".join(row) for row in (head, *lines)).encode("gbk")


def line(
    office: str, result: str, *, ago: timedelta = timedelta(0), occurred: str = "", why: Sequence[str] = ("",) * 4
) -> list[str]:
    """Return a line on a row of contacts."""
    at = clock.local_now() - ago
    return ["行政管理科室通讯表", office, occurred, f"{at:%Y-%m-%d %H:%M:%S.%f}", result, *why]


def take_in(
    workplace: Workplace, front: Destination, content: bytes, *, is_rehearsal: bool = False, **more: Any
) -> Imported:
    """Import an export."""
    reading = Reading(
        REGULATOR,
        profile.load(REGULATOR, None),
        front.institution,
        **{"dataset": None, "told_at": None, **more},
        now=clock.now(),
    )
    with connect(workplace.dsn, application="test") as session:
        return settle_results(session, front, content, reading, is_rehearsal=is_rehearsal)


def test_results_settle_rows_as_the_console_says(
    workplace: Workplace, front: Destination, ask: psycopg.Connection
) -> None:
    """Accepted is said when the console has said it, failed with its code, field and reason; the rest waits."""
    ids = stage(ask, "contacts", rows.contacts(["a", "b", "c"]))
    cycle(workplace, front)
    bad = ("1003", "联系电话", "020-00000000", "格式错误")
    done = take_in(workplace, front, exported(line("a", "成功"), line("b", "未成功", why=bad), line("x", "成功")))
    assert (done.accepted_count, done.failed_count, done.unmatched_count) == (1, 1, 1)
    assert [each["why"] for each in done.unmatched] == [NOT_DELIVERED]
    seen = told(ask, front)
    assert (seen.accepted, seen.rejected, seen.delivered, seen.is_accounted_for) == (1, 1, 1, True)
    (found,) = report.findings_of(ask, front)
    assert (found["row_id"], found["code"], found["class"], found["field"]) == (ids[1], "R01", "E03", "LXDH")
    assert (found["value"], found["severity"]) == ("020-00000000", "error")
    assert "1003 格式错误" in found["reason"]
    assert found["remedy"]
    assert ask.execute("SELECT DISTINCT origin::text FROM qianzhi.findings").fetchall() == [("official",)]


def test_the_same_file_again_changes_nothing(workplace: Workplace, front: Destination, ask: psycopg.Connection) -> None:
    """Neither counts nor findings; a rehearsal changes nothing either, and tells what would be."""
    stage(ask, "contacts", rows.contacts(["a", "b"]))
    cycle(workplace, front)
    content = exported(line("a", "成功"), line("b", "失败", why=("", "", "", "重复")))
    rehearsal = take_in(workplace, front, content, is_rehearsal=True)
    assert (rehearsal.accepted_count, rehearsal.failed_count, told(ask, front).delivered) == (1, 1, 2)
    assert report.findings_of(ask, front) == []
    first = take_in(workplace, front, content)
    before = told(ask, front), report.findings_of(ask, front), _ledger(ask)
    again = take_in(workplace, front, content)
    assert (told(ask, front), report.findings_of(ask, front), _ledger(ask)) == before
    assert (first.accepted_count, first.failed_count) == (1, 1)
    assert (again.accepted_count, again.failed_count, again.known_count) == (0, 0, 2)
    assert ask.execute("SELECT state::text FROM qianzhi.batches").fetchall() == [("settled",)]
    assert ask.execute("SELECT count(*) FROM qianzhi.result_imports").fetchone() == (1,)


def test_a_later_export_that_says_otherwise_is_told_and_not_believed(
    workplace: Workplace, front: Destination, ask: psycopg.Connection
) -> None:
    """The first word on a row stands; somebody must look."""
    stage(ask, "contacts", rows.contacts(["a"]))
    cycle(workplace, front)
    take_in(workplace, front, exported(line("a", "成功")))
    done = take_in(workplace, front, exported(line("a", "失败", why=("", "", "", "x"))))
    assert [each["why"] for each in done.unmatched] == [CONTRADICTS]
    assert told(ask, front).accepted == 1


def test_a_failed_row_is_corrected_by_a_new_one(
    workplace: Workplace, front: Destination, official: Official, ask: psycopg.Connection
) -> None:
    """Its record is not there any more for us: a modification goes as new. An old export is not held against it."""
    stage(ask, "contacts", rows.contacts(["a"]))
    cycle(workplace, front)
    failing = exported(line("a", "未成功", why=("", "", "", "格式错误")))
    take_in(workplace, front, failing)
    assert [found["code"] for found in report.findings_of(ask, front, open_only=True)] == ["R01"]
    stage(ask, "contacts", rows.contacts(["a"], CXBZ=rows.MODIFY, SJSCSJ=rows.moment(minutes=1)))
    cycle(workplace, front)
    assert official.ask("SELECT cxbz FROM contacts ORDER BY id") == [(rows.NEW,), (rows.NEW,)]
    assert "R01" not in {found["code"] for found in report.findings_of(ask, front, open_only=True)}
    assert take_in(workplace, front, failing).known_count == 1
    assert (told(ask, front).delivered, told(ask, front).rejected) == (1, 1)
    take_in(workplace, front, exported(line("a", "成功")))
    assert (told(ask, front).accepted, told(ask, front).rejected, told(ask, front).delivered) == (1, 1, 0)


def test_a_version_that_failed_leaves_the_one_before_in_force(
    workplace: Workplace, front: Destination, official: Official, ask: psycopg.Connection
) -> None:
    """The record is still there over there: another modification stays one."""
    for minutes, change in ((50, rows.NEW), (40, rows.MODIFY)):
        stage(ask, "contacts", rows.contacts(["a"], CXBZ=change, SJSCSJ=rows.moment(minutes=minutes)))
        cycle(workplace, front)
    take_in(workplace, front, exported(line("a", "未成功", why=("", "", "", "x"))))
    stage(ask, "contacts", rows.contacts(["a"], CXBZ=rows.MODIFY, SJSCSJ=rows.moment(minutes=30)))
    cycle(workplace, front)
    assert [each for (each,) in official.ask("SELECT cxbz FROM contacts ORDER BY id")] == [
        rows.NEW,
        rows.MODIFY,
        rows.MODIFY,
    ]


def test_children_of_a_failed_parent_wait_for_its_correction(
    workplace: Workplace, front: Destination, official: Official, ask: psycopg.Connection, played: Played
) -> None:
    """As the document asks, they are held until the parent is there again."""
    card = rows.label()
    person = rows.person(played, card)
    stage(ask, "person", person)
    cycle(workplace, front)
    at = f"{clock.local_now():%Y-%m-%d %H:%M:%S.%f}"
    failed = exported(
        (person["KLX"][0], card, at, "失败", "性别代码"), head=("卡类型", "卡号", "处理时间", "结果", "错误字段")
    )
    assert take_in(workplace, front, failed, dataset="person").failed_count == 1
    stage(ask, "treatment_record", rows.visit(played, rows.label(), KH=card, KLX=person["KLX"][0]))
    cycle(workplace, front)
    assert (told(ask, front, "treatment_record").held, official.count("treatment_record")) == (1, 0)
    stage(ask, "person", rows.person(played, card))
    cycle(workplace, front)
    assert (told(ask, front, "treatment_record").held, official.count("treatment_record")) == (0, 1)


def test_several_reasons_of_a_row_are_all_told(
    workplace: Workplace, front: Destination, ask: psycopg.Connection
) -> None:
    """A workbook with a sheet a dataset does as well as a text."""
    stage(ask, "contacts", rows.contacts(["a"]))
    cycle(workplace, front)
    cells = [line("a", "未成功", why=("", name, "", "不能为空"))[1:] for name in ("BM", "LXDH", "LXDH")]
    content = workbooks.write([Sheet("行政管理科室通讯表", [Column(each) for each in HEAD[1:]], cells)])
    assert take_in(workplace, front, content).failed_count == 1
    assert sorted(found["field"] for found in report.findings_of(ask, front)) == ["BM", "LXDH"]
    assert {found["class"] for found in report.findings_of(ask, front)} == {"E01"}


def test_a_destination_that_was_never_set_up_is_a_matter_of_installing(
    workplace: Workplace, front: Destination
) -> None:
    """Its lanes are made by `gateway init`."""
    with pytest.raises(ConfigurationError, match="does not know") as caught:
        take_in(workplace, replace(front, name="other"), exported(line("a", "成功")))
    assert "gateway init" in caught.value.remedy


def test_an_import_waits_for_a_cycle_and_does_not_run_over_it(
    workplace: Workplace, front: Destination, ask: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both write the states of keys: one of them at a time."""
    monkeypatch.setattr(results, "PATIENCE_SECONDS", 0.2)
    stage(ask, "contacts", rows.contacts(["a"]))
    cycle(workplace, front)
    with connect(workplace.dsn, application="test") as other:
        lane = next(each for each in lanes.lanes_of(other, front.name, REGULATOR) if each.dataset == "contacts")
        with lanes.locked(other, lane), pytest.raises(RetryableError, match="contacts"):
            take_in(workplace, front, exported(line("a", "成功")))
    assert told(ask, front).delivered == 1


def _ledger(ask: psycopg.Connection) -> list[Any]:
    return [
        ask.execute("SELECT * FROM qianzhi.deliveries ORDER BY row_id").fetchall(),
        ask.execute("SELECT * FROM qianzhi.batches").fetchall(),
        ask.execute("SELECT * FROM qianzhi.key_states").fetchall(),
        ask.execute("SELECT * FROM qianzhi.outcomes").fetchall(),
    ]
