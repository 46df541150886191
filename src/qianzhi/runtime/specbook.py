"""The interface specification of a regulator as an Excel workbook, made from its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.runtime import workbooks
from qianzhi.runtime.workbooks import Column, Sheet
from qianzhi.specs.ddl import published_type
from qianzhi.specs.model import Severity, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.runtime.workbooks import Value
    from qianzhi.specs.model import CodeSystem, Dataset, Field, Regulator

_STATUS: Final = {Status.FOUND: "有据", Status.PROPOSED: "拟定"}
_SEVERITY: Final = {Severity.ERROR: "错误（拒收）", Severity.WARNING: "警告"}
_YES: Final = "是"
_NO: Final = "否"
_WIDE: Final = 48


def workbook(regulator: Regulator) -> bytes:
    """
    Return the specification: what it is, the datasets, one sheet each with its fields, rules, code systems and codes.

    The same edition gives the same sheets; its rule set's digest stands on the first.
    """
    return workbooks.write(
        [
            _cover(regulator),
            _datasets(regulator),
            *(_fields(dataset) for dataset in regulator.datasets),
            _rules(regulator),
            _systems(regulator),
            _codes(regulator),
        ]
    )


def _cover(regulator: Regulator) -> Sheet:
    rows: list[tuple[Value, ...]] = [
        ("监管平台", regulator.name.zh),
        ("规范版本", regulator.edition),
        ("规则集摘要（SHA-256）", regulator.digest),
        ("数据推送截止时间", f"{regulator.schedule.cut_off:%H:%M}"),
        ("上传开始时间", f"{regulator.schedule.cycle:%H:%M}"),
        ("中间表用户", regulator.sender),
        ("中间表模式", regulator.key),
        ("状态说明", "有据：见于来源文件；拟定：正式文件到位前由本软件拟定"),
        *(("来源", source) for source in regulator.sources),
    ]
    return Sheet("说明", (Column("项目", 28), Column("内容", 80)), rows)


def _datasets(regulator: Regulator) -> Sheet:
    columns = ("序号", "数据集", "名称", "必须提供", "主键", "数据元数", "引用数据集", "来源")
    rows = [
        (
            number,
            dataset.name,
            dataset.title,
            _said(dataset.obliged),
            "、".join(dataset.key),
            len(dataset.fields),
            "、".join(sorted({reference.to for reference in dataset.references})),
            dataset.source,
        )
        for number, dataset in enumerate(regulator.datasets, start=1)
    ]
    return Sheet("数据集", [Column(name, 28 if name in {"数据集", "名称", "主键"} else 16) for name in columns], rows)


def _fields(dataset: Dataset) -> Sheet:
    columns = (
        Column("序号", 6),
        Column("字段名", 20),
        Column("数据元名称", 28),
        Column("表示格式", 12),
        Column("数据库类型", 18),
        Column("必填", 8),
        Column("主键", 8),
        Column("值域", 20),
        Column("状态", 8),
        Column("说明", _WIDE),
    )
    rows = [_field(number, field, dataset) for number, field in enumerate(dataset.fields, start=1)]
    return Sheet(dataset.name, columns, rows)


def _field(number: int, field: Field, dataset: Dataset) -> tuple[Value, ...]:
    marks = [mark for mark, said in (("个人信息", field.personal), ("图片全路径", field.image)) if said]
    return (
        number,
        field.name,
        field.title,
        field.format.notation,
        published_type(field.format),
        _said(field.required),
        _said(field.name in dataset.key),
        field.codes or "",
        _STATUS[field.status],
        "；".join([*marks, *filter(None, (field.note, field.source))]),
    )


def _rules(regulator: Regulator) -> Sheet:
    columns = (
        Column("数据集", 22),
        Column("规则", 10),
        Column("字段", 16),
        Column("内容", _WIDE),
        Column("级别", 14),
        Column("错误类别", 10),
        Column("处理办法", _WIDE),
        Column("状态", 8),
    )
    return Sheet("校验规则", columns, list(_rule_rows(regulator)))


def _rule_rows(regulator: Regulator) -> Iterator[tuple[Value, ...]]:
    for dataset in regulator.datasets:
        for rule in dataset.rules:
            said = (_SEVERITY[rule.severity], rule.error_class.value, rule.remedy.zh, _STATUS[rule.status])
            yield (dataset.name, rule.code, rule.field, rule.title.zh, *said)
        for reference in dataset.references:
            said = (_SEVERITY[reference.severity], "E06", reference.remedy.zh, _STATUS[reference.status])
            title = f"{reference.title}（引用 {reference.to}）"
            yield (dataset.name, reference.code, reference.blamed, title, *said)


def _systems(regulator: Regulator) -> Sheet:
    columns = (Column("值域", 24), Column("名称", 36), Column("代码数", 10), Column("状态", 8), Column("来源", _WIDE))
    rows = [_system(each) for each in regulator.codes.values()]
    return Sheet("值域目录", columns, rows)


def _system(system: CodeSystem) -> tuple[Value, ...]:
    count: Value = len(system.codes) if system.codes else f"按规则 {system.check}"
    return system.key, system.title, count, _STATUS[system.status], system.source


def _codes(regulator: Regulator) -> Sheet:
    rows = [(system.key, code, name) for system in regulator.codes.values() for code, name in system.codes.items()]
    return Sheet("值域代码", (Column("值域", 24), Column("代码", 20), Column("名称", _WIDE)), rows)


def _said(is_so: bool) -> str:  # noqa: FBT001 - a cell of a table
    return _YES if is_so else _NO
