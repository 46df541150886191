"""Pictures of pages for the documentation: small, of one width, and silent about the machine they were taken on."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser import Visitor

VARIABLE: Final = "QIANZHI_SCREENSHOTS"  # names the folder; where it is not set, no picture is taken
BYTES_MAX: Final = 120_000
COLOURS: Final = 255
HOME: Final = "/srv/qianzhi"
HOST: Final = "front"
# Every text and value of the page that holds one of the words gets what stands for it.
MASK: Final = """words => {
    const masked = text => Object.entries(words).reduce((left, [word, sign]) => left.replaceAll(word, sign), text)
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
        const said = masked(walker.currentNode.data)
        if (said !== walker.currentNode.data) walker.currentNode.data = said
    }
    document.querySelectorAll('input').forEach(each => { each.value = masked(each.value) })
}"""


def shoot(guest: Visitor, folder: Path, name: str, language: str, *, home: Path | None = None) -> None:
    """Keep a picture: few colours are enough for text; `home` is shown as where people would have it."""
    words = {socket.gethostname(): HOST} | ({str(home): HOME} if home is not None else {})
    guest.page.evaluate(MASK, words)
    guest.shoot(folder, f"{name}.{language}")
    file = folder / f"{name}.{language}.png"
    with Image.open(file) as picture:
        small = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(file, optimize=True)
    assert file.stat().st_size < BYTES_MAX
