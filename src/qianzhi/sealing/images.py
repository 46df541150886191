"""Whether bytes are an image that both ends are willing to carry. Pure."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from qianzhi.errors import SenderError

IMAGE_BYTES_MAX = 20 * 2**20
PIECE_BYTES_MAX = 2**20  # of an image that travels in pieces: four seconds of a line of 2 Mb/s
IMAGE_PIXELS_MAX = 100_000_000  # a small file may unpack to a huge picture
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")


def media_type(content: bytes) -> str:
    """Return the media type of an image, e.g. `image/png`. Raises SenderError for anything else."""
    if len(content) > IMAGE_BYTES_MAX:
        raise _no_image(f"it is larger than {IMAGE_BYTES_MAX // 2**20} MiB")
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, which does no harm here, and of sizes, which are judged below.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                if image.width * image.height > IMAGE_PIXELS_MAX:
                    raise _no_image("it has more pixels than a document's image has")
                found = Image.MIME[image.format or ""]
                image.verify()
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        KeyError,
        Image.DecompressionBombError,
    ) as error:
        raise _no_image("its content is not one of " + ", ".join(_FORMATS)) from error
    return found


def _no_image(why: str) -> SenderError:
    return SenderError(f"The file is not an image that can be carried: {why}.", remedy="Put the image in its place.")
