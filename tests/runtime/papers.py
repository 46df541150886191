"""Files that a test hands in: sound ones, and such as must not be kept."""

from __future__ import annotations

import io
import zipfile
import zlib

from PIL import Image
from pypdf import PdfWriter


def pdf(pages: int = 1, mark: str = "") -> bytes:
    """Return a PDF of blank pages; `mark` makes it another one."""
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(595, 842)
    writer.add_metadata({"/Title": mark})
    return _written(writer)


def encrypted_pdf() -> bytes:
    """Return a PDF that wants a password."""
    writer = PdfWriter()
    writer.add_blank_page(595, 842)
    writer.encrypt("secret")
    return _written(writer)


def carrying_pdf() -> bytes:
    """Return a PDF with another file within."""
    writer = PdfWriter()
    writer.add_blank_page(595, 842)
    writer.add_attachment("a.exe", b"MZ")
    return _written(writer)


def plain_pdf(*objects: bytes) -> bytes:
    """Return a PDF written by hand: catalogue, one page, and further objects (numbers from 4)."""
    bodies = [b"<</Type/Catalog/Pages 2 0 R/OpenAction 4 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>"]
    bodies += [b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>", *objects]
    return _assembled(bodies)


def page_tree(depth: int) -> bytes:
    """Return a PDF whose pages double with each level: 2**depth pages in a few hundred bytes."""
    bodies = [b"<</Type/Catalog/Pages 2 0 R>>"]
    bodies += [b"<</Type/Pages/Count 2/Kids[%d 0 R %d 0 R]>>" % (at + 3, at + 3) for at in range(depth)]
    return _assembled([*bodies, b"<</Type/Page/MediaBox[0 0 10 10]>>"])


def hidden_pdf(action: bytes) -> bytes:
    """Return a PDF whose objects stand in a compressed stream, an action among them."""
    bodies = [b"<</Type/Catalog/Pages 2 0 R/OpenAction 3 0 R>>", b"<</Type/Pages/Kids[5 0 R]/Count 1>>", action]
    head, at = b"", 0
    for number, body in enumerate(bodies, start=1):
        head += b"%d %d " % (number, at)
        at += len(body) + 1
    return packed_pdf(head + b" ".join(bodies), len(head))


def packed_pdf(content: bytes, first: int) -> bytes:
    """Return a PDF with a stream of three objects; `first` is where they begin in it."""
    return _with_stream(zlib.compress(content, 9), first)


def bomb() -> bytes:
    """Return a PDF of a megabyte whose stream of objects unpacks to a thousand."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(1000))
    return _with_stream(packed + packer.flush(), 10)


def _with_stream(packed: bytes, first: int) -> bytes:
    out = b"%PDF-1.5\n"
    stream_at = len(out)
    out += b"4 0 obj\n<</Type/ObjStm/N 3/First %d/Length %d/Filter/FlateDecode>>stream\n" % (first, len(packed))
    out += packed + b"\nendstream\nendobj\n"
    page_at = len(out)
    out += b"5 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]>>\nendobj\n"
    table_at = len(out)
    places = [(0, 0, 0), (2, 4, 0), (2, 4, 1), (2, 4, 2), (1, stream_at, 0), (1, page_at, 0), (1, table_at, 0)]
    table = zlib.compress(
        b"".join(bytes([kind]) + at.to_bytes(4, "big") + bytes([index]) for kind, at, index in places)
    )
    out += b"6 0 obj\n<</Type/XRef/Size 7/W[1 4 1]/Root 1 0 R/Length %d/Filter/FlateDecode>>stream\n" % len(table)
    return out + table + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF" % table_at


def image(form: str = "PNG", side: int = 40, colour: str = "red") -> bytes:
    """Return a picture."""
    made = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(made, form)
    return made.getvalue()


def archive(parts: dict[str, bytes]) -> bytes:
    """Return a zip file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return made.getvalue()


def docx(**more: bytes) -> bytes:
    """Return what counts as a Word file; `more` are further parts, `__` for `/` and `_DOT_` for a point."""
    parts = {"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w:document/>"}
    named = {name.replace("__", "/").replace("_DOT_", "."): content for name, content in more.items()}
    return archive(parts | named)


def _assembled(bodies: list[bytes]) -> bytes:
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table_at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % at for at in places)
    return out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(bodies) + 1, table_at)


def _written(writer: PdfWriter) -> bytes:
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()
