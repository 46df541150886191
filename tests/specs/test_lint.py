"""Remarks on folders that are in order."""

from __future__ import annotations

import pytest

from qianzhi.specs.lint import lint
from qianzhi.specs.load import parse_regulator

P, V = "datasets/person.toml", "datasets/visit.toml"

PLAIN = [
    "codes: the code system ICD-10 is used by no field and no rule",
    "visit: 1 of 11 fields are proposed (9%)",
]


def test_remarks_of_the_tiny_folder(files: dict[str, bytes]) -> None:
    """What is unused and what is proposed is remarked, in the order of the folder."""
    assert lint(parse_regulator(files)) == PLAIN


@pytest.mark.parametrize(
    ("path", "old", "new", "remark"),
    [
        (P, 'en = "Check the time."', 'en = ""', "person: the rule V10 has no English remedy"),
        (P, 'zh = "时间不在未来"', 'zh = ""', "person: the rule V10 has no Chinese title"),
        (P, 'severity = "warning"', 'severity = "error"', "person: the rule V10 rejects records, but is only proposed"),
        (V, 'en = "Send the person first."', 'en = ""', "visit: the reference V30 of KH has no English remedy"),
        (V, 'zh = "核对患者"', 'zh = ""', "visit: the repeat V37 of HZXM, HZXB has no Chinese remedy"),
        (V, ', note = "from a client"', "", "visit.HZXM: is proposed, without a source or a note"),
        (
            V,
            'format = "AN..50", status',
            'format = "AN..50", required = true, status',
            "visit.HZXM: is required and would reject a record, but is only proposed",
        ),
        (
            P,
            'format = "AN..18", required = true',
            'format = "AN..18"',
            "person: KH tells the record, its institution, its change or its time, but is not required",
        ),
        (P, '"DT15"', '"AN..20"', "person: occurred_at is SJSCSJ, which is neither a date nor a time"),
        ("codes/sex.csv", "9,", "99,", "person.XBDM: is too short for codes of GB/T 2261.1: 99"),
        ("codes/sex.csv", "未知的性别", "", "codes: the code system GB/T 2261.1 has codes without a name: 0"),
        ("replies.toml", "", None, "replies.toml: no reply code is known"),
    ],
)
def test_each_remark(files: dict[str, bytes], path: str, old: str, new: str | None, remark: str) -> None:
    """Each thing that its author may still want to settle is remarked once."""
    if new is None:
        del files[path]
    else:
        text = files[path].decode("utf-8")
        assert old in text
        files[path] = text.replace(old, new, 1).encode("utf-8")
    assert lint(parse_regulator(files)).count(remark) == 1


def test_code_system_of_a_rule_is_used(files: dict[str, bytes]) -> None:
    """A code system that only a rule names counts as used."""
    files[P] = files[P].replace(b"SJSCSJ <= as_of", b"in_codes('ICD-10', XM)")
    assert lint(parse_regulator(files)) == PLAIN[1:]
