"""A hospital's own codes: the map to a standard code system, and how much of what is sent it covers."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.codes.domain import Domain

COLUMNS: Final = ("local", "standard", "note")
MAP_BYTES_MAX: Final = 32 * 1024 * 1024
COUNTS: Final = pl.Schema({"local": pl.String, "rows": pl.Int64})
"""What `coverage` is asked about: each distinct local value with the number of rows that hold it."""


@dataclass(frozen=True, slots=True)
class CodeMap:
    """Local code → standard code, for one code system."""

    system: str
    rows: Mapping[str, str]

    def apply(self, values: pl.Series) -> pl.Series:
        """Return the column with standard codes; a value without a row stays as it is, for the checks to name it."""
        mapped = self.standard(values)
        return mapped.zip_with(mapped.is_not_null(), values)

    def standard(self, values: pl.Series) -> pl.Series:
        """Return the standard code of each value, blanks around it aside; null without a row."""
        return values.str.strip_chars().replace_strict(dict(self.rows), default=None, return_dtype=pl.String)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a map covers. `frame`: local String, rows Int64, standard String (null: not covered), most rows first."""

    frame: pl.DataFrame

    @property
    def missing(self) -> pl.DataFrame:
        """The local values that still need a row."""
        return self.frame.filter(pl.col("standard").is_null())

    @property
    def share(self) -> float:
        """The share of rows that are covered, 0 to 1; 1 when there are none."""
        total = int(self.frame["rows"].sum())
        return 1.0 if total == 0 else 1.0 - int(self.missing["rows"].sum()) / total


def coverage(code_map: CodeMap, domain: Domain, counts: pl.DataFrame) -> Coverage:
    """Return what the map, or the domain itself, covers of the values counted (`COUNTS`); missing ones aside."""
    present = counts.filter(pl.col("local").str.strip_chars() != "")
    mapped = code_map.apply(present["local"]).str.strip_chars()
    covered = pl.when(domain.contains(pl.col("standard"))).then(pl.col("standard"))
    frame = present.with_columns(mapped.alias("standard")).with_columns(covered.alias("standard"))
    return Coverage(frame.sort("rows", "local", descending=[True, False]))


def parse_code_map(content: bytes, domain: Domain, *, name: str) -> CodeMap:
    """Parse a UTF-8 CSV file `local,standard,note`. ConfigurationError names the file and the line it refuses."""
    rows: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line, local, standard in _lines(content, name):
        if not local or not standard:
            raise _refused(name, line, "a code is empty", "Give both the local and the standard code.")
        if local in rows:
            again = f"the local code of line {lines[local]} comes again"
            raise _refused(name, line, again, "Keep one of the two lines.")
        rows[local], lines[local] = standard, line
    _refuse_unknown(rows, lines, domain, name)
    return CodeMap(domain.system, rows)


def _lines(content: bytes, name: str) -> list[tuple[int, str, str]]:
    if len(content) > MAP_BYTES_MAX:
        raise _refused(name, 1, f"it is larger than {MAP_BYTES_MAX} bytes", "Give one file for each code system.")
    try:
        text = content.decode("utf-8-sig")  # spreadsheets put a mark in front
    except UnicodeDecodeError:
        raise _refused(name, 1, "it is not UTF-8", "Save it as CSV UTF-8.") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    if tuple(next(reader, ())) != COLUMNS:
        raise _refused(name, 1, "its first line is not the header", f"Begin it with {','.join(COLUMNS)}.")
    found = []
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(COLUMNS):
            raise _refused(name, reader.line_num, f"there are {len(cells)} cells", f"Give {len(COLUMNS)} cells.")
        found.append((reader.line_num, cells[0].strip(), cells[1].strip()))
    return found


def _refuse_unknown(rows: Mapping[str, str], lines: Mapping[str, int], domain: Domain, name: str) -> None:
    standards = pl.Series("standard", list(rows.values()), dtype=pl.String)
    for local, known in zip(rows, domain.members(standards).to_list(), strict=True):
        if not known:
            what = f"{rows[local]!r} is no code of {domain.system}"
            raise _refused(name, lines[local], what, "Correct the standard code.")


def _refused(name: str, line: int, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"The code map {name}, line {line}: {what}.", remedy=remedy)
