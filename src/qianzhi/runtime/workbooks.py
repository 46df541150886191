"""Excel workbooks, both ways: what comes in is bounded and text, what goes out holds no formula of anybody's."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import ParseError

import openpyxl
from defusedxml import DefusedXmlException
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.datavalidation import DataValidation

from qianzhi.errors import SenderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from openpyxl.cell import Cell
    from openpyxl.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FILE_BYTES_MAX: Final = 32 * 1024 * 1024
UNPACKED_BYTES_MAX: Final = 512 * 1024 * 1024
PARTS_MAX: Final = 2_000  # files within the file
MARKUP_MAX: Final = 5_000_000  # tags of all parts: the reader keeps some of them in memory, at 100 bytes each
SHEETS_MAX: Final = 64
ROWS_MAX: Final = 200_000  # of a sheet that is read; what lies behind is refused, never left out
COLUMNS_MAX: Final = 512
TEXT_MAX: Final = 32_767  # characters that Excel keeps in a cell
ROWS_WITH_CHOICES: Final = 5_000  # of a template
EXACT_NUMBER_MAX: Final = 10**15  # Excel keeps fifteen digits: a longer number is not what was typed

_BLOCK_BYTES: Final = 2**20
_CHOICES_SHEET: Final = "choices"
_TEXT_FORMAT: Final = "@"
_WIDTH: Final = 16
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # no XML holds them
_TITLE = re.compile(r"[\\/*?:\[\]]")
_HEAD = Font(bold=True)
_HEAD_FILL = PatternFill("solid", fgColor="E8EEF4")
_REQUIRED_FILL = PatternFill("solid", fgColor="FCE9C8")
_TOP = Alignment(vertical="top", wrap_text=True)

Value = str | float | date | None  # an instant is local, without a zone


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a sheet that is written; `choices` are offered in its cells, `required` colours its heading."""

    heading: str
    width: int = _WIDTH  # characters
    choices: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet that is written: headings, then rows."""

    name: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Value]] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """
    A sheet that was read: every cell a text, blank rows at the end left out, rows as wide as the widest.

    `doubtful` names cells (row, column; from 0) that held a number of more than fifteen digits, of which Excel has
    dropped some: an identity number must be typed as text.
    """

    name: str
    rows: tuple[tuple[str, ...], ...]
    doubtful: frozenset[tuple[int, int]] = frozenset()


def write(sheets: Sequence[Sheet]) -> bytes:
    """
    Return a workbook. Texts stay texts, whatever they begin with: neither Excel nor its user runs them as a formula.

    What no workbook can hold is replaced by U+FFFD, a text too long is cut.
    """
    book = openpyxl.Workbook(write_only=True)
    lists: list[tuple[str, ...]] = []
    for sheet in sheets:
        _write_sheet(book.create_sheet(_title(sheet.name)), sheet, lists)
    if lists:
        _write_choices(book, lists)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def written(text: str) -> str:
    """Return a text as a cell holds it: what no workbook can hold replaced by U+FFFD, and cut to TEXT_MAX."""
    return _UNWRITABLE.sub("\ufffd", text)[:TEXT_MAX]


def read(content: bytes) -> tuple[Table, ...]:
    """
    Return the sheets of a workbook (.xlsx); hidden ones are left out, formulas give the value that was saved.

    Raises SenderError for anything that is no workbook, or not one within the bounds.
    """
    _refuse_oversized(content)
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
    except UNREADABLE as error:
        raise _no_workbook() from error
    try:
        if len(book.worksheets) > SHEETS_MAX:
            raise _too_much(f"more than {SHEETS_MAX} sheets")
        tables = [_table(str(each.title), each.values) for each in book.worksheets if each.sheet_state == "visible"]
    except UNREADABLE as error:
        raise _no_workbook() from error
    finally:
        book.close()
    if not tables:
        raise _no_workbook()
    return tuple(tables)


# Whatever a damaged or hostile file makes of the reader, it is the sender's to correct.
UNREADABLE = (
    ArithmeticError,
    AttributeError,
    DefusedXmlException,
    EOFError,
    InvalidFileException,
    LookupError,
    NotImplementedError,
    OSError,
    ParseError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)


def _refuse_oversized(content: bytes) -> None:
    if len(content) > FILE_BYTES_MAX:
        raise _too_much(f"{FILE_BYTES_MAX // 2**20} MiB")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            _refuse_bombs(parts)
    except UNREADABLE as error:
        raise _no_workbook() from error


def _refuse_bombs(parts: zipfile.ZipFile) -> None:
    listed = parts.infolist()
    # The sizes that a file states of its parts are those at which its reader stops.
    if len(listed) > PARTS_MAX or sum(part.file_size for part in listed) > UNPACKED_BYTES_MAX:
        raise _too_much(f"{PARTS_MAX} parts or {UNPACKED_BYTES_MAX // 2**20} MiB unpacked")
    left = MARKUP_MAX
    for part in listed:
        with parts.open(part) as opened:
            while block := opened.read(_BLOCK_BYTES):
                left -= block.count(b"<")
                if left < 0:
                    raise _too_much(f"{MARKUP_MAX} tags")


def _no_workbook() -> SenderError:
    return SenderError("The file is not a workbook that can be read.", remedy="Save it as .xlsx and upload it again.")


def _too_much(bound: str) -> SenderError:
    return SenderError(f"The workbook goes beyond a bound: {bound}.", remedy="Split it and upload the parts.")


def _table(name: str, values: Iterator[tuple[object, ...]]) -> Table:
    rows: list[tuple[str, ...]] = []
    doubtful: set[tuple[int, int]] = set()
    for number, cells in enumerate(values):
        if number >= ROWS_MAX or len(cells) > COLUMNS_MAX:
            raise _too_much(f"{ROWS_MAX} rows or {COLUMNS_MAX} columns of a sheet")
        rows.append(tuple(_text(cell) for cell in cells))
        doubtful.update((number, at) for at, cell in enumerate(cells) if _is_doubtful(cell))
    while rows and not any(rows[-1]):
        rows.pop()
    width = max(map(len, rows), default=0)
    return Table(name, tuple(row + ("",) * (width - len(row)) for row in rows), frozenset(doubtful))


def _is_doubtful(cell: object) -> bool:
    return isinstance(cell, int | float) and abs(cell) >= EXACT_NUMBER_MAX


def _text(cell: object) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "T" if cell else "F"
        case float() if cell.is_integer():
            return str(int(cell))
        case datetime() if cell.time() == time():
            return cell.date().isoformat()
        case datetime():
            return cell.isoformat(sep=" ", timespec="seconds")
        case _:
            return str(cell).strip()


def _title(name: str) -> str:
    return _TITLE.sub("_", name)[:31]  # what Excel allows


def _write_sheet(target: Worksheet, sheet: Sheet, lists: list[tuple[str, ...]]) -> None:
    target.freeze_panes = "A2"
    for at, column in enumerate(sheet.columns, start=1):
        letter = get_column_letter(at)
        target.column_dimensions[letter].width = column.width
        if column.choices:
            lists.append(column.choices)
            _offer(target, letter, column.choices, len(lists))
    if sheet.columns:
        last = get_column_letter(len(sheet.columns))
        target.auto_filter.ref = f"A1:{last}1"
    target.append([_heading(target, column) for column in sheet.columns])
    for row in sheet.rows:
        target.append([_cell(target, value) for value in row])


def _heading(target: Worksheet, column: Column) -> Cell:
    cell = _cell(target, column.heading)
    cell.font, cell.alignment = _HEAD, _TOP
    cell.fill = _REQUIRED_FILL if column.required else _HEAD_FILL
    return cell


def _cell(target: Worksheet, value: Value) -> Cell:
    cell = WriteOnlyCell(target)
    if not isinstance(value, str):
        cell.value = value
        return cell
    cell.value = written(value)
    cell.data_type = "s"  # the library takes what begins with "=" for a formula
    cell.number_format = _TEXT_FORMAT
    cell.quotePrefix = True  # and Excel would, once somebody edits the cell
    return cell


def _offer(target: Worksheet, letter: str, choices: tuple[str, ...], place: int) -> None:
    at = get_column_letter(place)
    offered = DataValidation("list", formula1=f"{_CHOICES_SHEET}!${at}$1:${at}${len(choices)}", allow_blank=True)
    offered.add(f"{letter}2:{letter}{ROWS_WITH_CHOICES + 1}")
    target.data_validations.append(offered)


def _write_choices(book: Workbook, lists: list[tuple[str, ...]]) -> None:
    target = book.create_sheet(_CHOICES_SHEET)
    target.sheet_state = "hidden"
    for number in range(max(map(len, lists))):
        target.append([_cell(target, each[number] if number < len(each) else None) for each in lists])
