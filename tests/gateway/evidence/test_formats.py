"""What files are said to be: recordings made by ffmpeg in `samples`, and what nobody should send."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from qianzhi.errors import SenderError
from qianzhi.gateway.evidence import papers, source
from qianzhi.gateway.evidence.formats import Format, examine

SAMPLES = {path.name: path.read_bytes() for path in sorted((Path(__file__).parent / "samples").iterdir())}
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


def look(content: bytes) -> Format:
    """What some bytes are."""
    return examine(io.BytesIO(content), len(content))


def png(width: int = 8, height: int = 8) -> bytes:
    """A picture."""
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


def box(name: bytes, content: bytes = b"") -> bytes:
    """A box of MP4."""
    return struct.pack(">I4s", 8 + len(content), name) + content


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("visit.mp4", Format("video/mp4", ("H.264", "AAC"))),
        ("fragmented.mp4", Format("video/mp4", ("H.264",))),
        ("visit.webm", Format("video/webm", ("VP8", "Vorbis"))),
        ("modern.webm", Format("video/webm", ("VP9", "Opus"))),
        ("visit.ogv", Format("video/ogg", ("Theora", "Vorbis"))),
        ("talk.oga", Format("audio/ogg", ("Vorbis",))),
        ("talk.mp3", Format("audio/mpeg", ("MP3",))),
        ("talk.wav", Format("audio/wav", ("PCM",))),
    ],
)
def test_every_container_of_the_document_is_known_with_its_codecs(name: str, found: Format) -> None:
    """Ogg, MPEG4 and WebM as videos, MP3, Wav and Ogg as sounds."""
    assert look(SAMPLES[name]) == found


def test_papers_are_known() -> None:
    """Prescriptions are PNG or PDF."""
    assert look(png()) == Format("image/png")
    assert look(PDF) == Format("application/pdf")


def test_codecs_that_an_old_player_lacks_are_named() -> None:
    """They are served, but whoever registers them is told."""
    assert look(SAMPLES["modern.webm"]).unusual == ("VP9", "Opus")
    assert look(SAMPLES["visit.webm"]).unusual == ()
    assert look(png()).unusual == ()


@pytest.mark.parametrize(
    "content",
    [
        SAMPLES["plain.mkv"],  # Matroska that is no WebM
        SAMPLES["talk.m4a"],  # a sound in a container that the document names for videos
        b"",
        b"<!DOCTYPE html><script>alert(1)</script>",
        b"MZ" + bytes(1000),
        b"\x89PNG\r\n\x1a\n<script>",
        b"GIF89a" + bytes(100),
        b"RIFF\0\0\0\0AVI " + bytes(100),
        b"ID3\x04\0\0\xff\xff\xff\xff" + bytes(100),  # a length that is none
        b"\xff\xf1" + bytes(100),  # AAC without a container
    ],
)
def test_anything_else_is_refused(content: bytes) -> None:
    """The name of a file does not count, and neither do its first bytes alone."""
    with pytest.raises(SenderError):
        look(content)


def test_a_picture_that_unpacks_to_a_huge_one_is_refused() -> None:
    """A small file may claim ten thousand million pixels."""
    content = bytearray(png())
    content[16:24] = struct.pack(">II", 100_000, 100_000)

    with pytest.raises(SenderError):
        look(bytes(content))


@pytest.mark.parametrize(
    "part",
    [
        b"<< /S /JavaScript /JS (app.alert(1)) >>",
        b"<< /S /J#61vaScript >>",
        b"<< /S /Launch /F (cmd.exe) >>",
        b"<< /Type /EmbeddedFile >>",
        b"<< /AcroForm << /XFA [] >> >>",
        b"<< /S /SubmitForm >>",
        b"<< /Encrypt 2 0 R >>",
        b"stream\n << /S /Launch >>",  # a stream without an end hides nothing
    ],
)
def test_a_pdf_that_does_more_than_be_read_is_refused(part: bytes) -> None:
    """Scripts, programs, other files, forms that send, and passwords."""
    with pytest.raises(SenderError):
        look(PDF.replace(b"endobj", part + b" endobj"))


def test_the_bytes_of_a_picture_within_a_pdf_are_no_script() -> None:
    """A stream may hold any bytes."""
    inner = b"<< /Length 9 >>\nstream\n\0/JS \xff/XFA\nendstream\n"

    assert look(PDF.replace(b"endobj", inner + b"endobj")).media_type == "application/pdf"


def test_a_pdf_of_endless_beginnings_is_read_once() -> None:
    """Many streams without an end take no longer than one: the time is linear."""
    content = PDF.replace(b"endobj", b"stream\n" * (papers.PDF_BYTES_MAX // 8) + b" endobj")

    assert look(content).media_type == "application/pdf"


def test_a_pdf_that_was_cut_off_is_refused() -> None:
    """A copy that broke off must not be promised to anybody."""
    with pytest.raises(SenderError):
        look(PDF[:-8])
    with pytest.raises(SenderError):
        look(PDF + bytes(papers.PDF_BYTES_MAX))


@pytest.mark.parametrize(
    "content",
    [
        box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"moov", 2**63),  # goes beyond the end
        box(b"ftyp", b"isom") + struct.pack(">I4s", 4, b"moov"),  # ends before its content begins
        box(b"ftyp", b"isom") + box(b"free") * 30_000 + box(b"moov"),  # more boxes than anybody needs
        box(b"ftyp", b"isom") + box(b"moov", box(b"trak", box(b"mdia"))),  # a track without a codec
        box(b"ftyp", b"isom") + box(b"mdat", bytes(100)),  # no index
        b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm",  # a head that points beyond the end
        b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm" + b"\x18\x53\x80\x67\xff" + b"\x00",  # an element without a head
        b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm" + b"\x18\x53\x80\x67\xff" + b"\xec\x80" * 30_000,
        b"OggS\0\x02" + bytes(20) + b"\x01\xff" + bytes(3),  # a page that is cut off
        b"".join(b"OggS\0\x02" + bytes(20) + b"\x01\x01\0" for _ in range(100)),  # a hundred streams
        b"RIFF\xff\xff\xff\xffWAVE" + b"fmt \xff\xff\xff\xff" + bytes(64),
        b"RIFF\0\0\0\0WAVE" + b"LIST\0\0\0\0" * 30_000,
        b"\xff\xfb\x90\x00" + bytes(1000),  # one frame and then nothing
    ],
)
def test_a_file_made_to_mislead_its_reader_is_refused(content: bytes) -> None:
    """Lengths that lie, loops, and parts without end: each is a refusal within bounds."""
    with pytest.raises(SenderError):
        look(content)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_a_damaged_recording_never_harms_its_reader(name: str, data: st.DataObject) -> None:
    """Whatever bytes are changed or missing, it is a format or a refusal."""
    content = bytearray(SAMPLES[name])
    for at, byte in data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8)):
        content[at] = byte
    length = data.draw(st.integers(0, len(content)))
    try:
        assert look(bytes(content[:length])).media_type.partition("/")[0] in {"video", "audio"}
    except SenderError:
        return


@given(
    st.sampled_from([b"", b"....ftyp", b"\x1a\x45\xdf\xa3", b"OggS\0\x02", b"RIFF....WAVE", b"ID3", b"%PDF-"]),
    st.binary(),
)
def test_random_bytes_never_harm_their_reader(head: bytes, rest: bytes) -> None:
    """Behind every beginning anything may come."""
    try:
        look(head + rest)
    except SenderError:
        return


def test_a_reader_stops_at_its_bound() -> None:
    """No more than READ_BYTES_MAX of a file are read before it is refused."""
    size = source.READ_BYTES_MAX + 1

    with pytest.raises(SenderError):
        source.Source(io.BytesIO(bytes(size)), size).at(0, size)
