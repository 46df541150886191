"""Small pictures for the staff of a hospital that does not exist."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_PORTRAIT_SIZE = (60, 84)  # pixels
_PAPER_SIZE = (84, 60)


class Picture(StrEnum):
    """Which pictures are asked for, by the ending of their file names."""

    PORTRAIT = "photo.jpg"
    QUALIFICATION = "qualification.png"
    LICENCE = "licence.png"


def picture_name(member: str, picture: Picture) -> str:
    """Return the file name of somebody's picture."""
    return f"{member}-{picture.value}"


def draw(folder: Path, members: Iterable[str]) -> int:
    """Draw every picture of these members into the folder and return how many; the number decides what is seen."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = 0
    for member in members:
        for picture in Picture:
            _draw(folder / picture_name(member, picture), member, picture)
            drawn += 1
    return drawn


def spoil(path: Path) -> None:
    """Write a file that is called an image and is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("not an image", encoding="utf-8")


def _draw(path: Path, member: str, picture: Picture) -> None:
    from PIL import Image, ImageDraw  # heavy, and only a run on disk needs it

    shade = crc32(member.encode()) & 0xFFFFFF
    colour = (shade >> 16 | 0x80, (shade >> 8 & 0xFF) | 0x80, (shade & 0xFF) | 0x80)
    image = Image.new("RGB", _PORTRAIT_SIZE if picture is Picture.PORTRAIT else _PAPER_SIZE, colour)
    pen = ImageDraw.Draw(image)
    if picture is Picture.PORTRAIT:
        pen.ellipse((15, 12, 45, 48), fill="white")
        pen.rectangle((9, 54, 51, 84), fill="white")
    else:
        pen.rectangle((6, 6, 78, 54), outline="white")
        pen.text((10, 24), member, fill="white")
    image.save(path)
