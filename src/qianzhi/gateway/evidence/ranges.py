"""The Range header (RFC 9110, 14): which parts of a file are asked for. Pure."""

from __future__ import annotations

import re
from typing import Final

RANGES_MAX: Final = 16
HEADER_CHARACTERS_MAX: Final = 512
_DIGITS_MAX = 18
_PART = re.compile(rf"([0-9]{{0,{_DIGITS_MAX}}})-([0-9]{{0,{_DIGITS_MAX}}})")
_UNIT = "bytes="


def ranges_of(header: str | None, size: int) -> list[range] | None:
    """
    Return the parts of a file of `size` bytes that a header asks for, each not empty.

    None means the whole file: there is no header, it cannot be read, it asks for more parts than RANGES_MAX or for
    more than there is. An empty list means that no part of the file is asked for, which is an error of the client.
    """
    if header is None or len(header) > HEADER_CHARACTERS_MAX or not header.lower().startswith(_UNIT):
        return None
    texts = [text.strip(" \t") for text in header[len(_UNIT) :].split(",")]
    matches = [_PART.fullmatch(text) for text in texts if text]
    if not matches or len(matches) > RANGES_MAX:
        return None
    found = []
    for match in matches:
        part = None if match is None else _part(match[1], match[2], size)
        if part is None:
            return None
        found.append(part)
    asked = [part for part in found if part]
    return None if sum(map(len, asked)) > size else asked


def content_range(part: range | None, size: int) -> str:
    """Return what Content-Range says of a part; of none where no part could be given."""
    return f"bytes */{size}" if part is None else f"bytes {part.start}-{part.stop - 1}/{size}"


def _part(first: str, last: str, size: int) -> range | None:
    """Return one part, empty where it lies behind the end; None where it cannot be read."""
    if not first:
        return range(max(size - int(last), 0), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(min(int(first), size), min(int(last) + 1, size) if last else size)
