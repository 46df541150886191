"""The notation of the national standards for a field's value (WS 445): `AN..50`, `N..10,2`, `D8`, `DT15`, `T/F`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from qianzhi.errors import SpecError


class ValueType(StrEnum):
    """What a value becomes in a typed frame."""

    TEXT = "text"  # String
    INTEGER = "integer"  # Int64
    DECIMAL = "decimal"  # Decimal(precision, scale)
    DATE = "date"  # Date
    DATETIME = "datetime"  # Datetime, local time of Asia/Shanghai without zone
    FLAG = "flag"  # Boolean


@dataclass(frozen=True, slots=True)
class Format:
    """A parsed notation. Lengths count characters; for numbers they count digits."""

    notation: str
    type: ValueType
    length_min: int = 0
    length_max: int | None = None
    scale: int = 0


_TEXT = re.compile(r"(?:A|AN|S\d?)(?P<dots>\.\.)?(?P<length>\d+)?")
_NUMBER = re.compile(r"N(?P<dots>\.\.)?(?P<length>\d+)(?:,(?P<scale>\d+))?")
_FIXED = {"D8": ValueType.DATE, "DT15": ValueType.DATETIME, "T/F": ValueType.FLAG}


def parse_format(notation: str) -> Format:
    """
    Parse a notation.

    `A`, `AN`: letters, letters and digits (kept as text); `AN..50` up to 50; `AN6` exactly 6; `AN` any length.
    `N3` and `N..3`: an integer of at most three digits; `N..16,4`: a decimal of 16 digits, 4 of them after the point.
    Raises SpecError for anything else.
    """
    if notation in _FIXED:
        return Format(notation, _FIXED[notation])
    if match := _TEXT.fullmatch(notation):
        length = int(match["length"]) if match["length"] else None
        exact = length if length is not None and not match["dots"] else 0
        return Format(notation, ValueType.TEXT, exact, length)
    if match := _NUMBER.fullmatch(notation):
        scale = int(match["scale"] or 0)
        kind = ValueType.DECIMAL if match["scale"] else ValueType.INTEGER
        return Format(notation, kind, 0, int(match["length"]), scale)
    raise SpecError(
        f"The format {notation!r} is not in the notation of WS 445.",
        remedy="Write it as AN..50, A..20, N1, N..10,2, D8, DT15 or T/F.",
    )
