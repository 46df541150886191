"""The functions and macros of the rule language, by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks import identifiers
from qianzhi.checks.operands import Kind, Operand, alike, truth
from qianzhi.codes.domain import domain
from qianzhi.codes.tables import ICD10_PATTERN, TCM_PATTERN
from qianzhi.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qianzhi.specs.model import CodeSystem

_LENGTH_DIGITS: Final = 10
_YEAR_DIGITS: Final = 5  # an interval can leave the years of four digits
_INSTANTS: Final = (Kind.DATE, Kind.DATETIME)


def call(name: str, arguments: Sequence[Operand], codes: Mapping[str, CodeSystem]) -> Operand:
    """Apply the function `name`; SpecError when it does not exist or does not take these arguments."""
    if name in _WITH_CODES:
        _require(name, arguments, 2, 2)
        return _WITH_CODES[name](_system(name, arguments[0], codes), arguments[1])
    if name not in _FUNCTIONS:
        raise SpecError(
            f"The function {name} is not in the rule language.",
            remedy=f"Use one of {', '.join(sorted([*_FUNCTIONS, *_WITH_CODES]))}.",
        )
    fewest, most, function = _FUNCTIONS[name]
    _require(name, arguments, fewest, most)
    return function(*arguments)


def like(value: Operand, pattern: Operand) -> Operand:
    """Return value LIKE pattern: % is any text, _ one character, a backslash takes the next sign literally."""
    _require_kind("LIKE", value, Kind.TEXT)
    written, text = _literal_text("LIKE", pattern), value.expr.str
    inner = written.strip("%")
    if inner and not set(inner) & set("%_\\"):
        # Plain words are found several times faster than by a regular expression.
        if written.startswith("%") and written.endswith("%"):
            return truth(text.contains(inner, literal=True))
        if written.startswith("%"):
            return truth(text.ends_with(inner))
        return truth(text.starts_with(inner) if written.endswith("%") else value.expr == inner)
    return truth(text.contains(_like_regex(written)))


def _like_regex(pattern: str) -> str:
    pieces = re.findall(r"\\.|.|\\$", pattern, re.DOTALL)
    signs = {"%": ".*", "_": "."}
    body = "".join(signs.get(piece) or _escaped(piece[-1]) for piece in pieces)
    return f"(?s)^{body}$"


def _escaped(sign: str) -> str:
    # Python's re.escape is for Python's dialect; \x{…} means the same in Rust's for every character.
    return sign if sign.isalnum() else rf"\x{{{ord(sign):x}}}"


def _length(value: Operand) -> Operand:
    _require_kind("length", value, Kind.TEXT)
    return Operand(value.expr.str.len_chars().cast(pl.Int64), Kind.INTEGER, _LENGTH_DIGITS)


def _coalesce(*values: Operand) -> Operand:
    *rest, last = alike(*values)
    expr = last.expr
    # Polars' own coalesce forgets the height of the frame where its first expression is a constant.
    for value in reversed(rest):
        expr = pl.when(value.expr.is_not_null()).then(value.expr).otherwise(expr)
    return Operand(expr, last.kind, last.whole, last.scale)


def _lower(value: Operand) -> Operand:
    _require_kind("lower", value, Kind.TEXT)
    return Operand(value.expr.str.to_lowercase(), Kind.TEXT)


def _upper(value: Operand) -> Operand:
    _require_kind("upper", value, Kind.TEXT)
    return Operand(value.expr.str.to_uppercase(), Kind.TEXT)


def _replace(value: Operand, old: Operand, new: Operand) -> Operand:
    _require_kind("replace", value, Kind.TEXT)
    sought = _literal_text("replace", old)
    if not sought:
        return value  # PostgreSQL replaces nothing; Polars would insert everywhere
    return Operand(value.expr.str.replace_all(sought, _literal_text("replace", new), literal=True), Kind.TEXT)


def _substr(value: Operand, start: Operand, length: Operand) -> Operand:
    _require_kind("substr", value, Kind.TEXT)
    for bound in (start, length):
        _require_kind("substr", bound, Kind.INTEGER)
    if isinstance(start.literal, int) and isinstance(length.literal, int):
        begin, end = max(start.literal - 1, 0), max(start.literal - 1 + length.literal, 0)
        return Operand(value.expr.str.slice(begin, max(end - begin, 0)), Kind.TEXT)
    # A start before the text takes away from the length, as in PostgreSQL; Polars would count from the end.
    first = (start.expr - 1).clip(lower_bound=0)
    beyond = (start.expr - 1 + length.expr).clip(lower_bound=0)
    return Operand(value.expr.str.slice(first, (beyond - first).clip(lower_bound=0)), Kind.TEXT)


def _abs(value: Operand) -> Operand:
    _require_number("abs", value)
    return Operand(value.expr.abs(), value.kind, value.whole, value.scale)


def _round(value: Operand, decimals: Operand) -> Operand:
    _require_number("round", value)
    if not isinstance(decimals.literal, int) or decimals.literal < 0:
        raise SpecError("round needs a literal count of decimals.", remedy="Write round(x, 2).")
    if value.scale <= decimals.literal:
        return value
    rounded = value.expr.round(decimals.literal, mode="half_away_from_zero")
    return Operand(rounded.cast(pl.Decimal(38, decimals.literal)), Kind.DECIMAL, value.whole + 1, decimals.literal)


def _date(value: Operand) -> Operand:
    if value.kind is Kind.TEXT:
        return alike(value, Operand(pl.lit(None, pl.Date), Kind.DATE))[0]
    _require_kind("date", value, *_INSTANTS)
    return Operand(value.expr.cast(pl.Date), Kind.DATE)


def _year(value: Operand) -> Operand:
    _require_kind("year", value, *_INSTANTS)
    return Operand(value.expr.dt.year().cast(pl.Int64), Kind.INTEGER, _YEAR_DIGITS)


def _month(value: Operand) -> Operand:
    _require_kind("month", value, *_INSTANTS)
    return Operand(value.expr.dt.month().cast(pl.Int64), Kind.INTEGER, 2)


def _regexp_like(value: Operand, pattern: Operand) -> Operand:
    _require_kind("regexp_like", value, Kind.TEXT)
    return truth(value.expr.str.contains(_ascii_digits(_literal_text("regexp_like", pattern))))


def _ascii_digits(pattern: str) -> str:
    r"""Let \d mean 0-9: by itself it also takes full-width digits, which no regulator takes."""
    return re.sub(r"\\(.)", lambda found: "[0-9]" if found[1] == "d" else found[0], pattern, flags=re.DOTALL)


def _age_years(birth: Operand, at: Operand) -> Operand:
    for instant in (birth, at):
        _require_kind("age_years", instant, *_INSTANTS)
    return Operand((_calendar(at) - _calendar(birth)) // 10_000, Kind.INTEGER, _YEAR_DIGITS)


def _calendar(instant: Operand) -> pl.Expr:
    """Return YYYYMMDD: whole years between two days are the difference of two of these, divided by 10,000."""
    day = instant.expr.dt
    return day.year().cast(pl.Int64) * 10_000 + day.month().cast(pl.Int64) * 100 + day.day().cast(pl.Int64)


def _in_codes(system: CodeSystem, value: Operand) -> Operand:
    _require_kind("in_codes", value, Kind.TEXT)
    return truth(domain(system).contains(value.expr))


def _code_name(system: CodeSystem, value: Operand) -> Operand:
    _require_kind("code_name", value, Kind.TEXT)
    return Operand(domain(system).name(value.expr), Kind.TEXT)


def _macro(name: str, kind: Kind, expression: Callable[[pl.Expr], pl.Expr]) -> Callable[..., Operand]:
    def apply(value: Operand) -> Operand:
        _require_kind(name, value, Kind.TEXT)
        return Operand(expression(value.expr), kind)

    return apply


def _matches(pattern: str) -> Callable[[pl.Expr], pl.Expr]:
    return lambda value: value.str.contains(pattern)


def _system(name: str, key: Operand, codes: Mapping[str, CodeSystem]) -> CodeSystem:
    written = _literal_text(name, key)
    if written not in codes:
        raise SpecError(
            f"{name} names the code system {written!r}, which does not exist.",
            remedy="Add it to codes/systems.toml or correct its key.",
        )
    return codes[written]


def _require(name: str, arguments: Sequence[Operand], fewest: int, most: int | None) -> None:
    if len(arguments) < fewest or (most is not None and len(arguments) > most):
        wanted = str(fewest) if most == fewest else f"{fewest} or more"
        raise SpecError(f"{name} has {len(arguments)} arguments.", remedy=f"Give it {wanted}.")


def _require_kind(name: str, operand: Operand, *kinds: Kind) -> None:
    if operand.kind not in kinds:
        raise SpecError(f"{name} does not apply to {operand.kind}.", remedy=f"Give it {' or '.join(kinds)}.")


def _require_number(name: str, operand: Operand) -> None:
    _require_kind(name, operand, Kind.INTEGER, Kind.DECIMAL)


def _literal_text(name: str, operand: Operand) -> str:
    if not isinstance(operand.literal, str):
        raise SpecError(f"{name} needs a literal text.", remedy="Write it in single quotes.")
    return operand.literal


_WITH_CODES: Final = {"in_codes": _in_codes, "code_name": _code_name}

# Fewest and most arguments, and what they become.
_FUNCTIONS: Final[dict[str, tuple[int, int | None, Callable[..., Operand]]]] = {
    "length": (1, 1, _length),
    "coalesce": (1, None, _coalesce),
    "lower": (1, 1, _lower),
    "upper": (1, 1, _upper),
    "replace": (3, 3, _replace),
    "substr": (3, 3, _substr),
    "abs": (1, 1, _abs),
    "round": (2, 2, _round),
    "date": (1, 1, _date),
    "year": (1, 1, _year),
    "month": (1, 1, _month),
    "regexp_like": (2, 2, _regexp_like),
    "age_years": (2, 2, _age_years),
    "id_valid": (1, 1, _macro("id_valid", Kind.BOOLEAN, identifiers.id_valid)),
    "id_birth": (1, 1, _macro("id_birth", Kind.DATE, identifiers.id_birth)),
    "id_sex": (1, 1, _macro("id_sex", Kind.TEXT, identifiers.id_sex)),
    "id_area": (1, 1, _macro("id_area", Kind.BOOLEAN, identifiers.id_area)),
    "uscc_valid": (1, 1, _macro("uscc_valid", Kind.BOOLEAN, identifiers.uscc_valid)),
    "orgcode_valid": (1, 1, _macro("orgcode_valid", Kind.BOOLEAN, identifiers.orgcode_valid)),
    "icd10_valid": (1, 1, _macro("icd10_valid", Kind.BOOLEAN, _matches(ICD10_PATTERN))),
    "tcm_valid": (1, 1, _macro("tcm_valid", Kind.BOOLEAN, _matches(TCM_PATTERN))),
}
