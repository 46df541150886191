"""Checks that every field has by its declaration: required, length, code domain, control characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks.findings import Blame
from qianzhi.checks.operands import among
from qianzhi.checks.parse import FORMAT_CODE
from qianzhi.codes.domain import domain
from qianzhi.errors import SpecError
from qianzhi.specs.formats import ValueType
from qianzhi.specs.model import ErrorClass, Severity, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qianzhi.checks.parse import Parsed
    from qianzhi.codes.domain import Domain
    from qianzhi.specs.model import CodeSystem, Dataset, Field, Regulator

MISSING_CODE: Final = "V01"
DOMAIN_CODE: Final = "V03"
FLAG_CODE: Final = "V11"
CONTROL_CODE: Final = "V12"

FLAG_PREFIX: Final = "FLAG-"
"""A code system whose key begins so is a flag: two or three signs, exactly as listed."""

SCANNED_ROWS_MAX: Final = 50_000
"""Bounds the copy of the texts that looking for control characters makes."""

_CONTROL: Final = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]"
_PRINTABLE_MIN: Final = 0x20
_DELETE: Final = 0x7F
_REPLACEMENT_LEAD: Final = 0xEF  # U+FFFD is EF BF BD


@dataclass(frozen=True, slots=True)
class Coded:
    """A field that takes its values from a code system; `accepted` says whether a text belongs to it."""

    field: Field
    accepted: pl.Expr
    blame: Blame


class Structure:
    """The structural checks of one dataset, made ready once."""

    def __init__(self, dataset: Dataset, regulator: Regulator) -> None:
        self._required = [field for field in dataset.fields if field.required]
        self._coded = [_coded(field, dataset, regulator) for field in dataset.fields if field.codes]
        texts = [field for field in dataset.fields if field.format.type is ValueType.TEXT and not field.codes]
        self._measured = [field for field in texts if field.format.length_min or field.format.length_max is not None]
        self._texts = texts

    @property
    def accepted(self) -> Mapping[str, pl.Expr]:
        """For each coded field, whether a text belongs to its domain."""
        return {coded.field.name: coded.accepted for coded in self._coded}

    def masks(self, inside: frozenset[str]) -> list[pl.Expr]:
        """
        Return what must be evaluated over the typed columns before `findings` can be told.

        `inside` names coded fields that are known to be in their domain.
        """
        return [
            *(~coded.accepted.alias(_outside(coded.field)) for coded in self._coded if coded.field.name not in inside),
            *(pl.col(field.name).str.len_bytes().max().alias(_longest(field)) for field in self._measured),
            *(
                pl.col(field.name).str.len_chars().min().alias(_shortest(field))
                for field in self._measured
                if field.format.length_min
            ),
        ]

    def findings(self, parsed: Parsed, masks: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yield the findings of each field that has any; `masks` holds what `masks()` gave."""
        for field in self._required:
            yield from _missing(parsed, field)
        for coded in self._coded:
            if coded.field.name not in parsed.inside:
                yield from _foreign(parsed, coded, masks[_outside(coded.field)])
        for field in self._measured:
            if _suspect(field, masks):
                yield from _misfits(parsed, field)
        for field in _soiled(parsed.raw, self._texts):
            yield from _controls(parsed, field)


def severity_of(system: CodeSystem) -> Severity:
    """Return what a value outside a code system does: a domain of our own proposal never rejects."""
    return Severity.ERROR if system.status is Status.FOUND else Severity.WARNING


def domain_code(system: CodeSystem) -> str:
    """Return the code of a finding about a value outside a code system."""
    return FLAG_CODE if system.key.startswith(FLAG_PREFIX) else DOMAIN_CODE


def _coded(field: Field, dataset: Dataset, regulator: Regulator) -> Coded:
    system = regulator.codes.get(field.codes or "")
    if system is None:
        raise SpecError(
            f"The field {field.name} of {dataset.name} names the code system {field.codes!r}, which does not exist.",
            remedy="Add it to codes/systems.toml or correct its key.",
        )
    if field.format.type is not ValueType.TEXT:
        raise SpecError(
            f"The field {field.name} of {dataset.name} has a code system and the format {field.format.notation}.",
            remedy="Give a coded field the format of a text, such as AN2: a code is no number.",
        )
    return Coded(
        field,
        _belongs(pl.col(field.name), domain(system)),
        Blame(domain_code(system), ErrorClass.DOMAIN, field.name, severity_of(system)),
    )


def _belongs(text: pl.Expr, known: Domain) -> pl.Expr:
    """Say what `known.contains` says, with its list made ready once."""
    if known.pattern is None:
        return among(text, known.accepted)
    shaped = text.str.contains(known.pattern)
    return shaped if known.prefix is None else shaped & among(text.str.slice(0, known.prefix), known.accepted)


def _outside(field: Field) -> str:
    return f"outside:{field.name}"


def _longest(field: Field) -> str:
    return f"longest:{field.name}"


def _shortest(field: Field) -> str:
    return f"shortest:{field.name}"


def _missing(parsed: Parsed, field: Field) -> Iterator[pl.DataFrame]:
    typed = parsed.typed[field.name]
    if not typed.null_count():
        return
    at = typed.is_null().arg_true()
    if field.format.type is not ValueType.TEXT:
        # A value that did not parse has its own finding: it is there.
        texts = parsed.raw[field.name].gather(at).str.strip_chars()
        at = at.filter((texts.is_null()) | (texts == ""))
    if not at.is_empty():
        yield findings_of.blamed(parsed.raw, Blame(MISSING_CODE, ErrorClass.MISSING, field.name, Severity.ERROR), at)


def _foreign(parsed: Parsed, coded: Coded, outside: pl.Series) -> Iterator[pl.DataFrame]:
    if not outside.any():
        return
    at = outside.arg_true()
    # One value, one finding: what is too long for the column is not also looked up.
    misfit = _misfit(parsed.typed[coded.field.name].gather(at), coded.field)
    if misfit.any():
        yield findings_of.blamed(parsed.raw, _length_blame(coded.field), at.filter(misfit))
    if not misfit.all():
        yield findings_of.blamed(parsed.raw, coded.blame, at.filter(~misfit))


def _suspect(field: Field, masks: pl.DataFrame) -> bool:
    """Tell from the longest and shortest value whether any can be too long (in bytes, at least) or too short."""
    longest = masks.item(0, _longest(field))
    if longest is None:
        return False
    most = field.format.length_max
    shortest = masks.item(0, _shortest(field)) if field.format.length_min else None
    return (most is not None and longest > most) or (shortest is not None and shortest < field.format.length_min)


def _misfits(parsed: Parsed, field: Field) -> Iterator[pl.DataFrame]:
    at = _misfit(parsed.typed[field.name], field).arg_true()
    if not at.is_empty():
        yield findings_of.blamed(parsed.raw, _length_blame(field), at)


def _misfit(values: pl.Series, field: Field) -> pl.Series:
    count = values.str.len_chars()
    short = count < field.format.length_min
    return short if field.format.length_max is None else short | (count > field.format.length_max)


def _length_blame(field: Field) -> Blame:
    return Blame(FORMAT_CODE, ErrorClass.LENGTH, field.name, Severity.ERROR)


def _soiled(raw: pl.DataFrame, fields: list[Field]) -> list[Field]:
    """
    Return the fields that may hold control characters.

    A regular expression looks at one byte a nanosecond; the extremes of all bytes of a column are found faster.
    """
    names = [field.name for field in fields if raw[field.name].null_count() < raw.height]
    dirty: set[str] = set()
    for rows in raw.iter_slices(SCANNED_ROWS_MAX):
        dirty |= _dirty(rows, [name for name in names if name not in dirty])
    return [field for field in fields if field.name in dirty]


def _dirty(raw: pl.DataFrame, names: list[str]) -> set[str]:
    if not names:
        return set()
    every_byte = pl.col(names).cast(pl.Binary).cast(pl.List(pl.UInt8)).explode()
    bytes_ = raw.select(every_byte.implode())
    ends = bytes_.unpivot().select("variable", low=pl.col("value").list.min(), high=pl.col("value").list.max())
    dirty = {name for name, low, _ in ends.iter_rows() if low is not None and low < _PRINTABLE_MIN}
    highest = {name: high for name, _, high in ends.iter_rows() if high is not None and name not in dirty}
    if doubtful := [name for name, high in highest.items() if high >= _DELETE]:
        dirty |= _named(bytes_.select(pl.col(doubtful).list.contains(_DELETE)))
    if doubtful := [name for name, high in highest.items() if high >= _REPLACEMENT_LEAD]:
        dirty |= _named(raw.select(pl.col(doubtful).str.contains("\ufffd", literal=True).any()))
    return dirty


def _named(flags: pl.DataFrame) -> set[str]:
    """Return the columns of a row of flags that are true."""
    return {name for name, flag in flags.row(0, named=True).items() if flag}


def _controls(parsed: Parsed, field: Field) -> Iterator[pl.DataFrame]:
    found = parsed.raw[field.name].str.contains(_CONTROL) & parsed.typed[field.name].is_not_null()
    at = found.arg_true()
    if not at.is_empty():
        yield findings_of.blamed(parsed.raw, Blame(CONTROL_CODE, ErrorClass.FORMAT, field.name, Severity.WARNING), at)
