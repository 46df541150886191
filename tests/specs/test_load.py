"""A regulator's folder becomes a value, or is refused with file, place and remedy."""

from __future__ import annotations

import shutil
import subprocess
from datetime import time
from typing import TYPE_CHECKING

import pytest

from qianzhi.errors import SpecError
from qianzhi.specs.formats import ValueType
from qianzhi.specs.load import parse_regulator
from qianzhi.specs.model import ErrorClass, Resource, RuleKind, Severity, Status

if TYPE_CHECKING:
    from pathlib import Path


def test_whole_folder_is_read(files: dict[str, bytes]) -> None:
    """Everything that the folder says stands in the value."""
    regulator = parse_regulator(files)
    assert (regulator.key, regulator.name.en, regulator.edition) == ("tiny", "Tiny platform", "V1")
    assert (regulator.schedule.cut_off, regulator.schedule.cycle) == (time(2), time(3))
    assert (regulator.criteria.days, regulator.criteria.rows_per_dataset) == (5, 10)
    assert regulator.capabilities == {"rows", "evidence"}
    assert [dataset.name for dataset in regulator.datasets] == ["person", "visit"]
    assert regulator.replies == {"0": "accepted"}
    assert regulator.codes["GB/T 2261.1"].codes["2"] == "女性"
    assert regulator.codes["GB/T 2261.1"].loose == {"leading-zero"}
    assert regulator.codes["ICD-10"].check == "icd10"


def test_dataset_is_read(files: dict[str, bytes]) -> None:
    """Fields, key, change, reference, repeat and rule keep their order and their words."""
    person, visit = parse_regulator(files).datasets
    assert person.obliged
    assert person.key == ("JGDM", "KH")
    assert person.shared == (("XM", "XBDM"),)
    assert person.field("KH").personal
    assert visit.field("JE").format.type is ValueType.DECIMAL
    assert visit.field("HZXM").status is Status.PROPOSED
    (reference,) = visit.references
    assert (reference.code, reference.to, reference.blamed) == ("V30", "person", "KH")
    (repeat,) = reference.repeats
    assert (repeat.fields, repeat.group, repeat.error_class) == (("HZXM", "HZXB"), 0, ErrorClass.BUSINESS)
    (rule,) = person.rules
    assert (rule.kind, rule.severity, rule.check) == (RuleKind.ROW, Severity.WARNING, "SJSCSJ <= as_of")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
def test_a_dataset_may_be_kept_by_people(files: dict[str, bytes]) -> None:
    """It says so, and which field tells when a row was filled in, where there is one."""
    assert [dataset.resource for dataset in parse_regulator(files).datasets] == [None, None]
    for declared, wanted in (("{}", None), ('{ filled_at = "SJSCSJ" }', "SJSCSJ")):
        content = files[P].replace(b"\nshared", f"\nresource = {declared}\nshared".encode())
        assert parse_regulator({**files, P: content}).datasets[0].resource == Resource(wanted)


def test_digest_is_that_of_sha256sum(files: dict[str, bytes], tmp_path: Path) -> None:
    """The digest can be computed with standard tools over the sorted files."""
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    listing = subprocess.run(["sha256sum", *sorted(files)], cwd=tmp_path, capture_output=True, check=True).stdout
    expected = subprocess.run(["sha256sum"], input=listing, capture_output=True, check=True).stdout.split()[0].decode()
    assert parse_regulator(files).digest == expected


def test_digest_knows_only_the_rule_set(files: dict[str, bytes]) -> None:
    """A README or an adapter does not change the digest; a rule does."""
    before = parse_regulator(files).digest
    assert parse_regulator({**files, "README.md": b"x", "deliver.py": b"y", "examples/a.toml": b"z"}).digest == before
    changed = files["datasets/person.toml"].replace(b"AN..18", b"AN..20")
    assert parse_regulator({**files, "datasets/person.toml": changed}).digest != before


def test_folder_may_leave_out_replies_and_codes(files: dict[str, bytes]) -> None:
    """A regulator without code systems and without replies is in order."""
    for path in ("replies.toml", "codes/systems.toml", "codes/sex.csv"):
        del files[path]
    for path in ("datasets/person.toml", "datasets/visit.toml"):
        files[path] = files[path].replace(b'codes = "GB/T 2261.1", ', b"")
    regulator = parse_regulator(files)
    assert not regulator.codes
    assert not regulator.replies


P, V, R, S = "datasets/person.toml", "datasets/visit.toml", "regulator.toml", "codes/systems.toml"

BROKEN = [
    pytest.param(R, 'edition = "V1"', 'editon = "V1"', "regulator.toml: the key 'edition' is missing", id="misspelt"),
    pytest.param(R, 'key = "tiny"', 'key = "tiny"\nlimit = 1', "the key 'limit' is unknown", id="unknown key"),
    pytest.param(R, 'key = "tiny"', 'key = "Tiny"', "has capital letters", id="capital key"),
    pytest.param(R, 'key = "tiny"', 'key = "ti-ny"', "cannot name a table", id="key with a sign"),
    pytest.param(R, 'key = "tiny"', 'key = tiny"', "it is not TOML", id="not TOML"),
    pytest.param(R, 'key = "tiny"', "key = 7", "'key' is not a text", id="number for text"),
    pytest.param(R, 'key = "tiny"', 'key = " "', "'key' is blank", id="blank"),
    pytest.param(R, '["document 1"]', "[]", "'sources' is not a list of texts", id="no source"),
    pytest.param(R, '["document 1"]', "[1]", "'sources' holds something else", id="source is a number"),
    pytest.param(R, '["rows", "evidence"]', '["rows", "rows"]', "'capabilities' says one thing twice", id="twice"),
    pytest.param(R, '"evidence"', '"evidnce"', "the capability 'evidnce' is unknown", id="capability"),
    pytest.param(R, '"02:00"', '"2 o\'clock"', "regulator.toml, schedule: 'cut_off' is", id="time"),
    pytest.param(R, '"02:00"', '"02:00:07"', "'cut_off' is '02:00:07'", id="time with seconds"),
    pytest.param(R, "days = 5", "days = 0", "'days' is 0", id="no day"),
    pytest.param(R, "days = 5", "days = true", "'days' is not a whole number", id="true for a number"),
    pytest.param(R, "accepted_share = 1.0", "accepted_share = 95", "'accepted_share' is no share", id="percent"),
    pytest.param(R, '"person", "visit"', '"person"', "visit.toml: regulator.toml does not list", id="not listed"),
    pytest.param(R, '"visit"]', '"visit", "bill"]', "the file datasets/bill.toml is missing", id="no file"),
    pytest.param(R, '"person", "visit"', '"visit", "person"', "'person' comes no earlier than 'visit'", id="order"),
    pytest.param(P, 'title = "姓名"', 'titel = "姓名"', "fields[3] (XM): the key 'title' is missing", id="no title"),
    pytest.param(
        P, "personal = true", "persnal = true", "fields[2] (KH): the key 'persnal' is unknown", id="field key"
    ),
    pytest.param(P, '"AN..50"', '"VARCHAR"', "fields[3] (XM): The format 'VARCHAR'", id="format"),
    pytest.param(P, '"AN1", codes', '"N1", codes', "a field with codes has the format N1", id="coded number"),
    pytest.param(P, '"DT15"', '"DT15", image = true', "a field with an image has the format DT15", id="image"),
    pytest.param(P, 'name = "XM"', 'name = "kh"', "fields[3] (kh): its name comes twice", id="same field"),
    pytest.param(P, 'name = "XM"', 'name = "ID"', "its name is kept", id="reserved"),
    pytest.param(P, 'name = "XM"', 'name = "姓名"', "cannot name a table or a column", id="field name"),
    pytest.param(P, 'name = "XM"', f'name = "X{"M" * 63}"', "cannot name a table or a column", id="long name"),
    pytest.param(P, 'codes = "GB/T 2261.1"', 'codes = "GB/T 1"', "no code system 'GB/T 1'", id="code system"),
    pytest.param(P, 'required = true, status = "found"', 'status = "sure"', "'status' is 'sure'", id="status"),
    pytest.param(P, "required = true", 'required = "yes"', "'required' is not true or false", id="text for a flag"),
    pytest.param(P, 'key = ["JGDM", "KH"]', 'key = ["JGDM", "KX"]', "'key' names 'KX'", id="key field"),
    pytest.param(P, 'key = ["JGDM", "KH"]', "key = []", "'key' is not a list", id="no key"),
    pytest.param(P, 'institution = "JGDM"', 'institution = "JG"', "'institution' names 'JG'", id="institution"),
    pytest.param(P, 'occurred_at = "SJSCSJ"', 'occurred_at = "SJ"', "'occurred_at' names 'SJ'", id="occurred_at"),
    pytest.param(P, 'field = "CXBZ"', 'field = "CX"', "change: 'field' names 'CX'", id="change"),
    pytest.param(P, 'modify = "2"', 'modify = "1"', "two of new, modify and revoke", id="same operation"),
    pytest.param(P, 'modify = "2"', 'modfy = "2"', "change: the key 'modify' is missing", id="change key"),
    pytest.param(P, "\nshared", '\nresource = { filled_at = "TB" }\nshared', "'filled_at' names 'TB'", id="resource"),
    pytest.param(P, "\nshared", "\nresource = { at = 1 }\nshared", "the key 'at' is unknown", id="resource-key"),
    pytest.param(P, '["XM", "XBDM"]', '["XM", "XB"]', "'shared' names 'XB'", id="shared"),
    pytest.param(P, 'name = "person"', 'name = "people"', "the dataset is called 'people'", id="file name"),
    pytest.param(P, 'kind = "row"', 'kind = "rows"', "rules[1] (V10): 'kind' is 'rows'", id="kind"),
    pytest.param(P, 'severity = "warning"', 'severity = "fatal"', "'severity' is 'fatal'", id="severity"),
    pytest.param(P, 'class = "E10"', 'class = "E99"', "'class' is 'E99'", id="class"),
    pytest.param(P, 'field = "SJSCSJ"', 'field = "SJ"', "rules[1] (V10): 'field' names 'SJ'", id="rule field"),
    pytest.param(P, 'zh = "核对时间", en = "Check the time."', 'zh = " "', "both languages are blank", id="no remedy"),
    pytest.param(P, 'zh = "核对时间"', 'cn = "核对时间"', "remedy: the key 'cn' is unknown", id="language"),
    pytest.param(V, 'to = "person"', 'to = "people"', "(V30): there is no dataset 'people'", id="reference"),
    pytest.param(V, ', KH = "KH" }', " }", "'on' must give every field of the key of person", id="half a key"),
    pytest.param(V, 'KH = "KH" }', 'KH = "XM" }', "'on' must give every field of the key", id="not the key"),
    pytest.param(V, 'KH = "KH" }', 'KX = "KH" }', "references[1] (V30): 'on' names 'KX'", id="on"),
    pytest.param(V, 'KH = "KH" }', "KH = 1 }", "'on' is not a table of texts", id="on a number"),
    pytest.param(
        V, 'to = "person"', 'to = "visit"', "must give every field of the key of visit", id="self, half a key"
    ),
    pytest.param(V, "group = 0", "group = 1", "repeats (V37): person has 1 shared groups", id="group"),
    pytest.param(V, "group = 0", "group = -1", "'group' is -1", id="negative group"),
    pytest.param(V, '["HZXM", "HZXB"]', '["HZXM"]', "'fields' has 1 fields, the shared group 2", id="repeat"),
    pytest.param(V, '["HZXM", "HZXB"]', '["HZXM", "XB"]', "repeats[1] (V37): 'fields' names 'XB'", id="repeat field"),
    pytest.param(S, 'file = "sex.csv"', 'file = "sexes.csv"', "the file codes/sexes.csv is missing", id="no csv"),
    pytest.param(S, 'check = "icd10"', 'check = "icd11"', "the check 'icd11' is unknown", id="check"),
    pytest.param(S, 'check = "icd10"', 'check = "icd10"\nfile = "sex.csv"', "either a file or a check", id="both"),
    pytest.param(S, 'check = "icd10"', "", "either a file or a check", id="neither"),
    pytest.param(S, '"leading-zero"', '"zero"', "loose 'zero' is unknown", id="loose"),
    pytest.param(S, 'key = "ICD-10"', 'key = "GB/T 2261.1"', "its key comes twice", id="same system"),
    pytest.param("codes/sex.csv", "code,name", "code;name", "sex.csv, line 1: it is not the header", id="header"),
    pytest.param("codes/sex.csv", "9,", "2,", "sex.csv, line 5: the code '2' comes twice", id="same code"),
    pytest.param("codes/sex.csv", "9,", "9 ,", "the code is blank or has blanks", id="blank in a code"),
    pytest.param("codes/sex.csv", "9,", "9,a,", "line 5: there are 3 cells", id="cells"),
    pytest.param("replies.toml", 'verdict = "accepted"', "", "'verdict' is missing", id="verdict"),
]


@pytest.mark.parametrize(("path", "old", "new", "message"), BROKEN)
def test_one_broken_thing_is_refused(files: dict[str, bytes], path: str, old: str, new: str, message: str) -> None:
    """Each mistake is refused with its file, its place and a remedy."""
    text = files[path].decode("utf-8")
    assert old in text
    files[path] = text.replace(old, new, 1).encode("utf-8")
    with pytest.raises(SpecError) as caught:
        parse_regulator(files)
    assert message in caught.value.what
    assert caught.value.what.split(",")[0].split(":")[0] in {*files, "codes/systems.toml"}
    assert caught.value.remedy


def test_folder_needs_its_first_file(files: dict[str, bytes]) -> None:
    """A folder without regulator.toml is refused."""
    del files["regulator.toml"]
    with pytest.raises(SpecError, match=r"regulator\.toml: it is missing"):
        parse_regulator(files)


@pytest.mark.parametrize("path", ["regulator.toml", "datasets/visit.toml", "codes/sex.csv"])
def test_other_encodings_are_refused(files: dict[str, bytes], path: str) -> None:
    """A file in GB 18030 is named, not guessed at."""
    files[path] = (files[path].decode("utf-8") + "# 中文").encode("gb18030")
    with pytest.raises(SpecError, match=f"{path}: it is not UTF-8"):
        parse_regulator(files)


def test_code_file_that_nobody_names_is_refused(files: dict[str, bytes]) -> None:
    """A CSV without a code system is a mistake in the list, not a spare."""
    with pytest.raises(SpecError, match=r"codes/old\.csv: no code system names this file"):
        parse_regulator({**files, "codes/old.csv": b"code,name\n1,x\n"})


def test_code_file_without_codes_is_refused(files: dict[str, bytes]) -> None:
    """An empty domain would refuse every value."""
    with pytest.raises(SpecError, match=r"codes/sex\.csv: it holds no code"):
        parse_regulator({**files, "codes/sex.csv": b"code,name\n"})


def test_mark_of_a_spreadsheet_is_no_part_of_the_header(files: dict[str, bytes]) -> None:
    """A CSV file with a byte order mark is read."""
    files["codes/sex.csv"] = b"\xef\xbb\xbf" + files["codes/sex.csv"]
    assert parse_regulator(files).codes["GB/T 2261.1"].codes["1"] == "男性"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("rules", "the code 'V10' comes twice among the rules"),
        ("references", "the code 'V30' of KH comes twice among the references"),
    ],
)
def test_code_used_twice_is_refused(files: dict[str, bytes], table: str, message: str) -> None:
    """A finding's code names one rule of its dataset."""
    path = P if table == "rules" else V
    text = files[path].decode("utf-8")
    files[path] = (text + text[text.index(f"[[{table}]]") :]).encode("utf-8")
    with pytest.raises(SpecError, match=message):
        parse_regulator(files)


def test_one_code_may_blame_several_fields(files: dict[str, bytes]) -> None:
    """Two references share a code when they blame different fields."""
    text = files[V].decode("utf-8")
    reference = text[text.index("[[references]]") : text.index("[[references.repeats]]")]
    second = reference.replace('KH = "KH"', 'MZH = "KH"')
    files[V] = (text + second).encode("utf-8")
    visit = parse_regulator(files).dataset("visit")
    assert [(reference.code, reference.blamed) for reference in visit.references] == [("V30", "KH"), ("V30", "MZH")]


def test_ring_of_references_is_refused(files: dict[str, bytes]) -> None:
    """Two datasets that refer to each other have no order in which a hospital could send them."""
    reference = """
[[references]]
code = "V39"
to = "visit"
on = { JGDM = "JGDM", KH = "MZH" }
title = "环"
severity = "error"
status = "found"
source = "test"
remedy = { zh = "无", en = "None." }
"""
    files[P] += reference.encode("utf-8")
    with pytest.raises(SpecError, match="cannot form a ring"):
        parse_regulator(files)


def test_datasets_that_differ_in_case_are_refused(files: dict[str, bytes]) -> None:
    """Two tables of one name cannot stand in one schema."""
    files["regulator.toml"] = files["regulator.toml"].replace(b'"visit"]', b'"visit", "Visit"]')
    files["datasets/Visit.toml"] = files[V]
    with pytest.raises(SpecError, match="differ in capital letters only"):
        parse_regulator(files)


def test_reply_used_twice_is_refused(files: dict[str, bytes]) -> None:
    """One reply code has one verdict."""
    files["replies.toml"] *= 2
    with pytest.raises(SpecError, match=r"replies\.toml, replies\[2\] \(0\): its code comes twice"):
        parse_regulator(files)


def test_huge_file_is_refused(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the bound is refused before it is parsed."""
    monkeypatch.setattr("qianzhi.specs.folder.FILE_BYTES_MAX", 10)
    with pytest.raises(SpecError, match="larger than 10 bytes"):
        parse_regulator(files)
