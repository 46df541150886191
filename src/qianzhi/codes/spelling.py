"""The other ways to write a code that are not held against a sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def spellings(code: str, loose: frozenset[str]) -> frozenset[str]:
    """
    Return every accepted spelling of `code`, itself included.

    "leading-zero": any number of leading zeros dropped, or one added (`1`, `01`); only for codes of digits.
    "dots": without its dots, or with a dot after every second character (`0304`, `03.04`).
    """
    found = {code}
    if "dots" in loose:
        found |= _dotted(code)
    if "leading-zero" in loose:
        found |= {variant for spelling in tuple(found) for variant in _zeros(spelling)}
    return frozenset(found)


def _zeros(code: str) -> Iterable[str]:
    if not (code.isascii() and code.isdigit()):
        return ()
    bare = code.lstrip("0") or "0"
    return tuple(bare.zfill(width) for width in range(len(bare), len(code) + 2))


def _dotted(code: str) -> set[str]:
    plain = code.replace(".", "")
    if not (plain.isascii() and plain.isalnum()):
        return {code}
    if len(plain) % 2:
        return {code, plain}
    return {code, plain, ".".join(plain[start : start + 2] for start in range(0, len(plain), 2))}
