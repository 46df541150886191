from __future__ import annotations

import io
import zipfile

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.xml.constants import PKG_REL_NS
from tests.gateway.resources import books
from tests.gateway.resources.conftest import drawn

from qianzhi.gateway.resources import insides as module
from qianzhi.gateway.resources.insides import insides

BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>"""


def workbook() -> bytes:
    """Return a workbook with a formula in B2 and a picture on C3."""
    book = openpyxl.Workbook()
    book.worksheets[0].title = "数据"
    book.worksheets[0].append(["a", "b", "c"])
    return books.put(books.saved(book), "数据", {"a": "x", "b": "=1+1"}, pictures={"C3": drawn("PNG")})


def test_formulas_and_pictures_are_found_by_cell() -> None:
    """By row and column from 0."""
    found = insides(workbook())["数据"]

    assert (found.formulas, set(found.pictures), found.is_whole) == ({(1, 1)}, {(2, 2)}, True)
    assert found.pictures[2, 2].startswith(b"\x89PNG")


def test_a_workbook_without_drawings_is_whole() -> None:
    """There is nothing to be read."""
    (found,) = insides(books.saved(openpyxl.Workbook())).values()

    assert (found.pictures, found.formulas, found.is_whole) == ({}, set(), True)


@pytest.mark.parametrize(
    "target", ["../../../etc/passwd", "/etc/passwd", "https://example.com/a.png", "file:///etc/passwd", "../media/none"]
)
def test_no_picture_is_looked_for_outside_the_file(target: str) -> None:
    """A relationship that leads elsewhere leads nowhere; the rest of the sheet is still read."""
    related = (
        f'<Relationships xmlns="{PKG_REL_NS}"><Relationship Id="rId1" Type="i" Target="{target}"/></Relationships>'
    )

    found = insides(books.changed(workbook(), {"xl/drawings/_rels/drawing1.xml.rels": related.encode()}))["数据"]

    assert (found.pictures, found.is_whole, found.formulas) == ({}, False, {(1, 1)})


@pytest.mark.parametrize("part", ["xl/drawings/drawing1.xml", "xl/drawings/_rels/drawing1.xml.rels"])
@pytest.mark.parametrize("content", [BOMB, b"", b"<a", b"<a/>" + b" " * (9 * 2**20)])
def test_hostile_drawings_are_left_alone(part: str, content: bytes) -> None:
    """Entities, damage and size are no way in."""
    found = insides(books.changed(workbook(), {part: content}))["数据"]

    assert found.pictures == {}


def _shown_often(times: int) -> bytes:
    part, (start, end) = "xl/drawings/drawing1.xml", ("<oneCellAnchor>", "</oneCellAnchor>")
    with zipfile.ZipFile(io.BytesIO(workbook())) as parts:
        before, _, rest = parts.read(part).decode().partition(start)
    anchor, _, after = rest.rpartition(end)
    anchors = (start + anchor.replace("<row>2</row>", f"<row>{row}</row>") + end for row in range(times))
    return books.changed(workbook(), {part: (before + "".join(anchors) + after).encode()})


def test_a_picture_that_many_cells_show_is_held_once() -> None:
    """One picture of ten megabytes on five thousand cells takes ten megabytes, not fifty thousand."""
    found = insides(_shown_often(50))["数据"].pictures

    assert len(found) == 50
    assert len({id(picture) for picture in found.values()}) == 1


def test_pictures_beyond_the_bound_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are said to be missing; the rest of the sheet is still read."""
    monkeypatch.setattr(module, "PICTURES_BYTES_MAX", 10)

    found = insides(workbook())["数据"]

    assert (found.pictures, found.is_whole, found.formulas) == ({}, False, {(1, 1)})


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_workbook_has_insides_or_none(at: int, sign: int) -> None:
    """No damage is an error of ours."""
    content = bytearray(_WORKBOOK)
    content[at % len(content)] = sign
    insides(bytes(content))


_WORKBOOK = workbook()
