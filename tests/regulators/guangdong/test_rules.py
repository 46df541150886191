"""The rules of Guangdong that see one row: each holds for a good row and breaks for a bad one."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

import qianzhi.regulators
from qianzhi.checks.expressions import AtMost, RowCheck, compile_check, evaluated
from qianzhi.checks.parse import parse
from qianzhi.specs.model import Dataset, RuleKind

AS_OF = datetime(2026, 11, 20, 3, 0)

# GB 11643 prints this number as its example: a woman, born on 1949-12-31.
NUMBER = "11010519491231002X"
BAD_CHECK = "110105194912310021"
BAD_AREA = "999999194912310025"
OLD_NUMBER = "110105491231002"
UNBORN = "110105209912310029"

# GB 32100 prints this code as its example.
USCC = "91350100M000100Y43"
BAD_USCC = "91350100M000100Y44"

Row = dict[str, str]

# dataset, rule, a row that breaks it, a row that keeps it
CASES: list[tuple[str, str, Row, Row]] = [
    ("person", "V01.1", {"ZJHM": NUMBER}, {"ZJHM": NUMBER, "ZJLBDM": "01"}),
    ("person", "V04.1", {"XBDM": "1", "XBMC": "女性"}, {"XBDM": "1", "XBMC": "男"}),
    ("person", "V04.2", {"HYZTDM": "10", "HYZTMC": "已婚"}, {"HYZTDM": "10", "HYZTMC": "未婚"}),
    ("person", "V04.3", {"MZDM": "01", "MZMC": "回族"}, {"MZDM": "01", "MZMC": "汉"}),
    ("person", "V04.4", {"WHCDDM": "20", "WHCDMC": "大学专科"}, {"WHCDDM": "20", "WHCDMC": "大学本科教育"}),
    ("person", "V05.1", {"ZJLBDM": "01", "ZJHM": BAD_CHECK}, {"ZJLBDM": "01", "ZJHM": NUMBER}),
    ("person", "V05.1", {"ZJLBDM": "01", "ZJHM": BAD_CHECK}, {"ZJLBDM": "03", "ZJHM": BAD_CHECK}),
    ("person", "V05.2", {"ZJLBDM": "01", "ZJHM": BAD_AREA}, {"ZJLBDM": "01", "ZJHM": NUMBER}),
    ("person", "V05.3", {"ZJLBDM": "01", "ZJHM": OLD_NUMBER}, {"ZJLBDM": "01", "ZJHM": NUMBER}),
    ("person", "V05.4", {"ZJLBDM": "01", "ZJHM": UNBORN}, {"ZJLBDM": "01", "ZJHM": NUMBER}),
    (
        "person",
        "V06.1",
        {"ZJLBDM": "01", "ZJHM": NUMBER, "CSRQ": "1949-12-30"},
        {"ZJLBDM": "01", "ZJHM": NUMBER, "CSRQ": "1949-12-31"},
    ),
    (
        "person",
        "V06.2",
        {"ZJLBDM": "01", "ZJHM": NUMBER, "XBDM": "1"},
        {"ZJLBDM": "01", "ZJHM": NUMBER, "XBDM": "2"},
    ),
    ("person", "V09.1", {"GDDHHM": "1234"}, {"GDDHHM": "020-12345678"}),
    ("person", "V09.2", {"SJHM": "23800000000"}, {"SJHM": "13800000000"}),
    ("person", "V09.3", {"DZYJ": "somebody"}, {"DZYJ": "somebody@example.org"}),
    ("person", "V10.1", {"SJSCSJ": "2026-11-20 03:05:01"}, {"SJSCSJ": "2026-11-20 03:05:00"}),
    ("person", "V10.3", {"CSRQ": "2026-11-21"}, {"CSRQ": "2026-11-20"}),
    ("person", "V10.4", {"CSRQ": "1899-12-31"}, {"CSRQ": "1900-01-01"}),
    (
        "person",
        "V23.2",
        {"SJSCSJ": "2026-11-19 00:00:01", "TBRQSJ": "2026-11-18 23:00:00"},
        {"SJSCSJ": "2026-11-19 12:00:00", "TBRQSJ": "2026-11-19"},
    ),
    (
        "person",
        "V25",
        {"CXBZ": "1", "SJSCSJ": "2026-11-18 23:59:59"},
        {"CXBZ": "1", "SJSCSJ": "2026-11-19 00:00:00"},
    ),
    ("person", "V64", {"CSRQ": "2020-11-21"}, {"CSRQ": "2020-11-20"}),
    ("treatment_record", "V01.1", {}, {"JZZDSM": "复诊"}),
    ("treatment_record", "V01.5", {"KSMC": "中医科"}, {"KSMC": "内科"}),
    ("treatment_record", "V02.1", {"JZZDSM": "诊" * 201}, {"JZZDSM": "诊" * 200}),
    (
        "treatment_record",
        "V03.1",
        {"MZZZZDBMLX": "01", "MZZZZDDM": "J00.x00|咳嗽"},
        {"MZZZZDBMLX": "01", "MZZZZDDM": "J00.x00|R05.x00"},
    ),
    (
        "treatment_record",
        "V07.1",
        {"CSRQ": "2016-11-20", "JZRQSJ": "2026-11-19 09:00:00", "NLS": "11"},  # nine, for one more day
        {"CSRQ": "2016-11-20", "JZRQSJ": "2026-11-19 09:00:00", "NLS": "10"},
    ),
    ("treatment_record", "V07.2", {"NLS": "0"}, {"NLS": "0", "NLY": "11 16/30"}),
    ("treatment_record", "V07.3", {"NLY": "十一"}, {"NLY": "11 16/30"}),
    (
        "treatment_record",
        "V10.5",
        {"CSRQ": "2026-11-19", "JZRQSJ": "2026-11-18 09:00:00"},
        {"CSRQ": "2026-11-18", "JZRQSJ": "2026-11-18 09:00:00"},
    ),
    ("treatment_record", "V12.3", {"ZS": f"头痛三天，{NUMBER}"}, {"ZS": "头痛三天，单号202611190000000000123"}),
    (
        "treatment_record",
        "V50",
        {"JZRQSJ": "2026-11-19 09:00:00", "JZJSSJ": "2026-11-19 08:59:59"},
        {"JZRQSJ": "2026-11-19 09:00:00", "JZJSSJ": "2026-11-19 09:00:00"},
    ),
    ("treatment_record", "V60", {"DZCFWJCFDZ": "T", "CZBZDM": "1"}, {"DZCFWJCFDZ": "F", "CZBZDM": "1"}),
    ("treatment_record", "V72", {"GMSBS": "T"}, {"GMSBS": "T", "GMS": "青霉素"}),
    ("treatment_order", "V02.1", {"DJ": "-0.01"}, {"DJ": "0"}),
    ("treatment_order", "V04.1", {"YYTJDM": "1", "YYTJMC": "直肠用药"}, {"YYTJDM": "1", "YYTJMC": "口服"}),
    ("treatment_order", "V04.2", {"YWSYPCDM": "01", "YWSYPCMC": "tid"}, {"YWSYPCDM": "01", "YWSYPCMC": "BID"}),
    ("treatment_order", "V04.2", {"YWSYPCDM": "01", "YWSYPCMC": "tid"}, {"YWSYPCDM": "01", "YWSYPCMC": "每日两次"}),
    (
        "treatment_order",
        "V52",
        {"JZRQSJ": "2026-11-19 09:00:00", "CFKLSJ": "2026-11-19 08:00:00"},
        {"JZRQSJ": "2026-11-19 09:00:00", "CFKLSJ": "2026-11-19 09:05:00"},
    ),
    ("treatment_order", "V63", {"YPCFSX": "3"}, {"YPCFSX": "1"}),
    ("treatment_order", "V64", {"NLS": "5", "CFKLKSMC": "内科"}, {"NLS": "5", "CFKLKSMC": "儿科"}),
    (
        "treatment_order",
        "V66.1",
        {"CFSHYJSGH": "1001", "CFKLYSGH": "1001"},
        {"CFSHYJSGH": "1002", "CFKLYSGH": "1001"},
    ),
    ("treatment_order", "V66.2", {"CFFYYJSGH": "1002"}, {"CFFYYJSGH": "1002", "CFSHYJSGH": "1003"}),
    ("treatment_order", "V67.1", {"CFYXTS": "4"}, {"CFYXTS": "3"}),
    (
        "treatment_order",
        "V67.2",
        {"YWSYZJL": "126.5", "YWSYCJL": "0.5", "YWSYPCDM": "14"},  # 126 is three halves a day for 84 days
        {"YWSYZJL": "126", "YWSYCJL": "0.5", "YWSYPCDM": "14"},
    ),
    ("treatment_order", "V68.2", {"YPCFSX": "7"}, {"YPCFSX": "7", "ZYYPJS": "7"}),
    ("treatment_order", "V69", {"YYTJDM": "403"}, {"YYTJDM": "1"}),
    (
        "treatment_order",
        "V80",
        {"DJ": "12.50", "FYJL": "2", "ZJE": "25.02", "YPCFSX": "1"},
        {"DJ": "12.50", "FYJL": "2", "ZJE": "25.01", "YPCFSX": "1"},
    ),
    (
        "treatment_order",
        "V80",
        {"DJ": "0.1", "FYJL": "10", "ZJE": "7", "ZYYPJS": "7", "YPCFSX": "1"},
        {"DJ": "0.1", "FYJL": "10", "ZJE": "7", "ZYYPJS": "7", "YPCFSX": "7"},
    ),
    (
        "treatment_diagnose",
        "V51",
        {"JZRQSJ": "2026-11-19 09:00:00", "ZDSJ": "2026-11-19 08:00:00"},
        {"JZRQSJ": "2026-11-19 09:00:00", "ZDSJ": "2026-11-19 09:10:00"},
    ),
    ("treatment_diagnose", "V62.1", {"ZDLXBM": "11"}, {"ZDLXBM": "11", "XYZDBM": "J00.x00"}),
    ("treatment_diagnose", "V62.2", {"ZDLXBM": "21"}, {"ZDLXBM": "21", "ZYZDBM": "JB:1.02"}),
    ("treatment_diagnose", "V62.3", {"ZDLXBM": "21"}, {"ZDLXBM": "21", "ZYZDMC": "感冒"}),
    ("treatment_diagnose", "V71.1", {"XBDM": "1", "XYZDBM": "O80.000"}, {"XBDM": "2", "XYZDBM": "O80.000"}),
    ("treatment_diagnose", "V71.2", {"XBDM": "2", "XYZDBM": "N51.000"}, {"XBDM": "2", "XYZDBM": "N52.000"}),
    (
        "treatment_referral",
        "V54",
        {"JZRQSJ": "2026-11-19 09:00:00", "ZZSJ": "2026-11-19 08:00:00"},
        {"JZRQSJ": "2026-11-19 09:00:00", "ZZSJ": "2026-11-19 10:00:00"},
    ),
    ("institution", "V02.1", {"KBZJJES": "-1"}, {"KBZJJES": "500"}),
    ("institution", "V03.1", {"XZQHDM": "440100"}, {"XZQHDM": "440106"}),
    ("institution", "V03.1", {"XZQHDM": "440000"}, {"XZQHDM": "441900"}),
    ("institution", "V08.1", {"ZZJGDM": BAD_USCC}, {"ZZJGDM": USCC}),
    ("institution", "V08.2", {"STYYZZJGDM": BAD_USCC}, {"STYYZZJGDM": USCC}),
    ("institution", "V09.1", {"HLWYYWZ": "hospital.example.org"}, {"HLWYYWZ": "https://hospital.example.org"}),
    ("institution", "V09.2", {"YZBM": "51000"}, {"YZBM": "510000"}),
    ("institution", "V45.1", {"XKZYXQ": "2026-11-19"}, {"XKZYXQ": "2026-11-20"}),
    ("institution", "V45.2", {"XYYXQ": "2026-11-19"}, {"XYYXQ": "2026-11-20"}),
    ("institution", "V58.1", {"JGCLRQ": "2026-11-21"}, {"JGCLRQ": "2026-11-20"}),
    (
        "institution",
        "V58.2",
        {"JGCLRQ": "2026-01-02", "XKZYXQ": "2026-01-01"},
        {"JGCLRQ": "2026-01-02", "XKZYXQ": "2031-01-01"},
    ),
    ("institution", "V84.1", {"XXAQDJBH": "3"}, {"XXAQDJBH": "99"}),
    ("institution", "V84.2", {"JGLX": "01", "XXAQDJBH": "2"}, {"JGLX": "04", "XXAQDJBH": "2"}),
    ("institution", "V85.1", {"DSFJGMC": "示例科技公司"}, {}),
    ("institution", "V85.2", {"DSFJGDM": USCC}, {"DSFJGDM": USCC, "DSFJGMC": "示例科技公司"}),
    ("institution", "V85.3", {"DSFJGDM": USCC}, {"DSFJGDM": USCC, "XYYXQ": "2027-01-01"}),
    ("staff", "V01.1", {"ZYJSZWDM": "233"}, {"ZYJSZWDM": "263"}),
    ("staff", "V03.1", {"ZYFW": "临床"}, {"ZYFW": "0304"}),
    ("staff", "V41.4", {"GRZPCFDZ": "photo\\1001.png"}, {"GRZPCFDZ": "D:\\photo\\1001.png"}),
    (
        "staff",
        "V57.1",
        {"ZGHDSJ": "2015-06-02", "FZRQ": "2015-06-01"},
        {"ZGHDSJ": "2015-06-01", "FZRQ": "2015-06-01"},
    ),
    (
        "staff",
        "V57.2",
        {"CSRQ": "1990-05-02", "ZGHDSJ": "2008-05-01"},
        {"CSRQ": "1990-05-02", "ZGHDSJ": "2008-05-02"},
    ),
    (
        "staff",
        "V70",
        {"ZYJSZWDM": "234", "ZGHDSJ": "2023-11-21"},
        {"ZYJSZWDM": "234", "ZGHDSJ": "2023-11-20"},
    ),
    ("institution_business", "V02.3", {"NF": "202613"}, {"NF": "202612"}),
    ("institution_business", "V58", {"NF": "202612"}, {"NF": "202611"}),
    (
        "institution_business",
        "V82.1",
        {"JZC": "70.00", "ZZCH": "100.00", "FZ": "30.02"},
        {"JZC": "70.00", "ZZCH": "100.00", "FZ": "30.00"},
    ),
    (
        "institution_business",
        "V82.2",
        {"LDZC": "0.1", "DWTZ": "0.1", "GDZC": "0.1", "WXZCJKBF": "0.1", "ZZCH": "0.39"},
        {"LDZC": "0.1", "DWTZ": "0.1", "GDZC": "0.1", "WXZCJKBF": "0.1", "ZZCH": "0.4"},
    ),
    ("device", "V02.1", {"TPSBTS": "0"}, {"TPSBTS": "1"}),
    ("device", "V58", {"GMRQ": "2026-11-21"}, {"GMRQ": "2026-11-20"}),
    ("contacts", "V09", {"LXDH": "分机8001"}, {"LXDH": "0755-12345678-8001"}),
]


def held(dataset: Dataset, *rows: Row) -> pl.DataFrame:
    """Return rows as staging gives them: every column a text, null where the row says nothing."""
    columns = {field.name: [row.get(field.name) for row in rows] for field in dataset.fields}
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return frame.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("row_id"), pl.all())


def kept(name: str, code: str, *rows: Row) -> list[bool | None]:
    """Return what a rule says of each row; None where it has nothing to judge."""
    regulator = qianzhi.regulators.regulator("guangdong")
    dataset = regulator.dataset(name)
    (rule,) = (rule for rule in dataset.rules if rule.code == code)
    check = compile_check(rule.check, dataset, regulator, rule.kind, code=code)
    condition = check.condition if isinstance(check, AtMost) else check
    assert isinstance(condition, RowCheck)
    parsed = parse(held(dataset, *rows), dataset)
    frame = evaluated(parsed.typed, parsed.raw, condition.raw_fields, AS_OF)
    return frame.select(condition.holds).to_series().to_list()


@pytest.mark.parametrize(("name", "code", "bad", "good"), CASES)
def test_a_rule_tells_a_bad_row_from_a_good_one(name: str, code: str, bad: Row, good: Row) -> None:
    """A rule is broken by the bad row, and not by the good one."""
    broken, fine = kept(name, code, bad, good)
    assert broken is False
    assert fine is not False


@pytest.mark.parametrize("name", ["person", "treatment_record", "institution", "staff", "contacts"])
def test_an_empty_row_breaks_only_what_asks_for_a_field(name: str) -> None:
    """What a row does not say breaks no rule but those that ask for it without condition."""
    dataset = qianzhi.regulators.regulator("guangdong").dataset(name)
    rules = [rule.code for rule in dataset.rules if rule.kind is RuleKind.ROW]
    broken = {code for code in rules if kept(name, code, {}) == [False]}
    assert broken == ({"V01.1", "V01.2", "V01.3", "V01.4"} if name == "treatment_record" else set())


def test_five_drugs_and_one_main_diagnosis_are_counted_of_new_rows_only() -> None:
    """The correction of a line or of a diagnosis is not another one; herbs are not counted as drugs."""
    line = {"CXBZ": "1", "YZXMLXDM": "01", "YPCFSX": "1"}
    assert kept("treatment_order", "V68.1", line, line | {"CXBZ": "2"}, line | {"YPCFSX": "7"}) == [True, False, False]
    main = {"CXBZ": "1", "ZDBZ": "1"}
    assert kept("treatment_diagnose", "V61", main, main | {"CXBZ": "2"}, main | {"ZDBZ": "2"}) == [True, False, False]
