"""
What a workbook holds besides values: which cells are formulas, and which pictures lie on which cell.

Read from the parts of the file themselves (ECMA-376: worksheets, drawings, relationships; and the cell images that
WPS writes), because the reader of values knows neither. Nothing is written to a disk, and no link is followed.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from defusedxml.ElementTree import fromstring, iterparse
from openpyxl.utils.cell import column_index_from_string, coordinate_from_string
from openpyxl.utils.exceptions import CellCoordinatesException
from openpyxl.xml.constants import REL_NS

from qianzhi.runtime.workbooks import UNREADABLE
from qianzhi.sealing.images import IMAGE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

PART_BYTES_MAX: Final = 8 * 2**20  # of a workbook's lists, relationships and drawings
PICTURES_MAX: Final = 5_000
PICTURES_BYTES_MAX: Final = 256 * 2**20  # of all pictures of a workbook, each counted once
FORMULAS_MAX: Final = 100_000
_BOOK: Final = "xl/workbook.xml"
_CELL_IMAGES: Final = "xl/cellimages.xml"
_RELATIONSHIP: Final = f"{{{REL_NS}}}"
_CELL_IMAGE: Final = re.compile(r"DISPIMG\(\s*\"([^\"]+)\"")
_UNREADABLE: Final = (*UNREADABLE, CellCoordinatesException)

Cell = tuple[int, int]  # row and column, from 0


@dataclass(slots=True)
class Inside:
    """One sheet's formulas and pictures by cell; `is_whole` is False where its drawings could not be read."""

    formulas: set[Cell] = field(default_factory=set)
    pictures: dict[Cell, bytes] = field(default_factory=dict)
    is_whole: bool = True


def insides(content: bytes) -> dict[str, Inside]:
    """Return what the sheets of a workbook hold, by name; `content` is one that `workbooks.read` has taken."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            media = _Media(parts)
            shelf = _cell_images(parts, media)
            return {name: _inside(parts, part, shelf, media) for name, part in _sheets(parts)}
    except _UNREADABLE:
        return {}


class _Media:
    """The pictures of a file: each is read once, and held once, however many cells show it."""

    def __init__(self, parts: zipfile.ZipFile) -> None:
        self._parts = parts
        self._read: dict[str, bytes] = {}
        self._left = PICTURES_BYTES_MAX

    def picture(self, part: str) -> bytes:
        """Return a picture, no further than one byte beyond what an image may have."""
        if part not in self._read:
            with self._parts.open(part) as file:
                content = file.read(min(IMAGE_BYTES_MAX, self._left) + 1)
            self._left -= len(content)
            if self._left < 0:
                raise ValueError(part)
            self._read[part] = content
        return self._read[part]


def _sheets(parts: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Yield the name and the part of each sheet."""
    targets = _related(parts, _BOOK)
    for element in _parsed(parts, _BOOK).iter():
        target = targets.get(element.get(f"{_RELATIONSHIP}id", ""))
        if _local(element) == "sheet" and target is not None:
            yield element.get("name", ""), target


def _inside(parts: zipfile.ZipFile, part: str, shelf: dict[str, bytes], media: _Media) -> Inside:
    found = Inside()
    drawing = None
    with parts.open(part) as file:
        for _, element in iterparse(file):
            match _local(element):
                case "c":
                    _look_at(element, shelf, found)
                    element.clear()
                case "row":
                    element.clear()
                case "drawing":
                    drawing = element.get(f"{_RELATIONSHIP}id")
    if drawing is not None:
        try:
            _add_drawing(parts, _related(parts, part)[drawing], found, media)
        except _UNREADABLE:
            found.is_whole = False
    return found


def _look_at(cell: Element, shelf: dict[str, bytes], found: Inside) -> None:
    formula = next((child for child in cell if _local(child) == "f"), None)
    if formula is None or len(found.formulas) >= FORMULAS_MAX:
        return
    letters, row = coordinate_from_string(cell.get("r", ""))
    at = row - 1, column_index_from_string(letters) - 1
    named = _CELL_IMAGE.search(formula.text or "")
    if named is not None and named[1] in shelf:
        found.pictures[at] = shelf[named[1]]
    else:
        found.formulas.add(at)


def _add_drawing(parts: zipfile.ZipFile, drawing: str, found: Inside, media: _Media) -> None:
    targets = _related(parts, drawing)
    for anchor in _parsed(parts, drawing):
        start = next((child for child in anchor if _local(child) == "from"), None)
        embedded = _embedded(anchor)
        if start is None or embedded is None:
            continue
        place = {_local(child): int(child.text or "0") for child in start}
        if len(found.pictures) >= PICTURES_MAX:
            found.is_whole = False
            return
        found.pictures[place["row"], place["col"]] = media.picture(targets[embedded])


def _cell_images(parts: zipfile.ZipFile, media: _Media) -> dict[str, bytes]:
    """Return the pictures that WPS keeps for cells, by the name that its formula says."""
    if _CELL_IMAGES not in parts.namelist():
        return {}
    targets = _related(parts, _CELL_IMAGES)
    found: dict[str, bytes] = {}
    for image in _parsed(parts, _CELL_IMAGES):
        name = next((each.get("name") for each in image.iter() if _local(each) == "cNvPr"), None)
        embedded = _embedded(image)
        if name and embedded in targets and len(found) < PICTURES_MAX:
            found[name] = media.picture(targets[embedded])
    return found


def _embedded(element: Element) -> str | None:
    return next((each.get(f"{_RELATIONSHIP}embed") for each in element.iter() if _local(each) == "blip"), None)


def _related(parts: zipfile.ZipFile, part: str) -> dict[str, str]:
    """Return the parts within the file that a part names, by the name it gives them."""
    folder, _, name = part.rpartition("/")
    file = f"{folder}/_rels/{name}.rels"
    if file not in parts.namelist():
        return {}
    known = set(parts.namelist())
    found = {}
    for element in _parsed(parts, file):
        target = posixpath.normpath(posixpath.join("/", folder, element.get("Target", "")))[1:]
        if element.get("TargetMode") != "External" and target in known:
            found[element.get("Id", "")] = target
    return found


def _parsed(parts: zipfile.ZipFile, part: str) -> Element:
    with parts.open(part) as file:
        content = file.read(PART_BYTES_MAX + 1)
    if len(content) > PART_BYTES_MAX:
        raise ValueError(part)
    return fromstring(content)


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
