from __future__ import annotations

import io
import zipfile
from datetime import date, datetime
from typing import TYPE_CHECKING

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.xml.constants import SHEET_MAIN_NS
from PIL import Image

from qianzhi.errors import SenderError
from qianzhi.runtime import workbooks
from qianzhi.runtime.workbooks import Column, Sheet

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = workbooks.write([Sheet("数据", [Column("甲"), Column("乙")], [("a", "b")])])
WRITABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=40)


def _sheet(*rows: tuple[workbooks.Value, ...], columns: int = 2) -> Sheet:
    return Sheet("数据", [Column(f"列{at}") for at in range(columns)], rows)


@given(st.lists(st.tuples(WRITABLE, WRITABLE), max_size=5))
def test_texts_come_back_as_they_went(rows: list[tuple[str, str]]) -> None:
    """Whatever is written is read again, but for blanks around it and blank rows at the end."""
    wanted = [tuple(cell.strip() for cell in row) for row in rows]
    while wanted and not any(wanted[-1]):
        wanted.pop()

    (table,) = workbooks.read(workbooks.write([_sheet(*rows)]))

    assert (table.name, list(table.rows[1:])) == ("数据", wanted)


@pytest.mark.parametrize("text", ["=1+1", '=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0"])
def test_no_text_is_written_as_a_formula(text: str) -> None:
    """A name that begins like a formula is a text for Excel, also after its cell was edited."""
    book = openpyxl.load_workbook(io.BytesIO(workbooks.write([_sheet((text, "b"))])))

    cell = book["数据"]["A2"]

    assert (cell.data_type, cell.value, cell.quotePrefix) == ("s", text, True)


def test_what_no_workbook_holds_is_replaced() -> None:
    """A control character in a record spoils no export."""
    (table,) = workbooks.read(workbooks.write([_sheet(("a\x00b\x1fc", "x" * 40_000))]))

    assert table.rows[1] == ("a\ufffdb\ufffdc", "x" * 32_767)


def test_dates_and_numbers_are_read_as_the_regulators_write_them() -> None:
    """Excel keeps dates and whole numbers in ways of its own; a reader of texts sees what a person typed."""
    row = (date(2026, 3, 1), datetime(2026, 3, 1, 8, 5, 9), 7, 7.0, 1.25, True)

    (table,) = workbooks.read(workbooks.write([_sheet(row, columns=6)]))

    assert table.rows[1] == ("2026-03-01", "2026-03-01 08:05:09", "7", "7", "1.25", "T")


def test_an_identity_number_typed_as_a_number_is_told() -> None:
    """Excel keeps fifteen digits of a number, so the last three of an identity number are lost."""
    (table,) = workbooks.read(workbooks.write([_sheet(("110101199003070000", 110101199003070000.0))]))

    assert table.doubtful == {(1, 1)}


def test_choices_are_offered_by_the_sheet_itself() -> None:
    """A list of choices longer than what Excel takes in place is kept in a sheet nobody sees, which no reader gets."""
    choices = tuple(f"{number} 一个很长的名称" for number in range(100))
    content = workbooks.write([Sheet("模板", [Column("科室", choices=choices), Column("名称", required=True)])])

    book = openpyxl.load_workbook(io.BytesIO(content))
    (offered,) = book["模板"].data_validations.dataValidation
    hidden = book["choices"]

    assert (offered.formula1, str(offered.sqref)) == ("choices!$A$1:$A$100", "A2:A5001")
    assert tuple(str(cell.value) for cell in hidden["A"]) == choices
    assert [table.name for table in workbooks.read(content)] == ["模板"]


def _bomb() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as parts:
        for number in range(3):
            parts.writestr(f"xl/{number}.xml", b"\0" * 200_000_000)
    return content.getvalue()


def _many_tags() -> bytes:
    tags = b"<a/>" * (workbooks.MARKUP_MAX + 1)
    return _with_part("xl/worksheets/sheet1.xml", b"<worksheet>" + tags + b"</worksheet>")


def _with_part(name: str, part: bytes) -> bytes:
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbooks.write([_sheet(("a", "b"))]))) as source,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as parts,
    ):
        for each in source.namelist():
            parts.writestr(each, part if each == name else source.read(each))
    return content.getvalue()


def _laughs() -> bytes:
    return _with_part(
        "xl/worksheets/sheet1.xml",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><worksheet>&b;</worksheet>',
    )


def _outside() -> bytes:
    return _with_part(
        "xl/workbook.xml",
        b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><workbook>&a;</workbook>',
    )


def _far_row() -> bytes:
    return _with_part(
        "xl/worksheets/sheet1.xml",
        f'<worksheet xmlns="{SHEET_MAIN_NS}"><sheetData>'
        '<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData></worksheet>'.encode(),
    )


def _far_column() -> bytes:
    return _with_part(
        "xl/worksheets/sheet1.xml",
        f'<worksheet xmlns="{SHEET_MAIN_NS}"><sheetData>'
        '<row r="1"><c r="XFD1"><v>1</v></c></row></sheetData></worksheet>'.encode(),
    )


def _picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 4)).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(
    "made",
    [
        _bomb,
        _many_tags,
        _laughs,
        _outside,
        _far_row,
        _far_column,
        _picture,
        bytes,
        lambda: b"PK\x03\x04" + b"\xff" * 100,
        lambda: b"\0" * (workbooks.FILE_BYTES_MAX + 1),
        lambda: workbooks.write([_sheet(("a", "b"))])[:-40],
        lambda: _with_part("xl/workbook.xml", b"<workbook/>"),
        lambda: _with_part("xl/worksheets/sheet1.xml", b"no xml"),
    ],
    ids=[
        "bomb", "tags", "laughs", "outside", "far row", "far column", "picture", "empty", "damaged", "large", "cut",
        "no sheets", "no xml",
    ],
)  # fmt: skip
def test_a_hostile_or_damaged_file_is_the_senders(made: Callable[[], bytes]) -> None:
    """Whatever an upload holds, its sender is told; nothing unpacks without bound, nothing outside is read."""
    with pytest.raises(SenderError):
        workbooks.read(made())


@given(st.data())
def test_no_damage_is_anybody_elses(data: st.DataObject) -> None:
    """A workbook with any byte changed is read or refused, and never ends in another exception."""
    content = bytearray(SMALL)
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))

    try:
        tables = workbooks.read(bytes(content))
    except SenderError:
        return

    assert all(isinstance(cell, str) for table in tables for row in table.rows for cell in row)
