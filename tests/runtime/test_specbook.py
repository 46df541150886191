"""The specification as a workbook says what the files say."""

from __future__ import annotations

from qianzhi.regulators import regulator
from qianzhi.runtime import workbooks
from qianzhi.runtime.specbook import workbook

GUANGDONG = regulator("guangdong")


def test_the_workbook_holds_the_whole_edition() -> None:
    """Every dataset with every field, every rule, every code; edition and digest on the first sheet."""
    tables = {table.name: table.rows for table in workbooks.read(workbook(GUANGDONG))}
    cover = {row[0]: row[1] for row in tables["说明"]}
    assert (cover["规范版本"], cover["规则集摘要（SHA-256）"]) == (GUANGDONG.edition, GUANGDONG.digest)
    assert [row[1] for row in tables["数据集"][1:]] == [dataset.name for dataset in GUANGDONG.datasets]
    for dataset in GUANGDONG.datasets:
        assert [row[1] for row in tables[dataset.name][1:]] == [field.name for field in dataset.fields]
    assert len(tables["值域代码"]) - 1 == sum(len(system.codes) for system in GUANGDONG.codes.values())
    assert [row[0] for row in tables["值域目录"][1:]] == list(GUANGDONG.codes)
    wanted = sum(len(dataset.rules) + len(dataset.references) for dataset in GUANGDONG.datasets)
    assert len(tables["校验规则"]) - 1 == wanted


def test_a_field_stands_as_it_is_asked_for() -> None:
    """Name, title, format, required, key, code system."""
    tables = {table.name: table.rows for table in workbooks.read(workbook(GUANGDONG))}
    rows = {row[1]: row for row in tables["person"]}
    assert rows["字段名"][2:8] == ("数据元名称", "表示格式", "数据库类型", "必填", "主键", "值域")
    field = GUANGDONG.dataset("person").field("XBDM")
    assert rows["XBDM"][2:4] == (field.title, "AN1")
    assert (rows["XBDM"][5], rows["XBDM"][7]) == ("是", "GB/T 2261.1")
    assert rows["KH"][6] == "是"


def test_codes_keep_their_zeros() -> None:
    """A code is a text, also for Excel."""
    tables = {table.name: table.rows for table in workbooks.read(workbook(GUANGDONG))}
    assert ("GB/T 3304", "01", "汉族") in {row[:3] for row in tables["值域代码"]}
