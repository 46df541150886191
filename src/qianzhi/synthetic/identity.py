"""
Identity numbers with right check digits, for people and institutions that do not exist.

Written apart from the macros of the checker, so that a mistake in either shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

_CREDIT_SIGNS = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100: without I O S V Z
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def id_number(area: str, born_on: date, sequence: int) -> str:
    """Return the 18 signs of GB 11643; an odd `sequence` (0 to 999) belongs to a man."""
    body = f"{area}{born_on:%Y%m%d}{sequence:03d}"
    return body + id_check(body)


def id_check(body: str) -> str:
    """
    Return the check sign for 17 digits.

    ISO 7064 MOD 11-2 in its recursive form: running sum times two, modulo eleven.
    """
    running = 0
    for digit in body:
        running = (running + int(digit)) * 2 % 11
    return "0123456789X"[(12 - running) % 11]


def organisation_code(body: str) -> str:
    """Return the nine signs of GB 11714 for a body of eight digits."""
    total = sum(int(digit) * weight for digit, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    return body + "0123456789X0"[11 - total % 11 if total % 11 else 11]


def credit_code(prefix: str, area: str, organisation: str) -> str:
    """Return the 18 signs of GB 32100: two of registration, six of area, nine of organisation, one check."""
    body = f"{prefix}{area}{organisation}"
    total = sum(_CREDIT_SIGNS.index(sign) * pow(3, place, 31) for place, sign in enumerate(body))
    return body + _CREDIT_SIGNS[-total % 31]
