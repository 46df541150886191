"""Workbooks as people and their programs make them: filled templates, pictures in cells, formulas."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import openpyxl
from openpyxl.drawing.image import Image as Drawing
from openpyxl.xml.constants import DRAWING_NS, PKG_REL_NS, REL_NS, SHEET_DRAWING_NS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openpyxl.worksheet.worksheet import Worksheet

CELL_IMAGE = f"""<?xml version="1.0" encoding="UTF-8"?>
<etc:cellImages xmlns:xdr="{SHEET_DRAWING_NS}" xmlns:r="{REL_NS}" xmlns:a="{DRAWING_NS}" xmlns:etc="urn:cell-images">
<etc:cellImage><xdr:pic><xdr:nvPicPr><xdr:cNvPr id="1" name="ID_1"/></xdr:nvPicPr>
<xdr:blipFill><a:blip r:embed="rId1"/></xdr:blipFill></xdr:pic></etc:cellImage></etc:cellImages>"""
CELL_IMAGE_RELATED = f"""<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="{PKG_REL_NS}"><Relationship Id="rId1" Type="image" Target="media/wps1.jpg"/></Relationships>"""


def put(
    content: bytes,
    sheet: str,
    *rows: Mapping[str, object],
    pictures: Mapping[str, bytes] | None = None,
    first: int = 2,
) -> bytes:
    """Return a workbook with values put into the rows from `first` on, by field, and pictures laid on cells."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    page = book[sheet]
    columns = columns_of(page)
    for at, row in enumerate(rows, start=first):
        for name, value in row.items():
            page.cell(at, columns[name]).value = value  # type: ignore[assignment]
    for cell, picture in (pictures or {}).items():
        page.add_image(Drawing(io.BytesIO(picture)), cell)
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    """Return the bytes of a workbook."""
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def columns_of(page: Worksheet) -> dict[str, int]:
    """Return the number of each field's column, from 1."""
    return {str(cell.value).split("\n")[-1]: at for at, cell in enumerate(page[1], start=1)}


def with_cell_image(content: bytes, picture: bytes) -> bytes:
    """Return a workbook to which WPS added the picture ID_1 for cells."""
    return changed(
        content,
        {
            "xl/cellimages.xml": CELL_IMAGE.encode(),
            "xl/_rels/cellimages.xml.rels": CELL_IMAGE_RELATED.encode(),
            "xl/media/wps1.jpg": picture,
        },
    )


def changed(content: bytes, parts: Mapping[str, bytes]) -> bytes:
    """Return a workbook with some parts of the file replaced or added."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name in source.namelist():
            if name not in parts:
                made.writestr(name, source.read(name))
        for name, part in parts.items():
            made.writestr(name, part)
    return target.getvalue()
