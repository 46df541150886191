from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.checks.tiny import PERSON, make_dataset, make_field, make_regulator

from qianzhi.checks.checker import checker
from qianzhi.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.checks.checker import Checked


def test_a_good_row_has_no_findings(found: Callable[..., list[tuple[object, ...]]]) -> None:
    """Nothing is wrong with a row that gives what is required, as it is asked for."""
    assert found({}) == []


@pytest.mark.parametrize("value", [None, "", "  ", "\u3000"])
def test_a_required_field_without_value_is_missing(
    found: Callable[..., list[tuple[object, ...]]], value: str | None
) -> None:
    """Nothing, the empty text and blanks are all missing, in text, coded and number fields alike."""
    assert found({"XM": value, "XBDM": value, "NLS": value}) == [
        (1, "V01", "E01", "NLS"),
        (1, "V01", "E01", "XBDM"),
        (1, "V01", "E01", "XM"),
    ]


def test_a_required_value_that_does_not_parse_is_not_missing_as_well(
    found: Callable[..., list[tuple[object, ...]]],
) -> None:
    """One value, one finding."""
    assert found({"NLS": "三十"}) == [(1, "V02", "E03", "NLS")]


def test_lengths_count_characters_of_the_stripped_text(found: Callable[..., list[tuple[object, ...]]]) -> None:
    """Four characters of twelve bytes fit AN..4, blanks around them or not; a fifth does not."""
    assert found({"XM": "张三李四"}, {"XM": " 张三李四 "}, {"XM": "张三李四王"}, {"XM": "𠮷𠮷𠮷𠮷"}) == [
        (3, "V02", "E02", "XM")
    ]


def test_an_exact_length_is_exact(found: Callable[..., list[tuple[object, ...]]]) -> None:
    """AN6 is neither five characters nor seven."""
    assert found({"YB": "510000"}, {"YB": "51000"}, {"YB": "5100000"}, {"YB": None}) == [
        (2, "V02", "E02", "YB"),
        (3, "V02", "E02", "YB"),
    ]


def test_a_code_outside_its_domain_is_found(checked: Callable[..., Checked]) -> None:
    """A found domain rejects, a proposed one warns, and a flag has a code of its own."""
    findings = checked({"XBDM": "9", "CBLB": "99", "GMSBS": "t"}).findings

    assert findings.select("code", "class", "field", "value", "severity").rows() == [
        ("V03", "E04", "CBLB", "99", "warning"),
        ("V03", "E04", "XBDM", "9", "error"),
        ("V11", "E04", "GMSBS", "t", "error"),
    ]


def test_codes_are_looked_up_without_the_blanks_around_them(checked: Callable[..., Checked]) -> None:
    """A padded code belongs to its domain, among others that are written plainly or not at all."""
    judged = checked({"XBDM": "1 "}, {"XBDM": "2"}, {"XBDM": "\u30001", "CBLB": " "}, {"CBLB": "01"})

    assert judged.findings.is_empty()
    assert judged.typed["XBDM"].to_list() == ["1", "2", "1", "1"]
    assert judged.typed["CBLB"].to_list() == [None, None, None, "01"]
    assert judged.raw["XBDM"].to_list() == ["1 ", "2", "\u30001", "1"]


def test_loose_spellings_belong_to_the_domain(found: Callable[..., list[tuple[object, ...]]]) -> None:
    """Where a leading zero may be left out, both spellings are accepted."""
    assert found({"CBLB": "1"}, {"CBLB": "02"}) == []


def test_a_code_that_is_too_long_is_one_finding(found: Callable[..., list[tuple[object, ...]]]) -> None:
    """What does not fit the column is not also looked up."""
    assert found({"XBDM": "12"}, {"XBDM": "3"}) == [(1, "V02", "E02", "XBDM"), (2, "V03", "E04", "XBDM")]


@pytest.mark.parametrize("sign", ["\x00", "\x01", "\x08", "\x0b", "\x0c", "\x0e", "\x1f", "\x7f", "\ufffd"])
def test_control_characters_are_warned_of(checked: Callable[..., Checked], sign: str) -> None:
    """C0, DEL and the sign for what was not decoded are found in the middle of a text."""
    findings = checked({"GMS": f"青霉素{sign}过敏，皮疹"}, {"GMS": "无"}).findings

    assert findings.select("row_id", "code", "class", "field", "severity").rows() == [
        (1, "V12", "E03", "GMS", "warning")
    ]


def test_tabs_line_breaks_and_chinese_are_no_control_characters(found: Callable[..., list[tuple[object, ...]]]) -> None:
    """Text of several lines is text, also with full-width punctuation and rare characters."""
    assert found({"GMS": "一\t二\r\n三，（）！ｶﾞ𠮷éü€"}) == []


def test_a_field_of_an_unknown_code_system_is_refused() -> None:
    """A dataset that names a code system that does not exist cannot be checked."""
    dataset = make_dataset([make_field("LX", "AN1", codes="D-NOTHING")])

    with pytest.raises(SpecError, match=r"LX of visit names the code system 'D-NOTHING'"):
        checker(make_regulator(PERSON, dataset), dataset)


def test_a_coded_field_is_a_text() -> None:
    """A number would lose the leading zero of a code."""
    dataset = make_dataset([make_field("LX", "N2", codes="D-SEX")])

    with pytest.raises(SpecError, match="LX of visit has a code system and the format N2"):
        checker(make_regulator(PERSON, dataset), dataset)
