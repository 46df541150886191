"""Pictures of people and licences: looked into, written anew, and kept as files named by their digest."""

from __future__ import annotations

import errno
import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageOps

from qianzhi.db.account import make_private
from qianzhi.errors import OperatorError, SenderError
from qianzhi.runtime.vault import Vault
from qianzhi.sealing.images import IMAGE_BYTES_MAX, media_type

if TYPE_CHECKING:
    from pathlib import Path

PREFIX: Final = "/qianzhi/resources"
"""How the paths of kept pictures begin in records: no real folder, so that a home can be moved."""

PIXELS_MAX: Final = 40_000_000
SIDE_PIXELS_MAX: Final = 3_000  # a page at 250 dots an inch; the uplink carries every byte
THUMBNAIL_PIXELS: Final = 320
_JPEG_QUALITY: Final = 90
_LOSSLESS: Final = frozenset({"image/png", "image/gif", "image/bmp"})
_MODES: Final = {"RGB", "L"}
_SUFFIXES: Final = (".jpg", ".png")
_KEPT: Final = re.compile(r"[0-9a-f]{64}\.(jpg|png)")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is kept, and the path that stands for it in a record."""

    content: bytes
    path: str


class Album:
    """The folder of kept pictures; encrypted where the vault has a key."""

    def __init__(self, folder: Path, vault: Vault | None = None) -> None:
        self.folder = folder
        self._vault = vault or Vault()

    def picture(self, content: bytes) -> Picture:
        """
        Return a picture made ready to be kept: upright, bounded, without metadata.

        Nothing is written yet. Raises SenderError for what is no picture, or not one within the bounds.
        """
        known = self._known(content)
        if known is not None:
            return known
        written, suffix = _written_anew(content)
        return Picture(written, _path(written, suffix))

    def keep(self, picture: Picture) -> None:
        """Store a picture durably unless it is there already. Raises OSError when the disk is full."""
        file = self.folder / picture.path.rpartition("/")[2]
        if file.is_file() and file.stat().st_size in self._vault.sizes(len(picture.content)):
            return
        make_private(self.folder)
        self._vault.write(file, _name(file), picture.content)

    def read(self, file: Path) -> bytes:
        """
        Return the picture in one of the folder's files.

        Raises OSError where it is missing or not what was written, OperatorError where its key is away.
        """
        self._vault.require_key(file, _name(file))
        try:
            return self._vault.read(file, _name(file))
        except OperatorError as error:
            raise OSError(errno.EIO, error.what) from error

    def rewrite(self) -> int:
        """Write anew what is not as the vault writes now; return how many."""
        rewritten = 0
        for file in sorted(self.folder.glob("*")):
            if _KEPT.fullmatch(file.name) and not self._vault.is_current(file):
                self._vault.write(file, _name(file), self._vault.read(file, _name(file)))
                rewritten += 1
        return rewritten

    def _known(self, content: bytes) -> Picture | None:
        """Return the picture where the bytes are those of one that we wrote: writing it again would change it."""
        for suffix in _SUFFIXES:
            path = _path(content, suffix)
            if (self.folder / path.rpartition("/")[2]).is_file():
                return Picture(content, path)
        return None


def thumbnail(content: bytes) -> bytes:
    """Return a small JPEG of a picture, to be looked at. Raises SenderError for what is no picture."""
    return _written_anew(content, side_pixels=THUMBNAIL_PIXELS, as_jpeg=True)[0]


def _name(file: Path) -> str:
    return f"picture {file.name}"


def _path(content: bytes, suffix: str) -> str:
    return f"{PREFIX}/{hashlib.sha256(content).hexdigest()}{suffix}"


def _written_anew(content: bytes, *, side_pixels: int = SIDE_PIXELS_MAX, as_jpeg: bool = False) -> tuple[bytes, str]:
    kind = media_type(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which is dropped here
            with Image.open(io.BytesIO(content)) as opened:
                if opened.width * opened.height > PIXELS_MAX:
                    raise SenderError(
                        f"The picture has more than {PIXELS_MAX // 1_000_000} million pixels.",
                        remedy="Scan or save it smaller.",
                    )
                image = ImageOps.exif_transpose(opened)
                image.thumbnail((side_pixels, side_pixels))
                written, suffix = _encoded(image, lossless=kind in _LOSSLESS and not as_jpeg)
    except (
        OSError,
        ValueError,
        SyntaxError,
        ArithmeticError,
        LookupError,
        TypeError,
        Image.DecompressionBombError,
    ) as e:
        raise SenderError("The picture is damaged.", remedy="Open it, save it as JPEG or PNG, and try again.") from e
    if len(written) > IMAGE_BYTES_MAX:
        raise SenderError(
            f"The picture is larger than {IMAGE_BYTES_MAX // 2**20} MiB.", remedy="Save it as JPEG, or smaller."
        )
    return written, suffix


def _encoded(image: Image.Image, *, lossless: bool) -> tuple[bytes, str]:
    """Write the pixels and nothing else; what is transparent becomes white."""
    if image.mode not in _MODES:
        layer = image.convert("RGBA")
        page = Image.new("RGB", image.size, "white")
        page.paste(layer, mask=layer.getchannel("A"))
        image = page
    else:
        image = Image.frombytes(image.mode, image.size, image.tobytes())  # leaves profile and comments behind
    content = io.BytesIO()
    if lossless:
        image.save(content, "PNG", optimize=True)
        return content.getvalue(), ".png"
    image.save(content, "JPEG", quality=_JPEG_QUALITY)
    return content.getvalue(), ".jpg"
