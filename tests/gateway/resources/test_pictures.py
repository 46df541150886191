from __future__ import annotations

import hashlib
import io
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.gateway.resources.conftest import drawn

from qianzhi.errors import OperatorError, SenderError
from qianzhi.gateway import images
from qianzhi.gateway.images import PathMap
from qianzhi.gateway.resources import pictures
from qianzhi.gateway.resources.pictures import Album
from qianzhi.runtime import clock, keyfile
from qianzhi.runtime.keyfile import KeyFile
from qianzhi.runtime.vault import Vault

ORIENTATION, ARTIST = 0x0112, 0x013B
NOW = datetime(2026, 11, 20, tzinfo=clock.LOCAL)


@pytest.fixture
def album(tmp_path: Path) -> Album:
    """An empty folder of pictures."""
    return Album(tmp_path / "pictures")


def test_a_picture_is_named_by_the_digest_of_what_is_kept(album: Album) -> None:
    """The path in the record is short, full, and says nothing of the uploaded name; the file is there once kept."""
    made = album.picture(drawn())

    assert made.path == f"{pictures.PREFIX}/{hashlib.sha256(made.content).hexdigest()}.jpg"
    assert len(made.path) <= 150, "the staff table's column of paths"
    assert not album.folder.exists()
    album.keep(made)
    album.keep(made)
    (file,) = album.folder.iterdir()
    assert file.read_bytes() == made.content


def test_pictures_are_encrypted_where_there_is_a_key(album: Album, tmp_path: Path) -> None:
    """Those from before when somebody says so; either kind is read, one that was changed on the disk is not."""
    keyfile.make(tmp_path / "key", now=NOW)
    locked = Album(album.folder, Vault(KeyFile(tmp_path / "key")))
    old, new = (album.picture(drawn(colour=colour)) for colour in ("teal", "plum"))
    album.keep(old)
    locked.keep(new)
    files = {each: album.folder / each.path.rpartition("/")[2] for each in (old, new)}
    assert [each.content in file.read_bytes() for each, file in files.items()] == [True, False]
    paths = PathMap({pictures.PREFIX: album.folder}, locked)
    assert [images.content_of(each.path, paths) for each in files] == [old.content, new.content]
    assert locked.picture(new.content) == new
    assert (locked.rewrite(), locked.rewrite()) == (1, 0)
    assert old.content not in files[old].read_bytes()
    assert images.content_of(old.path, paths) == old.content
    files[new].write_bytes(files[old].read_bytes())
    assert images.content_of(new.path, paths) == "cannot be read"
    with pytest.raises(OperatorError, match="no key file is set"):
        images.content_of(old.path, PathMap({pictures.PREFIX: album.folder}, album))


def test_what_was_kept_is_taken_as_it_is(album: Album) -> None:
    """A picture that comes back from a hospital's download is the same picture and no modification."""
    made = album.picture(drawn())
    album.keep(made)

    assert album.picture(made.content) == made


def test_metadata_stays_behind(album: Album) -> None:
    """Where a telephone took the photo, and whatever was hidden behind it, is not passed on; it stands upright."""
    photo = io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION], exif[ARTIST] = 6, "somebody"
    Image.new("RGB", (60, 30), "red").save(photo, "JPEG", exif=exif, comment=b"secret")
    page = io.BytesIO()
    notes = PngInfo()
    notes.add_text("note", "secret")
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(page, "PNG", pnginfo=notes)

    upright, plain = album.picture(photo.getvalue() + b"<?php secret ?>"), album.picture(page.getvalue())

    with Image.open(io.BytesIO(upright.content)) as image:
        assert (image.size, dict(image.getexif()), "comment" in image.info) == ((30, 60), {}, False)
    assert b"secret" not in upright.content + plain.content
    with Image.open(io.BytesIO(plain.content)) as image:
        assert (image.format, image.mode, image.getpixel((0, 0)), image.info) == ("PNG", "RGB", (255, 255, 255), {})


def test_a_large_scan_is_made_smaller(album: Album) -> None:
    """A page stays legible; the uplink carries no more than it must."""
    made = album.picture(drawn(size=(6_000, 1_500)))

    with Image.open(io.BytesIO(made.content)) as image:
        assert image.size == (3_000, 750)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        drawn("PNG")[:60],
        drawn()[:200],
        b"\x00" * (20 * 2**20 + 1),
    ],
)
def test_what_is_no_sound_picture_is_refused(album: Album, content: bytes) -> None:
    """Documents, drawings with scripts, cut files and files beyond the bound never come into the folder."""
    with pytest.raises(SenderError):
        album.picture(content)
    assert not album.folder.exists()


def test_a_small_file_that_unpacks_to_a_huge_picture_is_refused(album: Album) -> None:
    """Its pixels are counted before they are unpacked."""
    content = io.BytesIO()
    Image.new("1", (10_000, 9_000)).save(content, "PNG")
    assert len(content.getvalue()) < 100_000

    with pytest.raises(SenderError):
        album.picture(content.getvalue())


@given(data=st.data())
def test_a_damaged_picture_is_a_refusal_and_nothing_else(data: st.DataObject) -> None:
    """Whatever single damage a file has, it is either still a picture or refused."""
    content = bytearray(data.draw(st.sampled_from([drawn(), drawn("PNG"), drawn("GIF"), drawn("TIFF"), drawn("BMP")])))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    try:
        made = Album(Path("/nowhere")).picture(bytes(content))
    except SenderError:
        return
    assert made.path.startswith(pictures.PREFIX)
