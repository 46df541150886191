"""A regulator small enough to be read at a glance, made in memory, with rows for it."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING

import polars as pl

from qianzhi.specs.formats import parse_format
from qianzhi.specs.model import (
    Change,
    CodeSystem,
    Criteria,
    Dataset,
    ErrorClass,
    Field,
    Reference,
    Regulator,
    Repeat,
    Rule,
    RuleKind,
    Schedule,
    Severity,
    Status,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AS_OF = datetime(2026, 11, 20, 2, 0)


def make_field(name: str, notation: str, **more: object) -> Field:
    """Make a field titled by its name."""
    return Field(name, f"{name}的名称", parse_format(notation), Status.FOUND, **more)  # type: ignore[arg-type]


def make_rule(code: str, check: str, field: str = "MZH", kind: RuleKind = RuleKind.ROW, **more: object) -> Rule:
    """Make a rule that warns, titled by its code."""
    facts: dict[str, object] = {
        "severity": Severity.WARNING,
        "error_class": ErrorClass.BUSINESS,
        "status": Status.FOUND,
        "source": "made up",
        "remedy": Text(f"改正{code}", f"Correct {code}."),
        "title": Text(f"规则{code}", f"Rule {code}"),
    } | more
    return Rule(code=code, kind=kind, check=check, field=field, **facts)  # type: ignore[arg-type]


def make_dataset(fields: Sequence[Field], rules: Sequence[Rule] = (), **more: object) -> Dataset:
    """Make a dataset `visit` of the given fields, besides those that every dataset has."""
    common = (
        make_field("JGDM", "AN..30", required=True),
        make_field("MZH", "AN..20", required=True),
        make_field("SJSCSJ", "DT15"),
        make_field("CXBZ", "AN1", codes="D-CXBZ"),
    )
    facts: dict[str, object] = {
        "name": "visit",
        "title": "就诊",
        "source": "made up",
        "obliged": True,
        "key": ("JGDM", "MZH"),
        "institution": "JGDM",
        "change": Change("CXBZ", "1", "2", "3"),
        "occurred_at": "SJSCSJ",
    } | more
    return Dataset(fields=(*common, *fields), rules=tuple(rules), **facts)  # type: ignore[arg-type]


CODES = {
    system.key: system
    for system in (
        CodeSystem("D-CXBZ", "撤销标志", "", Status.FOUND, {"1": "正常", "2": "修改", "3": "撤销"}),
        CodeSystem("D-SEX", "性别", "", Status.FOUND, {"1": "男", "2": "女"}),
        CodeSystem(
            "D-PAY", "参保类别", "", Status.PROPOSED, {"01": "职工", "02": "居民"}, None, frozenset({"leading-zero"})
        ),
        CodeSystem("FLAG-TF", "标志", "", Status.FOUND, {"T": "有", "F": "无"}),
        CodeSystem("ICD10", "疾病", "", Status.FOUND, {}, "icd10"),
    )
}


def make_regulator(*datasets: Dataset, digest: str = "") -> Regulator:
    """Make a regulator of the given datasets."""
    return Regulator(
        key="tiny",
        name=Text("小平台", "Tiny"),
        edition="1",
        sources=(),
        schedule=Schedule(time(2), time(3)),
        criteria=Criteria(5, 10, 1.0),
        sender="his",
        capabilities=frozenset({"rows"}),
        datasets=datasets,
        codes=CODES,
        digest=digest,
    )


FIELDS = (
    make_field("XM", "AN..4", required=True, personal=True),
    make_field("XBDM", "AN1", codes="D-SEX", required=True),
    make_field("CBLB", "AN..2", codes="D-PAY"),
    make_field("GMSBS", "AN1", codes="FLAG-TF"),
    make_field("GMS", "AN"),
    make_field("ZJHM", "AN..18", personal=True),
    make_field("YB", "AN6"),
    make_field("CSRQ", "D8"),
    make_field("NLS", "N..3", required=True),
    make_field("JZRQSJ", "DT15"),
    make_field("JZJSSJ", "DT15"),
    make_field("DJ", "N..16,4"),
    make_field("FYJL", "N..16,4"),
    make_field("ZJE", "N..16,4"),
    make_field("ZDLX", "AN1"),
    make_field("ZP", "AN..200", image=True),
)

RULES = (
    make_rule("V50", "JZJSSJ >= JZRQSJ", "JZJSSJ", error_class=ErrorClass.TIME),
    make_rule("V10", "JZRQSJ <= as_of + INTERVAL '5' MINUTE", "JZRQSJ", error_class=ErrorClass.TIME),
    make_rule("V72", "GMSBS <> 'T' OR NOT blank(GMS)", "GMS"),
    make_rule("V80", "abs(ZJE - DJ * FYJL) <= 0.01", "ZJE"),
    make_rule("V61", "at_most(1, ZDLX = '1', JGDM, MZH)", "ZDLX", RuleKind.BATCH),
    make_rule("V21", "key_is_new()", "MZH", RuleKind.STATE, error_class=ErrorClass.DUPLICATE),
)

VISIT = make_dataset(
    FIELDS,
    RULES,
    references=(
        Reference(
            code="V30",
            to="person",
            on={"JGDM": "JGDM", "ZJHM": "ZJHM"},
            title="患者须先上传",
            severity=Severity.ERROR,
            status=Status.FOUND,
            source="made up",
            remedy=Text("先上传患者", "Send the person first."),
            unless="CXBZ = '3'",
            repeats=(
                Repeat(
                    code="V37",
                    fields=("XM",),
                    group=0,
                    title="姓名与患者一致",
                    error_class=ErrorClass.NAME,
                    severity=Severity.WARNING,
                    status=Status.PROPOSED,
                    source="made up",
                    remedy=Text("核对姓名", "Compare the names."),
                ),
            ),
        ),
    ),
)
PERSON = make_dataset((make_field("XM", "AN..4"), make_field("ZJHM", "AN..18")), name="person", title="患者")

GOOD = {
    "JGDM": "440000000000000001",
    "MZH": "MZ1",
    "SJSCSJ": "2026-11-19 10:30:00",
    "CXBZ": "1",
    "XM": "张三",
    "XBDM": "1",
    "NLS": "30",
}
"""A row of the dataset `visit` without findings."""


def make_raw(dataset: Dataset, rows: Sequence[Mapping[str, str | None]]) -> pl.DataFrame:
    """Make a raw frame of rows that say only what they differ in from nothing."""
    names = [field.name for field in dataset.fields]
    columns: dict[str, object] = {"row_id": range(1, len(rows) + 1)}
    columns |= {name: [row.get(name) for row in rows] for name in names}
    return pl.DataFrame(columns, schema={"row_id": pl.Int64, **dict.fromkeys(names, pl.String)})
