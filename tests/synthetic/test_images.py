from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image, UnidentifiedImageError

from qianzhi.synthetic.faults import MISSING_IMAGE, SPOILT_IMAGE
from qianzhi.synthetic.images import draw, spoil

if TYPE_CHECKING:
    from pathlib import Path


def test_pictures_are_real_and_small(tmp_path: Path) -> None:
    """Each member gets a JPEG and two PNG files that open, of a few kilobytes; the member decides what is seen."""
    assert draw(tmp_path / "a", ["D00001", "P00002"]) == 6
    draw(tmp_path / "b", ["D00001"])
    files = sorted((tmp_path / "a").iterdir())
    assert [file.suffix for file in files] == [".png", ".jpg", ".png"] * 2  # licence, photo, qualification
    for file in files:
        with Image.open(file) as image:
            image.verify()
        assert file.stat().st_size < 4096
    name = "D00001-photo.jpg"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "a" / "P00002-photo.jpg").read_bytes()


def test_a_spoilt_image_is_none(tmp_path: Path) -> None:
    """The spoilt file exists and cannot be opened as an image; the missing one is never drawn."""
    draw(tmp_path, ["D00001"])
    spoil(tmp_path / SPOILT_IMAGE)
    with pytest.raises(UnidentifiedImageError):
        Image.open(tmp_path / SPOILT_IMAGE)
    assert not (tmp_path / MISSING_IMAGE).exists()
