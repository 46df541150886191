"""An export of the official console as tables of text: a workbook, or CSV in UTF-8, UTF-16 or GBK."""

from __future__ import annotations

import codecs
import csv
import io
import re
from typing import TYPE_CHECKING, Final

from qianzhi.errors import SenderError
from qianzhi.runtime import workbooks
from qianzhi.runtime.workbooks import COLUMNS_MAX, FILE_BYTES_MAX, ROWS_MAX, Table

if TYPE_CHECKING:
    from pathlib import Path

BEGIN_CHARACTERS: Final = 4_000  # that tell what separates cells: titles stand above the headings

_WORKBOOK: Final = b"PK\x03\x04"
_OLD_WORKBOOK: Final = b"\xd0\xcf\x11\xe0"
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_GUESSES: Final = ("utf-8", "gb18030")  # which holds all of GBK
_SEPARATORS: Final = (",", "\t", ";")
_GUARDED = re.compile(r'="(.*)"', re.DOTALL)  # how a CSV keeps Excel from making a number of a text
_SAVE: Final = "Export it from the official console again, as .xlsx or as CSV."


def read_file(path: Path) -> bytes:
    """Return the bytes of an export. Raises SenderError where it cannot be read, or is larger than the bound."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise SenderError(
            f"The file cannot be read: {error.strerror or type(error).__name__}.", remedy="Name a file that can be."
        ) from error
    if len(content) > FILE_BYTES_MAX:
        raise _too_much(f"{FILE_BYTES_MAX // 2**20} MiB")
    return content


def read(content: bytes) -> tuple[Table, ...]:
    """Return the tables of an export. Raises SenderError for anything that is none, or not within the bounds."""
    if content.startswith(_WORKBOOK):
        return workbooks.read(content)
    if content.startswith(_OLD_WORKBOOK) or content.lstrip()[:1] == b"<":
        raise SenderError("The file is neither .xlsx nor CSV.", remedy="Open it and save it as .xlsx.")
    return (_parsed(_decoded(content)),)


def _decoded(content: bytes) -> str:
    marked = [encoding for mark, encoding in _MARKS if content.startswith(mark)]
    for encoding in marked or _GUESSES:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise SenderError("The file is no text in UTF-8 or GBK.", remedy=_SAVE)


def _parsed(text: str) -> Table:
    begin = text[:BEGIN_CHARACTERS]
    separator = max(_SEPARATORS, key=begin.count)
    rows: list[tuple[str, ...]] = []
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            if len(rows) >= ROWS_MAX or len(cells) > COLUMNS_MAX:
                raise _too_much(f"{ROWS_MAX} rows or {COLUMNS_MAX} columns")
            rows.append(tuple(map(_cell, cells)))
    except csv.Error as error:
        raise SenderError(f"Line {len(rows) + 1} of the file is no CSV.", remedy=_SAVE) from error
    while rows and not any(rows[-1]):
        rows.pop()
    width = max(map(len, rows), default=0)
    return Table("", tuple(row + ("",) * (width - len(row)) for row in rows))


def _cell(text: str) -> str:
    stripped = text.strip()
    guarded = _GUARDED.fullmatch(stripped)
    return guarded[1].strip() if guarded else stripped


def _too_much(bound: str) -> SenderError:
    return SenderError(f"The file goes beyond a bound: {bound}.", remedy="Export a shorter time, and import the parts.")
