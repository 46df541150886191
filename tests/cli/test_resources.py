from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest
from tests.cli.conftest import ask, call
from tests.gateway.resources import books
from tests.gateway.resources.conftest import drawn

DEPARTMENT = "科室字典表"


@pytest.fixture
def filled(home: Path, tmp_path: Path) -> Path:
    """The workbook of departments as it stands now."""
    file = tmp_path / "departments.xlsx"
    made = call(home, "gateway", "resources", "template", str(file), "--dataset", "department", "--filled")
    assert made.exit_code == 0, made.output
    return file


def test_a_workbook_goes_the_whole_way(home: Path, filled: Path) -> None:
    """Downloaded, filled in, looked at, saved, listed, shown; once more it changes nothing."""
    row = {"KSBM": "R01", "KSMC": "示例科", "BZKSDM": "03 内科"}
    filled.write_bytes(books.put(filled.read_bytes(), DEPARTMENT, row))

    words = ("gateway", "resources")
    preview = ask(home, *words, "preview", str(filled))
    assert preview == {
        "datasets": {"department": {"new": 1, "modify": 0, "revoke": 0, "unchanged": 0}},
        "errors": 0,
        "findings_count": 0,
        "findings": [],
    }
    assert ask(home, *words, "list") == []
    assert ask(home, *words, "import", str(filled)) == preview
    (listed,) = ask(home, *words, "list", "--dataset", "department")
    assert (listed["key"], listed["state"], listed["live"]) == ("440000000000000001 R01", "waiting", False)
    shown = ask(home, *words, "show", "department", "R01")
    assert (shown["values"]["KSMC"], shown["values"]["BZKSDM"], shown["findings"]) == ("示例科", "03", [])
    assert "示例科" in call(home, *words, "show", "department", "R01").output
    again = call(home, *words, "import", str(filled))
    assert again.exit_code == 0, again.output
    assert len(ask(home, *words, "list")) == 1


def test_findings_are_told_with_their_cells(home: Path, filled: Path) -> None:
    """In either language; an error makes the exit code 1 and saves nothing."""
    row = {"KSBM": "R02", "KSMC": "=1+1", "BZKSDM": "9999"}
    filled.write_bytes(books.put(filled.read_bytes(), DEPARTMENT, row, first=9))
    picture = filled.with_name("unused.jpg")
    picture.write_bytes(drawn())

    words = ("gateway", "resources", "preview", str(filled), "--pictures", str(picture.parent))
    told = ask(home, *words, "--language", "en", code=1)
    assert [(each["code"], each["row"], each["column"]) for each in told["findings"]][:1] == [("formula", 9, "B")]
    assert {each["code"] for each in told["findings"]} >= {"formula", "picture-unused", "V03"}
    assert told["findings"][0]["reason"] == "The cell holds a formula"
    assert "单元格含有公式" in call(home, *words).output
    refused = call(home, "gateway", "resources", "import", str(filled))
    assert refused.exit_code == 1
    assert "R02" not in str(ask(home, "gateway", "resources", "list"))


def test_mistakes_in_a_command_are_named(home: Path, tmp_path: Path) -> None:
    """An unknown dataset is a mistake (2); a record that is not there, or a file that is none, a refusal."""
    file = tmp_path / "x.xlsx"
    file.write_bytes(b"nothing")
    book = openpyxl.Workbook()
    other = tmp_path / "other.xlsx"
    other.write_bytes(books.saved(book))

    assert call(home, "gateway", "resources", "list", "--dataset", "person").exit_code == 2
    for words in (("show", "department", "none"), ("preview", str(file)), ("preview", str(other))):
        assert call(home, "gateway", "resources", *words).exit_code == 1
