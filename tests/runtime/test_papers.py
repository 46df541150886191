"""What may be kept as a document, and what must not be."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader
from tests.runtime import papers as made

from qianzhi.runtime import papers, pdf, workbooks
from qianzhi.runtime.papers import Objection, Paper
from qianzhi.specs.paperwork import Kind

EVERY = tuple(Kind)
SECONDS_MAX = pdf.SECONDS_MAX + 30.0


def code(content: bytes, accepts: tuple[Kind, ...] = EVERY) -> str:
    """Return the code of the objection to a file."""
    found = papers.examine(content, accepts)
    assert isinstance(found, Objection)
    assert found.what.zh
    assert found.remedy.zh
    return found.code


def test_sound_files_are_what_they_are() -> None:
    """Kind and pages are read off the content."""
    workbook = workbooks.write([workbooks.Sheet("a", [workbooks.Column("x")], [("1",)])])
    for content, wanted in (
        (made.pdf(3), Paper(Kind.PDF, 3)),
        (made.image("PNG"), Paper(Kind.PNG, 1)),
        (made.image("JPEG"), Paper(Kind.JPEG, 1)),
        (made.docx(), Paper(Kind.DOCX, 1)),
        (workbook, Paper(Kind.XLSX, 1)),
    ):
        assert papers.examine(content, EVERY) == wanted


def test_only_what_is_asked_for_is_taken() -> None:
    """A picture is no PDF, whatever it is called; a text and an empty file are nothing."""
    assert code(made.image(), (Kind.PDF,)) == "P03"
    assert code(b"just a text") == "P03"
    assert code(b"PK\x03\x04 no archive") == "P03"
    assert code(made.archive({"a.txt": b"a"})) == "P03"
    assert code(b"") == "P02"
    assert code(b"%PDF-" + bytes(papers.PAPER_BYTES_MAX)) == "P01"


@pytest.mark.parametrize(
    "action",
    [
        b"<</S/JavaScript/JS(app.alert(1))>>",
        b"<</S/J#61va#53cript>>",
        b"<</S/Launch/F(cmd.exe)>>",
        b"<</S/SubmitForm/F(x)>>",
        b"<</S/ImportData/F(x)>>",
        b"<</S/GoToR/F(\\\\\\\\host\\\\share)>>",
        b"<</S/Rendition>>",
        b"<</Names[(a)<</JS(x)>>]>>",
        b"[[[<</XFA(x)>>]]]",
    ],
)
def test_a_pdf_that_acts_is_refused(action: bytes) -> None:
    """Scripts, programs, forms that send and calls of other machines: in the open, and in compressed objects."""
    assert code(made.plain_pdf(action)) == "P06"
    assert code(made.hidden_pdf(action)) == "P06"


def test_a_link_to_a_page_is_no_action() -> None:
    """Word writes such; nothing happens unless a reader wants it."""
    assert papers.examine(made.hidden_pdf(b"<</S/GoTo/D[5 0 R/Fit]>>"), EVERY) == Paper(Kind.PDF, 1)
    link = b"<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(a)>>>>"
    assert papers.examine(made.plain_pdf(b"[3 0 R/Fit]", link), EVERY) == Paper(Kind.PDF, 1)


@pytest.mark.parametrize(
    "objects",
    [
        (b"<</S/URI/URI(https://a/)>>",),
        (b"<</S/GoTo/D[3 0 R/Fit]/Next 5 0 R>>", b"[<</S/GoTo>> <</S/URI/URI(a)>>]"),
        (b"<</S/GoTo/Next 4 0 R>>",),
        (b"[3 0 R/Fit]", b"<</Type/Page/AA<</O 6 0 R>>>>", b"<</S/URI/URI(a)>>"),
    ],
    ids=["at once", "afterwards", "circle", "when a page is opened"],
)
def test_an_address_that_opens_by_itself_is_refused(objects: tuple[bytes, ...]) -> None:
    """Whoever reviews the file would tell its author so, without a click."""
    assert code(made.plain_pdf(*objects)) == "P06"
    if len(objects) == 1:
        assert code(made.hidden_pdf(objects[0].replace(b"4 0 R", b"3 0 R"))) == "P06"


def test_a_pdf_with_a_file_within_is_refused() -> None:
    """Attachments, and the annotations that offer them."""
    assert code(made.carrying_pdf()) == "P07"
    assert code(made.hidden_pdf(b"<</Type/Filespec/EF<</F 5 0 R>>>>")) == "P07"
    assert code(made.hidden_pdf(b"<</Subtype/FileAttachment>>")) == "P07"


def test_a_pdf_that_cannot_be_read_is_refused() -> None:
    """With a password, cut short, or no PDF behind its mark."""
    assert code(made.encrypted_pdf()) == "P05"
    assert code(made.pdf()[:60]) == "P04"
    assert code(b"%PDF-1.7\n" + b"junk " * 1000) == "P04"


@pytest.mark.parametrize(
    "content",
    [
        made.bomb(),
        made.page_tree(40),
        b"%PDF-1.4\n1 0 obj\n" + b"[" * 2_000_000 + b"\nendobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        b"%PDF-1.4\nxref\n0 99999999\n" + b"0000000010 00000 n \n" * 9 + b"trailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF",
        b"%PDF-1.4\ntrailer<</Root 1 0 R>>\n1 0 obj<</Type/Catalog/Pages 1 0 R/Kids[1 0 R]>>endobj\n%%EOF",
    ],
    ids=["bomb", "page tree", "brackets", "table of contents", "circle"],
)
def test_a_bomb_costs_a_child_and_nobody_else(content: bytes) -> None:
    """A gigabyte in a megabyte, pages without end, brackets without end: refused within bounds of time."""
    begun = time.monotonic()
    assert code(content) in {"P04", "P08"}
    assert time.monotonic() - begun < SECONDS_MAX


def test_a_child_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked gets an answer."""
    monkeypatch.setattr(pdf, "SECONDS_MAX", 0.01)
    assert code(made.pdf()) == "P08"


def test_a_child_that_wants_too_much_memory_is_refused_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is the kernel's."""
    monkeypatch.setattr(pdf, "MEMORY_BYTES_MAX", 2**20)
    assert code(made.pdf()) in {"P04", "P08"}


RELATED = "<Relationship xmlns='http://a/relationships' Id='a' Type='http://a/relationships/{}' Target='a.bin'/>"
FETCHED = RELATED.format("attachedTemplate").replace("/>", " TargetMode='External'/>")


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ({"word__vbaProject_DOT_bin": b"x"}, "P06"),
        ({"word__activeX__a_DOT_xml": b"x"}, "P06"),
        ({"word__embeddings__a_DOT_bin": b"x"}, "P07"),
        ({"word__media__run_DOT_exe": b"x"}, "P07"),
        ({"___DOT__DOT__outside": b"x"}, "P04"),
        ({"word__zeros_DOT_xml": bytes(50 * 2**20)}, "P08"),
        (
            {
                "word___rels__a_DOT_rels": b"<Relationship Type='http://a/relationships/attachedTemplate'"
                b" Target='x' TargetMode='External'/>"
            },
            "P06",
        ),
        ({"word___rels__a_DOT_rels": b"<!DOCTYPE a><a/>"}, "P08"),
        ({"word___rels__a_DOT_rels": b"<a/>" + b" " * 2**22}, "P08"),
        ({"word___rels__a_DOT_rels": b"no list"}, "P04"),
        ({"word___rels__a_DOT_rels": FETCHED.encode("utf-16")}, "P06"),
        ({"word___rels__a_DOT_rels": FETCHED.replace("External", "Externa&#108;").encode()}, "P06"),
        ({"word___rels__a_DOT_rels": FETCHED.replace("Id='a'", "Id='a>'").encode()}, "P06"),
        ({"word___rels__a_DOT_rels": FETCHED.replace("<R", "<r:R").replace("xmlns", "xmlns:r").encode()}, "P06"),
        ({"word___rels__a_DOT_rels": RELATED.format("vbaProject").encode()}, "P06"),
        ({"word___rels__a_DOT_rels": RELATED.format("oleObject").encode()}, "P07"),
        ({"word___rels__a_DOT_rels": RELATED.format("aFChunk").encode()}, "P07"),
    ],
)
def test_a_word_file_that_acts_or_carries_is_refused(parts: dict[str, bytes], wanted: str) -> None:
    """Macros, objects, programs, paths that lead out, bombs, templates that lie elsewhere."""
    assert code(made.docx(**parts)) == wanted


def test_a_link_in_a_word_file_is_harmless() -> None:
    """It waits for a click."""
    link = b"<Relationship Type='http://a/relationships/hyperlink' Target='x' TargetMode='External'/>"
    assert papers.examine(made.docx(word___rels__a_DOT_rels=link), EVERY) == Paper(Kind.DOCX, 1)


def test_a_picture_that_is_something_else_too_is_refused() -> None:
    """A browser might take it for a page, a reader for a PDF; a picture of too many pixels fills the memory."""
    assert code(made.image() + b"<SCRIPT>alert(1)</SCRIPT>") == "P04"
    assert code(made.image()[:40]) == "P04"
    huge = bytearray(made.image())
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    assert code(bytes(huge)) == "P04"


def test_scans_become_one_pdf() -> None:
    """Pages in the order of the files; a picture is a page."""
    found = papers.merge([made.pdf(2), made.image("JPEG", 300), made.image("PNG", 200)])
    assert isinstance(found, bytes)
    assert papers.examine(found, (Kind.PDF,)) == Paper(Kind.PDF, 4)
    pages = PdfReader(io.BytesIO(found)).pages
    assert [round(float(page.mediabox.width)) for page in pages] == [595, 595, 144, 96]


def test_a_scan_that_must_not_be_opened_is_not_merged() -> None:
    """Each part is looked into first."""
    found = papers.merge([made.pdf(), made.hidden_pdf(b"<</S/Launch>>")])
    assert isinstance(found, Objection)
    assert found.code == "P06"
    assert papers.merge([]) == papers.examine(b"", EVERY)
    assert isinstance(papers.merge([made.image()] * (papers.PARTS_MAX + 1)), Objection)


def test_nothing_but_pages_is_merged() -> None:
    """What stands beside the pages of a scan, such as its outline, stays behind."""
    found = papers.merge([made.hidden_pdf(b"<</S/GoTo/D[5 0 R/Fit]>>")])
    assert isinstance(found, bytes)
    assert b"OpenAction" not in found


def test_turned_photographs_stand_upright() -> None:
    """A telephone writes how it was held; the page follows it."""
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (300, 100), "red").save(turned, "JPEG", exif=exif)
    found = papers.merge([turned.getvalue()])
    assert isinstance(found, bytes)
    box = PdfReader(io.BytesIO(found)).pages[0].mediabox
    assert box.height > box.width


@given(st.sampled_from([b"PK\x03\x04", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b""]), st.binary(max_size=400))
def test_nothing_that_anybody_sends_raises(mark: bytes, rest: bytes) -> None:
    """Every file has a verdict; noise is never kept. What claims to be a PDF costs a child, and is tried above."""
    assume(b"%PDF" not in rest)
    assert isinstance(papers.examine(mark + rest, EVERY), Objection)


@given(st.data())
def test_a_damaged_archive_has_a_verdict(data: st.DataObject) -> None:
    """Whatever byte of a Word file changes, it is kept or refused, and nothing is raised."""
    content = bytearray(made.docx(word___rels__a_DOT_rels=b"<Relationships/>"))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = papers.examine(bytes(content), (Kind.DOCX,))
    assert isinstance(found, Paper | Objection)
