"""The data of the Guangdong folder, against the tables it was taken from."""

from __future__ import annotations

import csv
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import qianzhi.regulators
from qianzhi.specs.model import Dataset, RuleKind, Severity, Status

ROOT = Path(qianzhi.regulators.__file__).parent / "guangdong"
SPEC = Path(__file__).parents[4] / "shared" / "specs" / "internet-hospital.md"

# Section of the spec and number of columns, in the order of the parents first.
DATASETS = {
    "institution": ("2.6", 41),
    "service_point": ("2.7", 31),
    "department": ("2.9", 9),
    "staff": ("2.10", 32),
    "institution_business": ("2.8", 23),
    "device": ("2.11", 19),
    "contacts": ("2.12", 7),
    "person": ("2.1", 42),
    "treatment_record": ("2.2", 49),
    "treatment_order": ("2.3", 63),
    "treatment_diagnose": ("2.4", 31),
    "treatment_referral": ("2.5", 32),
}

OPTIONAL = {"treatment_referral", "service_point"}  # SEED-000 ch. 3: 是否必须提供 否

CODES = {
    "subjects": 181,
    "ws-218": 227,
    "gbt-3304": 56 + 2,  # the standard's, and two that clients use
    "gbt-4658": 40,
    "gbt-8561": 21,
    "gbt-2261-1": 4,
    "gbt-2261-2": 8,
    "cv08-50-002": 83,
    "cv06-00-102": 24,
    "cv06-00-228": 15,
    "cv02-01-101": 8,
    "d-klx": 8,
    "d-ypcfsx": 8,
}

# Codes whose findings may reject a record; nothing else does.
REJECTING = {"V20", "V21", "V22", "V30", "V31", "V41.1", "V41.2", "V41.3", "V85.1", "V85.2"}


def dataset(name: str) -> Dataset:
    """Return a dataset of the shipped folder."""
    return qianzhi.regulators.regulator("guangdong").dataset(name)


@cache
def printed(section: str) -> list[list[str]]:
    """Return the rows of a spec table: number, name, title, type, requiredness, domain, status."""
    if not SPEC.is_file():
        pytest.skip("the specification is not beside the repository")
    text = SPEC.read_text(encoding="utf-8")
    table = text[text.index(f"### {section} ") :].split("\n### ", 1)[0]
    lines = [line for line in table.splitlines() if re.match(r"\| \d+ \| ", line)]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def notation(printed_type: str, *, coded: bool) -> str:
    """Return the notation of WS 445 for a type of the spec."""
    kind, _, size = printed_type.split(" (", maxsplit=1)[0].rstrip(")").partition("(")
    simple = {"text": "AN", "date": "D8", "timestamp": "DT15", "char": f"AN{size}", "varchar": f"AN..{size}"}
    return simple.get(kind) or (f"AN..{size}" if coded else f"N..{size}")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.toml")), ids=lambda path: path.name)
def test_every_file_is_toml(path: Path) -> None:
    """Every TOML file of the folder parses by itself."""
    content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    assert content


def test_the_twelve_datasets_come_parents_first() -> None:
    """The regulator lists its twelve datasets in the order in which they can be accepted."""
    regulator = qianzhi.regulators.regulator("guangdong")
    assert [each.name for each in regulator.datasets] == list(DATASETS)
    assert {each.name for each in regulator.datasets if not each.obliged} == OPTIONAL


@pytest.mark.parametrize(("name", "count"), [(name, count) for name, (_, count) in DATASETS.items()])
def test_a_dataset_has_all_its_columns(name: str, count: int) -> None:
    """A dataset has as many fields as its table has columns."""
    assert len(dataset(name).fields) == count


def test_there_are_379_columns() -> None:
    """The twelve datasets have the 379 columns that the specification counts."""
    assert sum(len(dataset(name).fields) for name in DATASETS) == 379


@pytest.mark.parametrize(("name", "section"), [(name, section) for name, (section, _) in DATASETS.items()])
def test_names_and_titles_are_those_of_the_table(name: str, section: str) -> None:
    """Names, titles and their order are exactly those of the table."""
    fields = [(field.name, field.title) for field in dataset(name).fields]
    assert fields == [(row[1], row[2]) for row in printed(section)]


@pytest.mark.parametrize(("name", "section"), [(name, section) for name, (section, _) in DATASETS.items()])
def test_formats_are_those_of_the_table(name: str, section: str) -> None:
    """Each format says the type and length of the table; a month is six digits."""
    formats = {field.name: field.format.notation for field in dataset(name).fields}
    coded = {field.name for field in dataset(name).fields if field.codes}
    expected = {row[1]: notation(row[3], coded=row[1] in coded) for row in printed(section)}
    if name == "institution_business":
        expected["NF"] = "N6"
    assert formats == expected


@pytest.mark.parametrize(("name", "section"), [(name, section) for name, (section, _) in DATASETS.items()])
def test_required_and_status_are_those_of_the_table(name: str, section: str) -> None:
    """A field is required where the table says R, and SJSCSJ everywhere; a type that is proposed is said to be."""
    fields = dataset(name).fields
    rows = printed(section)
    assert [field.required for field in fields] == [row[4] == "R" or row[1] == "SJSCSJ" for row in rows]
    assert [field.status is Status.PROPOSED for field in fields] == ["type PROPOSED" in row[6] for row in rows]


@pytest.mark.parametrize(("name", "section"), [(name, section) for name, (section, _) in DATASETS.items()])
def test_a_field_has_the_code_system_of_the_table(name: str, section: str) -> None:
    """Where the table points at a list, the field names it; no other list is named in its place."""
    for field, row in zip(dataset(name).fields, printed(section), strict=True):
        if row[5].startswith("→ ") and field.name != "ZYFW":  # the table gives ZYFW a choice of lists
            assert field.codes is not None, field.name
            assert row[5].removeprefix("→ ").startswith(field.codes.split(" 经济类型")[0]), field.name


@pytest.mark.parametrize(("name", "count"), CODES.items())
def test_a_code_list_is_complete(name: str, count: int) -> None:
    """A code list has as many codes as its source, each once and with a name."""
    with (ROOT / "codes" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len({row["code"] for row in rows}) == count
    assert all(row["name"] for row in rows)


def test_only_structure_rejects() -> None:
    """Nothing but identity, change chain, parents, pictures and the third party can reject a record by rule."""
    datasets = [dataset(name) for name in DATASETS]
    rejecting = {rule.code for each in datasets for rule in each.rules if rule.severity is Severity.ERROR}
    rejecting |= {refers.code for each in datasets for refers in each.references if refers.severity is Severity.ERROR}
    assert rejecting == REJECTING


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_guards_identity_and_changes(name: str) -> None:
    """Each dataset checks whose row it is, and the chain of new, changed and withdrawn rows."""
    rules = {rule.check: rule.kind for rule in dataset(name).rules}
    assert rules["institution_is_sender()"] is RuleKind.SENDER
    for check in ("key_is_new()", "key_is_held()", "in_order()", "not_repeated()"):
        assert rules[check] is RuleKind.STATE


def test_pictures_are_marked_and_checked() -> None:
    """The three pictures of a member of staff are marked, and each is read before its row is sent."""
    staff = dataset("staff")
    images = [field.name for field in staff.fields if field.image]
    assert images == ["GRZPCFDZ", "ZGZCFDZ", "ZYZCFDZ"]
    assert {f"image_readable({name})" for name in images} <= {rule.check for rule in staff.rules}


@pytest.mark.parametrize("name", ["XM", "ZJHM", "KH", "CSRQ", "SJHM", "DZYJ", "JZDZ", "GDDHHM", "LXRDH"])
def test_what_names_a_person_is_personal(name: str) -> None:
    """Name, numbers, addresses and birth date of a person are marked, so that no log shows them."""
    assert dataset("person").field(name).personal
