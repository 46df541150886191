from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from qianzhi.errors import SenderError
from qianzhi.sealing.images import IMAGE_BYTES_MAX, media_type

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "WEBP": "image/webp",
}


def picture(form: str, size: tuple[int, int] = (40, 30)) -> bytes:
    """Return a small picture."""
    file = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert("RGB").save(file, form)
    return file.getvalue()


def png_head(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\x00")) + chunk(b"IEND", b"")


SAMPLES = {form: picture(form) for form in FORMATS}


@pytest.mark.parametrize("form", FORMATS)
def test_an_image_is_known_by_its_content(form: str) -> None:
    """The formats that cameras, scanners and office programs write."""
    assert media_type(SAMPLES[form]) == FORMATS[form]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an image",
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\x89PNG\r\n\x1a\n",
        picture("PPM"),
        picture("ICO"),
        SAMPLES["PNG"][:60],
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    """Text, documents, vectors, other formats and pieces of a picture."""
    with pytest.raises(SenderError, match="its content is not one of"):
        media_type(content)


@pytest.mark.parametrize(
    ("size", "taken"),
    [((10_000, 10_000), True), ((10_000, 10_001), False), ((60_000, 60_000), False), ((2**31 - 1, 2**31 - 1), False)],
)
def test_a_picture_of_too_many_pixels_is_refused(size: tuple[int, int], *, taken: bool) -> None:
    """A hundred million pixels are taken; a few bytes that claim more are refused, and nothing is unpacked."""
    content = png_head(*size)
    assert len(content) < 200
    if taken:
        assert media_type(content) == "image/png"
    else:
        with pytest.raises(SenderError):
            media_type(content)


def test_a_file_that_is_too_large_is_not_looked_into() -> None:
    """The bound itself is looked into, one byte more is not."""
    with pytest.raises(SenderError, match="larger than 20 MiB"):
        media_type(SAMPLES["PNG"] + bytes(IMAGE_BYTES_MAX))
    assert media_type(SAMPLES["PNG"] + bytes(IMAGE_BYTES_MAX - len(SAMPLES["PNG"]))) == "image/png"


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([*FORMATS]), st.data())
def test_a_damaged_picture_is_refused_or_harmless(form: str, data: st.DataObject) -> None:
    """Whatever stands in the file, nothing but a SenderError comes out of it, and no warning."""
    content = bytearray(SAMPLES[form])
    end = data.draw(st.sampled_from([24, 200, len(content)]))
    for at in data.draw(st.lists(st.integers(0, min(end, len(content)) - 1), min_size=1, max_size=20)):
        content[at] = data.draw(st.sampled_from([0, 1, 127, 255]))
    kept = data.draw(st.integers(0, len(content)))
    with warnings.catch_warnings(record=True) as told, contextlib.suppress(SenderError):
        assert media_type(bytes(content[:kept])) in FORMATS.values()
    assert told == []
