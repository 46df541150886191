from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from tests.checks.tiny import PERSON, VISIT, make_dataset, make_field, make_regulator

from qianzhi import regulators
from qianzhi.checks.catalogue import catalogue
from qianzhi.specs.model import ErrorClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.checks.catalogue import Catalogue, Explained
    from qianzhi.checks.checker import Checked
    from qianzhi.specs.model import Regulator, Text


@pytest.fixture(scope="module")
def words() -> Catalogue:
    """The explanations of the tiny regulator."""
    return catalogue(make_regulator(PERSON, VISIT))


def _complete(explained: Explained, code: str) -> bool:
    texts: list[Text] = [explained.title, explained.reason, explained.remedy]
    said = all(text.zh.strip() and text.en.strip() for text in texts)
    return said and explained.title.zh != f"规则 {code}"


def test_a_reason_names_title_and_field(words: Catalogue) -> None:
    """Both languages say which field, and against what."""
    explained = words.explain("visit", "V03", "E04", "XBDM")

    assert explained.reason.zh == "「XBDM的名称」(XBDM)的值不在值域 D-SEX 内"
    assert explained.reason.en == "The value of XBDM (XBDM的名称) is not in the code system D-SEX"
    assert "1 男、2 女" in explained.remedy.zh
    assert "1 男, 2 女" in explained.remedy.en


@pytest.mark.parametrize(
    ("code", "class_", "field", "detail", "zh"),
    [
        ("V01", "E01", "XM", None, "「XM的名称」(XM)为必填项，没有值"),
        ("V02", "E02", "XM", None, "「XM的名称」(XM)的长度不符合 AN..4（按字符计）"),
        ("V02", "E02", "DJ", None, "「DJ的名称」(DJ)的位数超出 N..16,4"),
        ("V02", "E03", "NLS", None, "「NLS的名称」(NLS)不是整数"),
        ("V02", "E03", "DJ", None, "「DJ的名称」(DJ)不是数值"),
        ("V02", "E03", "CSRQ", None, "「CSRQ的名称」(CSRQ)不是有效的日期"),
        ("V02", "E03", "JZRQSJ", "zone", "「JZRQSJ的名称」(JZRQSJ)不是有效的日期时间：带有时区后缀，应只写当地时间"),
        ("V11", "E04", "GMSBS", None, "「GMSBS的名称」(GMSBS)的值不在值域 FLAG-TF 内"),
        ("V12", "E03", "GMS", None, "「GMS的名称」(GMS)含有控制字符或无法解码的字符"),
        ("V20", "E09", "JGDM", None, "「JGDM的名称」(JGDM)不是上报机构的机构标识"),
        ("V41", "E08", "ZP", None, "「ZP的名称」(ZP)所指的图片不存在或不可读"),
        ("V41", "E08", "ZP", "no such file", "「ZP的名称」(ZP)所指的图片不存在或不可读（文件不存在）"),
        ("V50", "E10", "JZJSSJ", None, "「JZJSSJ的名称」(JZJSSJ)不符合规则“规则V50”"),
        ("V21", "E07", "MZH", "JGDM, MZH", "「MZH的名称」(MZH)不符合规则“规则V21”（JGDM, MZH）"),
        (
            "V30",
            "E06",
            "ZJHM",
            "person(JGDM=1, ZJHM=2)",
            "「ZJHM的名称」(ZJHM)所指的「患者」记录尚未被接收（person(JGDM=1, ZJHM=2)）",
        ),
        ("V37", "E12", "XM", None, "「XM的名称」(XM)与所指的「患者」记录不一致"),
    ],
)
def test_every_kind_of_finding_has_a_reason(
    words: Catalogue, *, code: str, class_: str, field: str, detail: str | None, zh: str
) -> None:
    """Structure, rules, references, repeats, state and the checks of the ends."""
    explained = words.explain("visit", code, class_, field, detail)

    assert explained.reason.zh == zh
    assert _complete(explained, code)


def test_an_unknown_code_is_no_error(words: Catalogue) -> None:
    """A finding of an edition that is no longer there still has words."""
    for dataset, field in (("visit", "XM"), ("visit", "GONE"), ("gone", "XM")):
        explained = words.explain(dataset, "V99", "E11", field)
        assert "V99" in explained.reason.zh
        assert explained.remedy.en


def test_a_frame_is_explained_as_its_findings_one_by_one(words: Catalogue, checked: Callable[..., Checked]) -> None:
    """Each finding gets reason and remedy in the language asked for, in its place."""
    findings = checked(
        {"XM": None, "XBDM": "9", "CSRQ": "infinity"},
        {"NLS": "12.5", "JZRQSJ": "2026-11-19 10:00:00Z"},
        {"JZRQSJ": "1986-05-04 02:30:00", "GMS": "\x01"},
    ).findings
    findings = pl.concat(
        [
            findings,
            findings.head(1).with_columns(
                code=pl.lit("V30"), field=pl.lit("ZJHM"), detail=pl.lit("person($1)"), **{"class": pl.lit("E06")}
            ),
            findings.head(1).with_columns(
                code=pl.lit("V41"), field=pl.lit("ZP"), detail=pl.lit("no such file"), **{"class": pl.lit("E08")}
            ),
        ]
    )

    for language in ("zh", "en"):
        explained = words.explain_frame(findings, "visit", language)
        assert explained.columns == [*findings.columns, "reason", "remedy"]
        assert explained.drop("reason", "remedy").equals(findings)
        for row in explained.iter_rows(named=True):
            alone = words.explain("visit", row["code"], row["class"], row["field"], row["detail"])
            assert row["reason"] == getattr(alone.reason, language)
            assert row["remedy"] == getattr(alone.remedy, language)


def test_a_frame_may_name_the_dataset_of_each_finding(words: Catalogue, checked: Callable[..., Checked]) -> None:
    """Findings of several datasets are explained together."""
    findings = checked({"XM": None}).findings
    both = pl.concat([findings.with_columns(dataset=pl.lit(name)) for name in ("visit", "person")])

    explained = words.explain_frame(both, None, "zh")

    assert explained["reason"].to_list() == ["「XM的名称」(XM)为必填项，没有值"] * 2
    assert explained["dataset"].to_list() == ["visit", "person"]


def test_no_findings_need_no_words(words: Catalogue, checked: Callable[..., Checked]) -> None:
    """An empty frame has the columns all the same."""
    assert words.explain_frame(checked({}).findings, "visit", "en").columns[-2:] == ["reason", "remedy"]


def test_no_reason_holds_the_value(words: Catalogue, checked: Callable[..., Checked]) -> None:
    """The value stands beside the words, where whoever may not see it can leave it out."""
    findings = checked({"XBDM": "secret", "NLS": "secret", "CSRQ": "secret", "XM": "secret"}).findings

    for language in ("zh", "en"):
        explained = words.explain_frame(findings, "visit", language)
        assert not explained.select(pl.col("reason", "remedy").str.contains("secret")).unpivot()["value"].any()


@pytest.mark.parametrize("key", regulators.keys())
def test_every_check_of_a_shipped_regulator_has_words(key: str) -> None:
    """No rule, reference, repeat or structural check of a regulator that we ship is without reason and remedy."""
    regulator: Regulator = regulators.regulator(key)
    words = catalogue(regulator)
    asked = [
        (dataset.name, rule.code, rule.error_class.value, rule.field)
        for dataset in regulator.datasets
        for rule in dataset.rules
    ]
    asked += [
        (dataset.name, reference.code, ErrorClass.INTEGRITY.value, reference.blamed)
        for dataset in regulator.datasets
        for reference in dataset.references
    ]
    asked += [
        (dataset.name, repeat.code, repeat.error_class.value, repeat.fields[-1])
        for dataset in regulator.datasets
        for reference in dataset.references
        for repeat in reference.repeats
    ]
    for dataset in regulator.datasets:
        for field in dataset.fields:
            asked += [(dataset.name, code, class_, field.name) for code, class_ in (("V01", "E01"), ("V12", "E03"))]
            asked += [(dataset.name, "V02", class_, field.name) for class_ in ("E02", "E03")]
            asked += [(dataset.name, code, "E04", field.name) for code in ("V03", "V11") if field.codes]
            asked += [(dataset.name, "V41", "E08", field.name) for _ in range(field.image)]

    for finding in asked:
        assert _complete(words.explain(*finding), finding[1]), finding


def test_long_domains_are_not_spelt_out() -> None:
    """A remedy names a long code system, and spells out a short one."""
    dataset = make_dataset([make_field("ZD", "AN..20", codes="ICD10")])

    remedy = catalogue(make_regulator(dataset)).explain("visit", "V03", "E04", "ZD").remedy

    assert remedy.zh == "按值域 ICD10 填写后重新提交。"
