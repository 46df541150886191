from __future__ import annotations

from datetime import datetime

import pytest

from qianzhi import regulators
from qianzhi.gateway.resources.form import Control, form_of, forms

REGULATOR = regulators.regulator("guangdong")
AT = datetime(2026, 11, 20, 9, 8, 7)


def test_the_regulator_says_what_people_keep() -> None:
    """The seven tables of the institution in the document's chapter 3, and none of patients or visits."""
    assert set(forms(REGULATOR)) == {
        "institution",
        "service_point",
        "institution_business",
        "department",
        "staff",
        "device",
        "contacts",
    }


def test_people_fill_in_everything_but_what_the_product_knows() -> None:
    """Institution, change and the two times are filled in; every other field is asked for, in the table's order."""
    dataset = REGULATOR.dataset("department")
    form = form_of(REGULATOR, dataset)

    assert [each.name for each in form.inputs] == ["KSBM", "KSMC", "BZKSDM", "YBJDM", "KSJS"]
    assert form.key == ("KSBM",)
    row = form.completed({"KSBM": " 01 ", "KSMC": "内科", "KSJS": ""}, institution="44", change="1", at=AT)
    assert row == {
        "JGDM": "44",
        "KSBM": "01",
        "KSMC": "内科",
        "BZKSDM": None,
        "YBJDM": None,
        "KSJS": None,
        "SJSCSJ": "2026-11-20 09:08:07",
        "TBRQSJ": "2026-11-20 09:08:07",
        "CXBZ": "1",
    }


@pytest.mark.parametrize(
    ("name", "control", "required"),
    [
        ("YHRYXM", Control.LINE, True),
        ("XB", Control.CHOICE, True),
        ("CSRQ", Control.DATE, True),
        ("ZCSJ", Control.INSTANT, True),
        ("ZC", Control.PARAGRAPH, False),
        ("GRZPCFDZ", Control.IMAGE, True),
        ("ZGZCFDZ", Control.IMAGE, False),
    ],
)
def test_a_control_follows_from_format_codes_and_image(name: str, control: Control, required: bool) -> None:
    """What a field is in the regulator's file decides how it is entered."""
    found = forms(REGULATOR)["staff"].input(name)

    assert (found.control, found.required) == (control, required)


def test_codes_are_chosen_with_their_names() -> None:
    """A list shows code and name; code, both together, or a name that only one code has mean the code."""
    sex = forms(REGULATOR)["staff"].input("XB")

    assert [choice.label for choice in sex.choices] == ["0 未知的性别", "1 男性", "2 女性", "9 未说明的性别"]
    assert sex.shown("2") == "2 女性"
    assert {sex.meant(text) for text in ("2", "2 女性", " 女性 ")} == {"2"}
    assert (sex.meant(""), sex.meant("M"), sex.shown("M"), sex.shown(None)) == (None, "M", "M", "")


def test_a_rule_that_names_a_code_system_offers_its_codes() -> None:
    """ZYFW has no code system of its own, but V03.1 wants one of the 诊疗科目 there."""
    assert ("02", "全科医疗科") in {
        (choice.code, choice.name) for choice in forms(REGULATOR)["staff"].input("ZYFW").choices
    }


def test_a_hint_says_how_a_value_is_written() -> None:
    """Length, form and code system, in both languages."""
    institution = forms(REGULATOR)["institution"]

    assert institution.input("KBZJJES").hint.zh == "数值，整数至多 12 位，小数至多 4 位"
    assert institution.input("KBZJJES").hint.en == "a number, at most 12 digits and 4 decimals"
    assert institution.input("XZQHDM").hint.zh == "值域 GB/T 2260，至多 6 个字符"
    assert institution.input("JGCLRQ").hint.en == "a date YYYY-MM-DD"
