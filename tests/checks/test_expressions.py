from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from tests.checks.tiny import AS_OF, make_dataset, make_field, make_raw, make_regulator

from qianzhi.checks.expressions import AtMost, Form, RowCheck, compile_check, evaluated
from qianzhi.checks.parse import parse
from qianzhi.errors import SpecError
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Mapping

DATASET = make_dataset(
    [
        make_field("TA", "AN..30"),
        make_field("TB", "AN..30"),
        make_field("SEX", "AN1", codes="D-SEX"),
        make_field("IA", "N..3"),
        make_field("LONG", "N..18"),
        make_field("NA", "N..16,4"),
        make_field("NB", "N..16,4"),
        make_field("NC", "N..16,4"),
        make_field("DA", "D8"),
        make_field("SA", "DT15"),
        make_field("SB", "DT15"),
        make_field("FA", "T/F"),
        make_field("END", "AN1"),
        make_field("organID", "AN1"),
    ]
)
REGULATOR = make_regulator(DATASET)


def holds(check: str, row: Mapping[str, str | None], as_of: datetime = AS_OF) -> bool | None:
    """Return what a condition says of one row."""
    compiled = compile_check(check, DATASET, REGULATOR, RuleKind.ROW)
    assert isinstance(compiled, RowCheck)
    parsed = parse(make_raw(DATASET, [row]), DATASET)
    frame = evaluated(parsed.typed, parsed.raw, compiled.raw_fields, as_of)
    verdict: bool | None = frame.select("row_id", holds=compiled.holds)["holds"].item()
    return verdict


@pytest.mark.parametrize(
    ("check", "piece"),
    [
        ("count(TA) > 1", "COUNT(TA)"),
        ("sum(NA) OVER () > 1", "SUM(NA) OVER ()"),
        ("max(NA) > 1", "MAX(NA)"),
        ("TA IN (SELECT 'a')", "TA IN (SELECT 'a')"),
        ("EXISTS (SELECT 1)", "EXISTS(SELECT 1)"),
        ("(SELECT TRUE)", "SELECT TRUE"),
        ("CAST(TA AS int) = 1", "CAST(TA AS INT)"),
        ("TA::date = DA", "CAST(TA AS DATE)"),
        ("DA = DATE '2020-01-01'", "CAST('2020-01-01' AS DATE)"),
        ("DA <= CURRENT_DATE", "CURRENT_DATE"),
        ("SA <= CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
        ("SA <= now()", "CURRENT_TIMESTAMP"),
        ("SA <= clock_timestamp()", "clock_timestamp"),
        ("random() < 1", "RANDOM()"),
        ("nosuch(TA)", "nosuch"),
        ("TX = 'a'", "TX"),
        ("ta = 'a'", "ta"),
        ("t.TA = 'a'", "t.TA"),
        ("row_id = 1", "row_id"),
        ("TA || TB = 'a'", "TA || TB"),
        ("IA % 2 = 0", "IA % 2"),
        ("TA ILIKE 'a'", "TA ILIKE 'a'"),
        ("TA LIKE 'a' ESCAPE '#'", "TA LIKE 'a' ESCAPE '#'"),
        ("TA LIKE TB", "LIKE"),
        ("TA IS DISTINCT FROM TB", "TA IS DISTINCT FROM TB"),
        ("FA IS TRUE", "FA IS TRUE"),
        ("IA BETWEEN SYMMETRIC 1 AND 2", "SYMMETRIC"),
        ("TA IN (TB)", "TA IN (TB)"),
        ("TA = ANY(ARRAY['a'])", "ANY(ARRAY['a'])"),
        ("(TA, TB) = ('a', 'b')", "(TA, TB)"),
        ("if(FA, TRUE, FALSE)", "CASE WHEN FA"),
        ("nullif(TA, 'a') = 'b'", "NULLIF(TA, 'a')"),
        ("regexp_like(TA, 'a', 'i')", "TA ~* 'a'"),
        ("length(TA, 'utf8') > 1", "LENGTH(TA"),
        ("length(DISTINCT TA) > 1", "DISTINCT TA"),
        ("TA = $1", "$1"),
        ("TA = :a", "a"),
        ("TA = 'a'; TB = 'b'", ";"),
        ("TA =", "TA ="),
        ("", "''"),
    ],
)
def test_what_is_not_in_the_rule_language_is_refused_by_name(check: str, piece: str) -> None:
    """The error names rule, dataset and the piece, and says what to do."""
    with pytest.raises(SpecError) as refused:
        compile_check(check, DATASET, REGULATOR, RuleKind.ROW, code="V99")

    assert refused.value.what.startswith("Rule V99 of visit: ")
    assert piece in refused.value.what
    assert refused.value.remedy


@pytest.mark.parametrize(
    "check",
    [
        "IA = '1'",
        "TA = 1",
        "DA = 1",
        "FA = 'T'",
        "FA < TRUE",
        "TA + 1 = 2",
        "DA + 1 = DA",
        "DA - '2024-02-28' = 2",
        "DA + DA = DA",
        "SA + TA = SA",
        "- TA = 1",
        "abs(TA) = 1",
        "length(IA) = 1",
        "year(TA) = 2020",
        "DA = '2020-02-30'",
        "DA = TA",
        "DA > 'soon'",
        "TA",
        "IA",
        "TA AND FA",
        "NOT IA",
        "CASE WHEN TA THEN TRUE END",
        "CASE WHEN FA THEN 1 ELSE 'a' END = 1",
        "coalesce(TA, 1) = 'a'",
        "SA - SB <= INTERVAL '1' MONTH",
        "INTERVAL '1' DAY = INTERVAL '1' DAY",
        "SA <= as_of + INTERVAL '1.5' DAY",
        "SA <= as_of + INTERVAL '1' CENTURY",
        "SA <= as_of + INTERVAL '2000' YEAR",
        "SA <= as_of + INTERVAL '1 year 2 months'",
        "NA = 1e5",
        "round(NA, IA) = 1",
        "round(NA, -1) = 1",
        "replace(TA, TB, 'x') = 'y'",
        "regexp_like(TA, TB)",
        "regexp_like(TA, '(')",
        "regexp_like(TA, 'a{1000}{1000}{10}')",
        "age_years(TA, as_of) > 1",
        "age_years(DA) > 1",
        "id_valid(IA)",
        "in_codes('D-NOTHING', TA)",
        "in_codes(TA, TB)",
        "raw('TA') = 'a'",
        "raw(TA, TB) = 'a'",
        "blank(TX)",
        "at_most(1, FA, TA)",
        "key_is_new()",
        "NA * NB * NC = 1",
        "NA = 123456789012345678901234567890123456789012",
        "(" * 2_000 + "FA" + ")" * 2_000,
        "TA = '" + "x" * 4_000 + "'",
    ],
)
def test_a_rule_that_means_nothing_is_refused(check: str) -> None:
    """Types that do not fit, results that could not stay exact and texts beyond the bound do not compile."""
    with pytest.raises(SpecError, match=r"^Rule V99 of visit: "):
        compile_check(check, DATASET, REGULATOR, RuleKind.ROW, code="V99")


@pytest.mark.parametrize(
    ("check", "row", "verdict"),
    [
        ("TA = 'a'", {}, None),
        ("TA = 'a' AND IA = 1", {"IA": "2"}, False),
        ("TA = 'a' AND IA = 1", {"IA": "1"}, None),
        ("TA = 'a' OR IA = 1", {"IA": "1"}, True),
        ("TA = 'a' OR IA = 1", {"IA": "2"}, None),
        ("NOT TA = 'a'", {}, None),
        ("TA <> 'a'", {}, None),
        ("TA IN ('a', NULL)", {"TA": "a"}, True),
        ("TA IN ('a', NULL)", {"TA": "b"}, None),
        ("TA NOT IN ('a', NULL)", {"TA": "b"}, None),
        ("TA NOT IN ('a')", {"TA": "b"}, True),
        ("TA = NULL", {"TA": "b"}, None),
        ("TA IS NULL", {"TA": "  "}, True),
        ("IA BETWEEN 1 AND 3", {"IA": "3"}, True),
        ("IA BETWEEN 1 AND 3", {"IA": "4"}, False),
        ("CASE WHEN TA = 'a' THEN FALSE ELSE TRUE END", {}, True),
        ("CASE WHEN TA = 'a' THEN FALSE END", {}, None),
        ("CASE SEX WHEN '1' THEN TA = 'a' WHEN '2' THEN TA = 'b' END", {"SEX": "2", "TA": "b"}, True),
        ("'a' = CASE WHEN TA NOT LIKE '%' THEN TA END", {"TA": "a"}, None),
        ("'a' <= CASE WHEN TA LIKE '%' THEN TA END", {"TA": "b"}, True),
        ("2 > CASE WHEN IA < 9 THEN IA END", {"IA": "3"}, False),
    ],
)
def test_three_valued_logic_is_that_of_sql(*, check: str, row: Mapping[str, str], verdict: bool | None) -> None:
    """Unknown is neither true nor false, and goes through AND, OR, NOT, IN and CASE as SQL says."""
    assert holds(check, row) is verdict


@pytest.mark.parametrize(
    ("check", "row", "verdict"),
    [
        ("abs(NA - NB * NC) <= 0.01", {"NA": "3.76", "NB": "1.25", "NC": "3"}, True),
        ("abs(NA - NB * NC) <= 0.01", {"NA": "3.7601", "NB": "1.25", "NC": "3"}, False),
        ("abs(NA - NB * NC) <= 0.01", {"NA": "0", "NB": "0.1001", "NC": "0.1001"}, False),  # 0.01002001
        ("NA * NB = 0.00000001", {"NA": "0.0001", "NB": "0.0001"}, True),
        (
            "NA * NB = 999999999999999800000000.00000001",
            {"NA": "999999999999.9999", "NB": "999999999999.9999"},
            True,
        ),
        ("NA + NB = 0.3", {"NA": "0.1", "NB": "0.2"}, True),
        ("NA * 3 = 0.3", {"NA": "0.1"}, True),
        ("NA * IA = 0.3", {"NA": "0.1", "IA": "3"}, True),
        ("NA > IA", {"NA": "2.0001", "IA": "2"}, True),
        ("round(NA, 2) = 0.13", {"NA": "0.125"}, True),
        ("round(NA, 2) = -0.13", {"NA": "-0.125"}, True),
        ("round(NA, 0) = 3", {"NA": "2.5"}, True),
        ("LONG * LONG = 999999999999999998000000000000000001", {"LONG": "999999999999999999"}, True),
        ("LONG + LONG = 1999999999999999998", {"LONG": "999999999999999999"}, True),
        ("NA / NB = 0.333333", {"NA": "1", "NB": "3"}, True),
        ("NA / NB > 1", {"NA": "1", "NB": "0"}, None),
        ("IA / 2 = 3.5", {"IA": "7"}, True),
        ("1 / IA > 0", {"IA": "0"}, None),
        ("NA / 0 > 1", {"NA": "1"}, None),
    ],
)
def test_numbers_are_exact(*, check: str, row: Mapping[str, str], verdict: bool | None) -> None:
    """Money is never a Float; a quotient has six decimals, and one by zero is unknown."""
    assert holds(check, row) is verdict


@pytest.mark.parametrize(
    ("check", "row", "verdict"),
    [
        ("date(SA) - DA = 2", {"DA": "2024-02-28", "SA": "2024-03-01 23:00:00"}, True),
        ("DA + INTERVAL '1' MONTH = '2024-02-29'", {"DA": "2024-01-31"}, True),
        ("DA - INTERVAL '1' YEAR = '2023-02-28'", {"DA": "2024-02-29"}, True),
        ("INTERVAL '1' DAY + DA = '2024-03-01'", {"DA": "2024-02-29"}, True),
        ("SA - INTERVAL '90' MINUTE = '2024-02-29 09:00:00'", {"SA": "2024-02-29 10:30:00"}, True),
        ("SA - SB <= INTERVAL '1' DAY", {"SA": "2024-03-01 10:00:00", "SB": "2024-02-29 10:00:00"}, True),
        ("SA - SB <= INTERVAL '1' DAY", {"SA": "2024-03-01 10:00:01", "SB": "2024-02-29 10:00:00"}, False),
        ("SA - SB > - INTERVAL '1' HOUR", {"SA": "2024-03-01 10:00", "SB": "2024-03-01 10:30"}, True),
        ("SA <= as_of + INTERVAL '5' MINUTE", {"SA": "2026-11-20 02:05:00"}, True),
        ("SA <= as_of + INTERVAL '5' MINUTE", {"SA": "2026-11-20 02:05:01"}, False),
        ("SA >= DA", {"SA": "2024-02-29 00:00:00", "DA": "2024-02-29"}, True),
        ("DA >= '1900-01-01'", {"DA": "1899-12-31"}, False),
        ("DA >= date('1900-01-01')", {"DA": "1900-01-01"}, True),
        ("year(SA) * 100 + month(SA) = 202402", {"SA": "2024-02-29"}, True),
        ("age_years(DA, as_of) = 26", {"DA": "2000-11-20"}, True),
        ("age_years(DA, as_of) = 25", {"DA": "2000-11-21"}, True),
        ("age_years(DA, date('2023-02-28')) = 22", {"DA": "2000-02-29"}, True),
        ("age_years(DA, date('2023-03-01')) = 23", {"DA": "2000-02-29"}, True),
    ],
)
def test_dates_and_times_move_as_in_postgresql(*, check: str, row: Mapping[str, str], verdict: bool | None) -> None:
    """Months clamp at their end, days and minutes count, an age is in full years."""
    assert holds(check, row) is verdict


@pytest.mark.parametrize(
    ("check", "row", "verdict"),
    [
        ("length(TA) = 2", {"TA": " 张三 "}, True),
        ("TA LIKE '10\\%%'", {"TA": "10%ig"}, True),
        ("TA LIKE '10\\%%'", {"TA": "100"}, False),
        ("TA LIKE 'a.c'", {"TA": "abc"}, False),
        ("TA LIKE '%儿%'", {"TA": "小儿科"}, True),
        ("TA NOT LIKE '_'", {"TA": "张"}, False),
        ("TA LIKE '[a]%(+'", {"TA": "[a]x(+"}, True),
        ("substr(TA, 2, 2) = 'bc'", {"TA": "abcd"}, True),
        ("substr(TA, 0, 2) = 'a'", {"TA": "abcd"}, True),
        ("substr(TA, IA, 2) = 'a'", {"TA": "abcd", "IA": "0"}, True),
        ("substr(TA, length(TA) - 1, 2) = 'cd'", {"TA": "abcd"}, True),
        ("replace(TA, '性', '') = '男'", {"TA": "男性"}, True),
        ("replace(TA, '.', 'x') = 'axb'", {"TA": "a.b"}, True),
        ("replace(TA, '$', '$0') = '$0'", {"TA": "$"}, True),
        ("upper(TA) = 'AB' AND lower(TA) = 'ab'", {"TA": "aB"}, True),
        ("coalesce(TA, TB, 'c') = 'c'", {}, True),
        ("regexp_like(TA, '^1\\d{10}$')", {"TA": "13800000000"}, True),
        ("regexp_like(TA, '^1\\d{10}$')", {"TA": "1３８00000000"}, False),
        ("regexp_like(TA, '^[\\d-]+$')", {"TA": "020-1"}, True),
        ("regexp_like(TA, '\\\\d')", {"TA": "5"}, False),
        ("id_valid(TA)", {"TA": "11010519491231002X"}, True),
        ("id_sex(TA) = '2' AND id_birth(TA) = '1949-12-31' AND id_area(TA)", {"TA": "11010519491231002X"}, True),
        ("uscc_valid(TA)", {"TA": "91350100M000100Y43"}, True),
        ("orgcode_valid(TA)", {"TA": "D2143569-X"}, True),
        ("icd10_valid(TA)", {"TA": "J06.900x001"}, True),
        ("icd10_valid(TA)", {"TA": "感冒"}, False),
        ("tcm_valid(TA)", {"TA": "A04.03.20"}, True),
        ("in_codes('D-SEX', TA)", {"TA": "1"}, True),
        ("in_codes('D-SEX', TA)", {"TA": "3"}, False),
        ("in_codes('ICD10', TA)", {"TA": "J06.9"}, True),
        ("code_name('D-SEX', TA) = '女'", {"TA": "2"}, True),
        ("code_name('D-SEX', TA) = '女'", {"TA": "3"}, None),
        ("raw(TA) = ' a '", {"TA": " a "}, True),
        ("raw(IA) = '0' OR NOT blank(IA)", {"IA": "abc"}, True),
        ("blank(IA)", {"IA": "\u3000"}, True),
        ("blank(IA)", {}, True),
        ("blank(IA)", {"IA": "abc"}, False),
        ("FA", {"FA": "T"}, True),
        ("FA = FALSE", {"FA": "F"}, True),
        ("\"END\" = '1'", {"END": "1"}, True),
        ("organID = '1'", {"organID": "1"}, True),
    ],
)
def test_texts_and_macros(*, check: str, row: Mapping[str, str], verdict: bool | None) -> None:
    r"""Patterns match whole characters, \d takes no full-width digit, raw text keeps its blanks."""
    assert holds(check, row) is verdict


def test_batch_rules_have_one_form() -> None:
    """`at_most` with a literal limit, a condition and key fields; nothing else."""
    check = compile_check("at_most(1, SEX = '1', JGDM, MZH)", DATASET, REGULATOR, RuleKind.BATCH)

    assert isinstance(check, AtMost)
    assert (check.limit, check.key) == (1, ("JGDM", "MZH"))
    for wrong in (
        "at_most(1, SEX = '1')",
        "at_most(IA, SEX = '1', MZH)",
        "at_most('1', SEX = '1', MZH)",
        "at_most(1, SEX, MZH)",
        "at_most(1, SEX = '1', lower(MZH))",
        "at_most(1, SEX = '1', NOFIELD)",
        "at_least(1, SEX = '1', MZH)",
        "SEX = '1'",
        "at_most(1, SEX = '1', MZH) AND TRUE",
    ):
        with pytest.raises(SpecError, match=r"^Rule V61 of visit: "):
            compile_check(wrong, DATASET, REGULATOR, RuleKind.BATCH, code="V61")


def test_state_and_sender_rules_are_recognised_only() -> None:
    """Their forms are known, with their arguments; another form, or one of another kind, is refused."""
    forms = {
        "key_is_new()": (RuleKind.STATE, Form("key_is_new", ())),
        "no_children()": (RuleKind.STATE, Form("no_children", ())),
        "consistent('JGDM,TA', 'TB')": (RuleKind.STATE, Form("consistent", ("JGDM,TA", "TB"))),
        "institution_is_sender()": (RuleKind.SENDER, Form("institution_is_sender", ())),
        "image_readable(TA)": (RuleKind.SENDER, Form("image_readable", ("TA",))),
    }
    for text, (kind, form) in forms.items():
        assert compile_check(text, DATASET, REGULATOR, kind) == form
    wrong = {
        "key_is_old()": RuleKind.STATE,
        "key_is_new(TA)": RuleKind.STATE,
        "consistent('TA', 'NOFIELD')": RuleKind.STATE,
        "consistent(TA, TB)": RuleKind.STATE,
        "image_readable()": RuleKind.SENDER,
        "image_readable('TA')": RuleKind.SENDER,
        "institution_is_sender() AND TRUE": RuleKind.SENDER,
        "in_order()": RuleKind.SENDER,
    }
    for text, kind in wrong.items():
        with pytest.raises(SpecError):
            compile_check(text, DATASET, REGULATOR, kind)
