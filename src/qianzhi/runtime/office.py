"""Word and Excel files of other people, judged by their archive alone: nothing in them is opened but small lists."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Final
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

PARTS_MAX: Final = 2_000
UNPACKED_BYTES_MAX: Final = 256 * 2**20
RATIO_MAX: Final = 200
"""Text packs to a fiftieth of its size; a bomb to a thousandth."""

SMALL_BYTES: Final = 2**20
"""Smaller parts may be packed as well as they like."""

RELATIONS_BYTES_MAX: Final = 4 * 2**20
"""Of all lists of relations."""

_ENCRYPTED_FLAG: Final = 0x1
_MAIN: Final = {"docx": "word/document.xml", "xlsx": "xl/workbook.xml"}
_TYPES: Final = "[Content_Types].xml"
_ACTIVE: Final = re.compile(r"vbaProject|vbaData|activeX|macrosheets|/ctrlProps/", re.IGNORECASE)
_CARRYING: Final = re.compile(
    r"/embeddings/|oleObject|\.(?:exe|dll|js|vbs|bat|cmd|ps1|scr|lnk|zip|jar)$", re.IGNORECASE
)
# A template or an object that lies elsewhere is fetched when the file is opened, without anybody's click.
_HARMLESS: Final = "hyperlink"
_ACTIVE_RELATIONS: Final = frozenset({"vbaproject", "control", "xlmacrosheet", "xlintlmacrosheet"})
_CARRYING_RELATIONS: Final = frozenset({"oleobject", "package", "afchunk"})


def kind_of(content: bytes) -> str | None:
    """Return `docx` or `xlsx` by what the archive says of itself; None for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            names = set(parts.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    return next((kind for kind, main in _MAIN.items() if {main, _TYPES} <= names), None)


def trouble_of(content: bytes) -> str:
    """Return why the archive is not kept, in the words of `pdf_child`; empty for one that may be."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            return _size_trouble(parts) or _name_trouble(parts) or _relations_trouble(parts)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError):
        return "damaged"


def _size_trouble(parts: zipfile.ZipFile) -> str:
    listed = parts.infolist()
    if len(listed) > PARTS_MAX or sum(part.file_size for part in listed) > UNPACKED_BYTES_MAX:
        return "heavy"
    if any(part.file_size > max(SMALL_BYTES, RATIO_MAX * part.compress_size) for part in listed):
        return "heavy"
    return "encrypted" if any(part.flag_bits & _ENCRYPTED_FLAG for part in listed) else ""


def _name_trouble(parts: zipfile.ZipFile) -> str:
    names = parts.namelist()
    if len(set(names)) < len(names) or any(_leads_out(name) for name in names):
        return "damaged"
    if any(_ACTIVE.search(name) for name in names):
        return "active"
    return "carrying" if any(_CARRYING.search(name) for name in names) else ""


def _leads_out(name: str) -> bool:
    return name.startswith(("/", "\\")) or ".." in re.split(r"[\\/]", name) or ":" in name


def _relations_trouble(parts: zipfile.ZipFile) -> str:
    left = RELATIONS_BYTES_MAX
    for part in parts.infolist():
        if part.filename.lower().endswith(".rels"):
            with parts.open(part) as opened:
                said = opened.read(left + 1)
            left -= len(said)
            if left < 0:
                return "heavy"
            if trouble := _trouble_within(said):
                return trouble
    return ""


def _trouble_within(relations: bytes) -> str:
    """Judge what a reader would make of a list, in whatever coding or notation it is written."""
    try:
        found = fromstring(relations, forbid_dtd=True)
    except DefusedXmlException:
        return "heavy"
    except (ParseError, LookupError, ValueError):
        return "damaged"
    for each in found.iter():
        said = {name.rpartition("}")[2].lower(): value for name, value in each.attrib.items()}
        kind = said.get("type", "").rpartition("/")[2].lower()
        if kind in _ACTIVE_RELATIONS or (said.get("targetmode", "").lower() == "external" and kind != _HARMLESS):
            return "active"
        if kind in _CARRYING_RELATIONS:
            return "carrying"
    return ""
