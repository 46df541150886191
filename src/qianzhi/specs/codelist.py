"""Code systems: `codes/systems.toml` and the CSV files it names."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from qianzhi.specs.entry import Entry, parse_toml, refused
from qianzhi.specs.folder import SYSTEMS_FILE
from qianzhi.specs.model import CodeSystem, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKS: Final = frozenset({"area", "country", "icd10", "tcm"})
"""The domains that `qianzhi.codes` computes."""

LOOSE: Final = frozenset({"leading-zero", "dots"})
HEADER: Final = ["code", "name"]


def parse_systems(files: Mapping[str, bytes]) -> dict[str, CodeSystem]:
    """Parse every code system of the folder; none where it has no `codes/systems.toml`."""
    systems: dict[str, CodeSystem] = {}
    used: set[str] = set()
    if SYSTEMS_FILE in files:
        with parse_toml(files[SYSTEMS_FILE], SYSTEMS_FILE) as root:
            for entry in root.tables("systems", called="key"):
                system, path = _system(entry, files)
                if system.key in systems:
                    raise entry.refused("its key comes twice", "Keep one code system of this key.")
                systems[system.key] = system
                used.add(path)
    if stray := sorted(path for path in files if path.endswith(".csv") and path not in used):
        raise refused(stray[0], "", "no code system names this file", f"Name it in {SYSTEMS_FILE}, or remove it.")
    return systems


def _system(entry: Entry, files: Mapping[str, bytes]) -> tuple[CodeSystem, str]:
    with entry:
        file, check = entry.optional("file"), entry.optional("check")
        if (file is None) == (check is None):
            raise entry.refused("it needs either a file or a check", "Give exactly one of file and check.")
        if check is not None and check not in CHECKS:
            raise entry.refused(f"the check {check!r} is unknown", f"Write one of {', '.join(sorted(CHECKS))}.")
        path = str(PurePosixPath("codes") / file) if file else ""
        if file and path not in files:
            raise entry.refused(f"the file {path} is missing", "Add it, or correct its name.")
        system = CodeSystem(
            key=entry.text("key"),
            title=entry.text("title"),
            source=entry.text("source"),
            status=entry.choice("status", Status),
            codes=parse_codes(files[path], path) if file else {},
            check=check,
            loose=_loose(entry),
        )
    return system, path


def _loose(entry: Entry) -> frozenset[str]:
    loose = frozenset(entry.texts_or_none("loose"))
    if unknown := sorted(loose - LOOSE):
        raise entry.refused(f"loose {unknown[0]!r} is unknown", f"Write one of {', '.join(sorted(LOOSE))}.")
    return loose


def parse_codes(content: bytes, file: str) -> dict[str, str]:
    """Parse a UTF-8 CSV file `code,name`: code → name, in its order."""
    try:
        text = content.decode("utf-8-sig")  # spreadsheets put a mark in front
    except UnicodeDecodeError:
        raise refused(file, "", "it is not UTF-8", "Save it as CSV UTF-8.") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    if next(reader, None) != HEADER:
        raise refused(file, "line 1", "it is not the header", f"Begin the file with {','.join(HEADER)}.")
    codes: dict[str, str] = {}
    for cells in reader:
        place = f"line {reader.line_num}"
        if len(cells) != len(HEADER):
            raise refused(file, place, f"there are {len(cells)} cells", "Give code and name; quote a name with commas.")
        code, name = cells
        if not code or code != code.strip():
            raise refused(file, place, "the code is blank or has blanks around it", "Write the code alone.")
        if code in codes:
            raise refused(file, place, f"the code {code!r} comes twice", "Keep one line for each code.")
        codes[code] = name
    if not codes:
        raise refused(file, "", "it holds no code", "Add the codes, or use a check.")
    return codes
