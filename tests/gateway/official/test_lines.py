"""What each line of an export is understood to say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest
from tests.gateway.conftest import REGULATOR

from qianzhi.checks.keys import key_check, key_hash
from qianzhi.errors import ConfigurationError, SenderError, SpecError
from qianzhi.gateway.official import lines, profile
from qianzhi.gateway.official.lines import Reading, lines_of
from qianzhi.runtime import clock
from qianzhi.runtime.workbooks import Table

if TYPE_CHECKING:
    from pathlib import Path

INSTITUTION = "440000000000000001"
NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)
PROFILE = profile.load(REGULATOR, None)


def read(
    *rows: tuple[str, ...], name: str = "", dataset: str | None = None, told_at: datetime | None = None
) -> pl.DataFrame:
    """Return the lines of a table."""
    return lines_of([Table(name, rows)], Reading(REGULATOR, PROFILE, INSTITUTION, dataset, told_at, NOW))


def us(*local: int) -> int:
    """Return a wall time of Asia/Shanghai as microseconds since 1970."""
    return int(datetime(*local, tzinfo=clock.LOCAL).timestamp() * 1_000_000)  # type: ignore[misc,arg-type]  # its parts


def test_a_line_names_its_record_by_titles_and_says_what_became_of_it() -> None:
    """Headings may be titles; the institution is ours where the file does not say it."""
    found = read(
        ("上传日志导出", "", "", "", "", "", ""),
        ("数据集", "卡类型", "卡 号", "处理时间", "处理结果", "错误字段", "未成功原因"),
        ("个人基本信息", "9", "K1", "2026-11-20 03:12:00", "成功", "", ""),
        ("person", "9", "K2", "2026/11/20 03:13", "未成功", "性别代码", "XBDM 不在值域内"),
    )
    assert found["trouble"].to_list() == [None, None]
    assert found["accepted"].to_list() == [True, False]
    assert found["told_us"].to_list() == [us(2026, 11, 20, 3, 12), us(2026, 11, 20, 3, 13)]
    assert found.select("line", "dataset", "field", "class", "reason").row(1) == (
        4,
        "person",
        "XBDM",
        "E04",
        "XBDM 不在值域内",
    )
    key = pl.DataFrame({"JGDM": [INSTITUTION], "KLX": ["9"], "KH": ["K1"]})
    names = ["JGDM", "KLX", "KH"]
    assert found.select("key_hash", "key_check").row(0) == key.select(key_hash(names), key_check=key_check(names)).row(
        0
    )


@pytest.mark.parametrize(
    ("cells", "told_us"),
    [
        ({"处理时间": "2026-11-20 03:12:30"}, us(2026, 11, 20, 3, 12, 30)),
        ({"处理时间": "2026-11-20T03:12:30"}, us(2026, 11, 20, 3, 12, 30)),
        ({"日期": "2026-11-20", "时间": "03:12:30"}, us(2026, 11, 20, 3, 12, 30)),
        ({"日期": "2026/11/20", "时间": "03:12"}, us(2026, 11, 20, 3, 12)),
        ({"时间": "2026-11-20 03:12:30"}, us(2026, 11, 20, 3, 12, 30)),
        ({"处理时间": "20261120"}, us(2026, 11, 20, 3)),
        ({"日期": "2026年11月20日"}, us(2026, 11, 20, 3)),
        ({"日期": "yesterday"}, us(2026, 11, 20, 1)),
        ({}, us(2026, 11, 20, 1)),
    ],
)
def test_a_time_is_read_as_consoles_write_it(cells: dict[str, str], told_us: int) -> None:
    """A day without an hour means the hour of the regulator's cycle; without either the export's time counts."""
    # A column called by the field's name goes before one that has its title.
    told_at = datetime(2026, 11, 20, 1, tzinfo=clock.LOCAL)
    found = read(
        ("部门", "BM", "结果", *cells), ("", "b", "成功", *cells.values()), dataset="contacts", told_at=told_at
    )
    assert (found["told_us"].item(), found["trouble"].item()) == (told_us, None)


@pytest.mark.parametrize(
    ("cells", "trouble"),
    [
        (("contacts", "", "2026-11-20 03:00:00", "成功", ""), lines.NO_KEY),
        (("nothing", "b", "2026-11-20 03:00:00", "成功", ""), lines.NO_DATASET),
        (("", "b", "2026-11-20 03:00:00", "成功", ""), lines.NO_DATASET),
        (("contacts", "b", "", "成功", ""), lines.NO_TIME),
        (("contacts", "b", "2026-11-20 14:00:00", "成功", ""), lines.AHEAD),
        (("contacts", "b", "2026-11-20 03:00:00", "处理中", ""), lines.NO_VERDICT),
        (("contacts", "b", "2026-11-20 03:00:00", "处理中", "why"), lines.NO_VERDICT),
        (("contacts", "b", "2026-11-20 03:00:00", "", ""), lines.NO_VERDICT),
        (("contacts", "b", "2026-11-20 03:00:00", "", "why"), None),
    ],
)
def test_a_line_that_can_settle_nothing_says_why(cells: tuple[str, ...], trouble: str | None) -> None:
    """Nothing is guessed: no record, no dataset, no time, no result."""
    found = read(("数据集", "BM", "处理时间", "结果", "原因"), cells)
    assert found["trouble"].item() == trouble


def test_a_sheet_may_say_the_dataset() -> None:
    """Consoles export one sheet a dataset; so may the command say it."""
    head, row = ("BM", "结果", "处理时间"), ("b", "成功", "2026-11-20 03:00:00")
    assert read(head, row, name="行政管理科室通讯表")["dataset"].item() == "contacts"
    assert read(head, row, dataset="contacts")["dataset"].item() == "contacts"


def test_a_number_that_lost_digits_names_nobody() -> None:
    """Excel keeps fifteen digits: an identity number typed as a number is another one."""
    table = Table(
        "person",
        (("KLX", "KH", "结果", "处理时间"), ("9", "440101199001011230", "成功", "2026-11-20 03:00:00")),
        frozenset({(1, 1)}),
    )
    found = lines_of([table], Reading(REGULATOR, PROFILE, INSTITUTION, None, None, NOW))
    assert found["trouble"].item() == lines.LOST_DIGITS


def test_the_number_over_there_and_the_time_of_the_event_are_read() -> None:
    """They tell versions of a record apart."""
    found = read(
        ("ID", "BM", "SJSCSJ", "结果", "处理时间"),
        ("17", "b", "2026-11-19 10:00:00", "成功", "2026-11-20 03:00:00"),
        ("x", "b", "", "成功", "2026-11-20 03:00:00"),
        dataset="contacts",
    )
    assert found["remote_id"].to_list() == [17, None]
    assert found["occurred_us"].to_list() == [int(datetime(2026, 11, 19, 10, tzinfo=UTC).timestamp() * 1_000_000), None]


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (("a", "b"), ("1", "2")),
        (("BM", "联系电话"), ("b", "020")),
        (("结果", "原因"), ("成功", "")),
        (("JGDM", "XM", "结果"), ("44", "x", "成功")),
    ],
)
def test_a_table_without_records_and_results_is_refused(rows: tuple[tuple[str, ...], ...]) -> None:
    """A file of something else settles nothing; a heading of the institution alone names no record of others."""
    if rows and "JGDM" in rows[0]:
        found = read(*rows)
        assert found["trouble"].to_list() == [lines.NO_DATASET]
        return
    with pytest.raises(SenderError, match="no headings"):
        read(*rows)


def test_an_export_of_nothing_has_no_lines() -> None:
    """A night without failures is no mistake."""
    assert read(("BM", "结果", "处理时间"), dataset="contacts").is_empty()


def test_a_site_may_bring_a_profile_of_its_own(tmp_path: Path) -> None:
    """What the real console writes is put into a file, and no code changes."""
    file = tmp_path / "console.toml"
    file.write_text(
        'status = "found"\nsource = "the console of 2026"\n'
        '[columns]\nverdict = ["Ergebnis"]\ntold_at = ["Zeit"]\n[words]\naccepted = ["gut"]\nfailed = ["schlecht"]\n'
        '[fields]\nBM = ["Abteilung"]\n',
        encoding="utf-8",
    )
    own = profile.load(REGULATOR, file)
    table = Table("contacts", (("abteilung", "ERGEBNIS", "Zeit"), ("b", "gut", "2026-11-20 03:00:00")))
    found = lines_of([table], Reading(REGULATOR, own, INSTITUTION, None, None, NOW))
    assert found.select("accepted", "trouble").row(0) == (True, None)


@pytest.mark.parametrize(
    "text",
    [
        "status = 3",
        'status = "found"\nsource = "x"\n[columns]\nverdct = ["a"]\n[words]\naccepted = ["a"]\nfailed = ["b"]',
        'status = "found"\nsource = "x"\n[columns]\n[words]\naccepted = "a"\nfailed = ["b"]',
        'status = "found"\nsource = "x"\n[columns]\n[words]\naccepted = ["a"]\nfailed = ["b"]\n[datasets]\nno = ["x"]',
    ],
)
def test_a_wrong_profile_is_refused_by_name(text: str) -> None:
    """The error names the file and what is wrong in it."""
    with pytest.raises(SpecError, match=r"console\.toml"):
        profile.parse(text.encode(), REGULATOR, name="console.toml")


def test_a_profile_that_is_not_there_is_a_matter_of_installing(tmp_path: Path) -> None:
    """It is named as a setting."""
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        profile.load(REGULATOR, tmp_path / "nothing.toml")
    assert "results_profile" in caught.value.remedy
