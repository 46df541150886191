"""The domain of a code system: which values belong to it, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.codes.spelling import spellings
from qianzhi.codes.tables import AREA_PATTERN, ICD10_PATTERN, TCM_PATTERN, area_names, countries
from qianzhi.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qianzhi.specs.model import CodeSystem

_PATTERNS: Final = {"icd10": ICD10_PATTERN, "tcm": TCM_PATTERN}
_AREA_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Domain:
    """
    Which values a code system accepts.

    A finite domain holds its accepted spellings, each with the code it stands for; a `pattern` says the shape instead.
    Where there are both, the first characters (as many as `prefix`) are a code.
    """

    system: str
    title: str
    canonical: Mapping[str, str] = field(default_factory=dict)  # accepted spelling → code as the system writes it
    names: Mapping[str, str] = field(default_factory=dict)  # accepted spelling → name; empty where names are not held
    pattern: str | None = None
    prefix: int | None = None

    @property
    def accepted(self) -> frozenset[str]:
        """Every accepted spelling; empty for a domain that only has a pattern."""
        return frozenset(self.canonical)

    def contains(self, values: pl.Expr) -> pl.Expr:
        """Return whether each text belongs to the domain: Boolean, null for null."""
        if self.pattern is None:
            return values.is_in(list(self.canonical))
        shaped = values.str.contains(self.pattern)
        if self.prefix is None:
            return shaped
        return shaped & values.str.slice(0, self.prefix).is_in(list(self.canonical))

    def name(self, values: pl.Expr) -> pl.Expr:
        """Return each code's name: String, null for null, for an unknown code and where names are not held."""
        return values.replace_strict(dict(self.names), default=None, return_dtype=pl.String)

    def standard(self, values: pl.Expr) -> pl.Expr:
        """Return each code as its system writes it: String, unchanged where the domain is not finite or unknown."""
        if self.pattern is not None:
            return values
        return values.replace(dict(self.canonical))

    def members(self, values: pl.Series) -> pl.Series:
        """Return `contains` of a column at hand."""
        return values.to_frame("value").select(self.contains(pl.col("value"))).to_series()


def domain(system: CodeSystem) -> Domain:
    """Build the domain of a code system. SpecError when two codes share a spelling, or its check is unknown."""
    match system.check:
        case None:
            return _finite(system, system.codes, system.codes)
        case "country":
            return _finite(system, countries(), {})
        case "area":
            names = area_names()
            canonical = {code: code for code in names}
            return Domain(system.key, system.title, canonical, names, AREA_PATTERN, _AREA_DIGITS)
        case check if check in _PATTERNS:
            return Domain(system.key, system.title, pattern=_PATTERNS[check])
    raise SpecError(
        f"The code system {system.key} asks for the check {system.check!r}, which does not exist.",
        remedy=f"Use one of area, country, {', '.join(sorted(_PATTERNS))}, or give the codes as a file.",
    )


def _finite(system: CodeSystem, codes: Iterable[str], names: Mapping[str, str]) -> Domain:
    listed = dict.fromkeys(codes)
    canonical = {code: code for code in listed}
    for code in listed:
        for spelling in spellings(code, system.loose) - {code}:
            # A spelling that is itself a code of the list always means that code.
            if spelling not in listed and canonical.setdefault(spelling, code) != code:
                raise SpecError(
                    f"The code system {system.key} accepts {spelling!r} for both {canonical[spelling]!r} and {code!r}.",
                    remedy="Take the loose spelling away from this code system in codes/systems.toml.",
                )
    named = {spelling: names[code] for spelling, code in canonical.items() if code in names}
    return Domain(system.key, system.title, canonical, named)
