"""
Typed values of the rule language, and SQL's operators over them.

Types are settled while compiling, so that a rule cannot mean something else in one batch than in another:
numbers are exact (no Float anywhere), and an operation that could leave 38 digits is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks.numerals import DECIMAL_DIGITS_MAX, INTEGER_DIGITS_MAX
from qianzhi.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

QUOTIENT_SCALE_MIN: Final = 6
"""A quotient is rounded to at least so many decimals."""

INTERVAL_YEARS_MAX: Final = 1_000
"""Keeps every sum of a date and intervals inside what 64 bits of microseconds hold."""

EQUALITIES_MAX: Final = 12
"""So many comparisons of short texts take less time than one look-up in a set."""

_DAY_DIGITS: Final = 7  # days between the years 1 and 9999
_MONTHS: Final = {"MONTH": 1, "YEAR": 12}
_STEPS: Final = {"DAY": timedelta(days=1), "HOUR": timedelta(hours=1), "MINUTE": timedelta(minutes=1)}


class Kind(StrEnum):
    """The type of an operand."""

    BOOLEAN = "true or false"
    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    DATETIME = "date and time"
    DURATION = "time span"
    INTERVAL = "interval"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Interval:
    """A literal interval: months move by the calendar, the rest by the clock."""

    months: int = 0
    span: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Operand:
    """
    An expression, its type, and for numbers the digits it can have before and after the point.

    `literal` is the value itself where it stands in the rule's text.
    """

    expr: pl.Expr
    kind: Kind
    whole: int = 0
    scale: int = 0
    literal: str | int | Decimal | bool | Interval | None = None

    @property
    def is_number(self) -> bool:
        """Whether arithmetic applies."""
        return self.kind in {Kind.INTEGER, Kind.DECIMAL}


NULL: Final = Operand(pl.lit(None, pl.Boolean), Kind.NULL)
_NUMBERS: Final = frozenset({Kind.INTEGER, Kind.DECIMAL})
_INSTANTS: Final = frozenset({Kind.DATE, Kind.DATETIME})
_DTYPES: Final = {
    Kind.BOOLEAN: pl.Boolean(),
    Kind.TEXT: pl.String(),
    Kind.INTEGER: pl.Int64(),
    Kind.DATE: pl.Date(),
    Kind.DATETIME: pl.Datetime("us"),
    Kind.DURATION: pl.Duration("us"),
}


def truth(expr: pl.Expr) -> Operand:
    """Return an operand that is true, false or null."""
    return Operand(expr, Kind.BOOLEAN)


def text(value: str) -> Operand:
    """Return a literal text."""
    return Operand(pl.lit(value, pl.String), Kind.TEXT, literal=value)


def number(written: str) -> Operand:
    """Return a literal number; SpecError for exponents and numbers of more than 38 digits."""
    if not re.fullmatch(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+", written):
        raise SpecError(f"The number {written!r} has an exponent.", remedy="Write it out in digits.")
    whole_part, _, fraction = written.partition(".")
    whole, scale = len(whole_part.lstrip("0")), len(fraction)
    if not scale and whole <= INTEGER_DIGITS_MAX:
        return Operand(pl.lit(int(whole_part), pl.Int64), Kind.INTEGER, whole, literal=int(whole_part))
    _within(whole, scale)
    value = Decimal(written)
    return Operand(pl.lit(value, pl.Decimal(DECIMAL_DIGITS_MAX, scale)), Kind.DECIMAL, whole, scale, value)


def interval(count: str, unit: str) -> Operand:
    """Return a literal interval; SpecError for fractions, unknown units and more than INTERVAL_YEARS_MAX."""
    name = unit.upper().removesuffix("S")
    if not re.fullmatch(r"-?[0-9]{1,9}", count) or name not in {*_MONTHS, *_STEPS}:
        raise SpecError(
            f"The interval {count!r} {unit} is not in the rule language.",
            remedy="Write a whole number of DAY, MONTH, YEAR, HOUR or MINUTE, such as INTERVAL '3' DAY.",
        )
    value = Interval(int(count) * _MONTHS[name]) if name in _MONTHS else Interval(0, int(count) * _STEPS[name])
    if abs(value.months) > INTERVAL_YEARS_MAX * 12 or abs(value.span) > timedelta(days=366 * INTERVAL_YEARS_MAX):
        raise SpecError(
            f"The interval {count!r} {unit} is longer than {INTERVAL_YEARS_MAX} years.", remedy="Shorten it."
        )
    return Operand(pl.lit(value.span, pl.Duration("us")), Kind.INTERVAL, literal=value)


def negative(operand: Operand) -> Operand:
    """Return −operand, of a number or an interval."""
    if isinstance(operand.literal, Interval):
        value = Interval(-operand.literal.months, -operand.literal.span)
        return Operand(pl.lit(value.span, pl.Duration("us")), Kind.INTERVAL, literal=value)
    _require_numbers("-", operand)
    literal = -operand.literal if isinstance(operand.literal, (int, Decimal)) else None
    return replace(operand, expr=-operand.expr, literal=literal)


def sum_(left: Operand, right: Operand) -> Operand:
    """Return left + right: numbers, or an instant and an interval in either order."""
    if left.kind is Kind.INTERVAL:
        left, right = right, left
    if isinstance(right.literal, Interval):
        return _moved(left, right.literal)
    return _linear("+", left, right)


def difference(left: Operand, right: Operand) -> Operand:
    """Return left − right: numbers, an instant less an interval, days between dates, the span between times."""
    if isinstance(right.literal, Interval):
        return _moved(left, Interval(-right.literal.months, -right.literal.span))
    if left.kind is Kind.DATE and right.kind is Kind.DATE:
        return Operand((left.expr - right.expr).dt.total_days(), Kind.INTEGER, _DAY_DIGITS)
    if left.kind in _INSTANTS and right.kind in _INSTANTS:
        return Operand(cast(left, Kind.DATETIME).expr - cast(right, Kind.DATETIME).expr, Kind.DURATION)
    return _linear("-", left, right)


def product(left: Operand, right: Operand) -> Operand:
    """Return left × right, exactly."""
    _require_numbers("*", left, right)
    whole, scale = left.whole + right.whole, left.scale + right.scale
    if left.kind is right.kind is Kind.INTEGER and whole <= INTEGER_DIGITS_MAX:
        return Operand(left.expr * right.expr, Kind.INTEGER, whole)
    _within(whole, scale)
    # Polars rounds a product to the larger scale of its factors, so one of them gets the scale of the product.
    return Operand(_decimal(left, scale) * _decimal(right, right.scale), Kind.DECIMAL, whole, scale)


def quotient(left: Operand, right: Operand) -> Operand:
    """
    Return left / right, rounded to at least QUOTIENT_SCALE_MIN decimals; null for a division by zero.

    Integers divide like decimals: what a rule says must not depend on how a column counts.
    """
    _require_numbers("/", left, right)
    scale = max(left.scale, right.scale, QUOTIENT_SCALE_MIN)
    whole = left.whole + right.scale
    _within(whole, scale)
    divisor = _decimal(right, right.scale)
    # Polars raises where it would divide by zero.
    safe = pl.when(divisor != 0).then(divisor)
    return Operand(_decimal(left, scale) / safe, Kind.DECIMAL, whole, scale)


def compare(sign: str, left: Operand, right: Operand) -> Operand:
    """Return a comparison; null where either side is null."""
    if Kind.NULL in {left.kind, right.kind}:
        return truth(pl.lit(None, pl.Boolean))
    if _is_constant(left) and not _is_constant(right):
        # Polars 2.1 takes `constant = when/then` for one value, not a column, and fails: the column goes first.
        sign, left, right = _MIRRORED[sign], right, left
    first, second = alike(left, right)
    if first.kind is Kind.BOOLEAN and sign not in {"=", "<>"}:
        raise SpecError(f"True and false have no order for {sign}.", remedy="Compare them with = or <>.")
    return truth(_COMPARISONS[sign](first.expr, second.expr))


def _is_constant(operand: Operand) -> bool:
    """Return whether no column is read, as in `lower('A')`."""
    return not operand.expr.meta.root_names()


def member(value: Operand, options: Sequence[Operand]) -> Operand:
    """Return value IN (options) with SQL's null: unknown where nothing matches and an option is null."""
    known = [option for option in options if option.kind is not Kind.NULL]
    if value.kind is Kind.NULL or not known:
        return truth(pl.lit(None, pl.Boolean))
    if value.kind is Kind.TEXT and all(isinstance(option.literal, str) for option in known):
        found = among(value.expr, {str(option.literal) for option in known})
    else:
        found = reduce(or_, (compare("=", value, option).expr for option in known))
    if len(known) < len(options):
        found = pl.when(found).then(pl.lit(True))  # noqa: FBT003  # a literal, no switch
    return truth(found)


def among(values: pl.Expr, texts: Collection[str]) -> pl.Expr:
    """Return whether each text is one of `texts`: Boolean, null for null."""
    if 0 < len(texts) <= EQUALITIES_MAX:
        return reduce(or_, (values == text for text in sorted(texts)))
    return values.is_in(pl.lit(pl.Series(sorted(texts), dtype=pl.String)).implode())


def alike(*operands: Operand) -> list[Operand]:
    """Bring operands to one type; SpecError where they have none in common. NULL takes the type of the others."""
    kinds = {operand.kind for operand in operands} - {Kind.NULL}
    if not kinds:
        return list(operands)
    if kinds <= _NUMBERS:
        return _same_numbers(operands)
    if kinds & _INSTANTS and kinds <= _INSTANTS | {Kind.TEXT}:
        operands = tuple(_instant(operand) if operand.kind is Kind.TEXT else operand for operand in operands)
        target = Kind.DATETIME if any(operand.kind is Kind.DATETIME for operand in operands) else Kind.DATE
        return [cast(operand, target) for operand in operands]
    if kinds == {Kind.DURATION, Kind.INTERVAL}:
        return [_span(operand) for operand in operands]
    if len(kinds) == 1 and kinds != {Kind.INTERVAL}:
        (kind,) = kinds
        return [cast(operand, kind) for operand in operands]
    raise SpecError(
        f"{' and '.join(sorted(kinds))} cannot be compared or mixed.",
        remedy="Give both sides one type: quote a code, use date(x), or compare raw(FIELD).",
    )


def cast(operand: Operand, kind: Kind) -> Operand:
    """Return the operand as `kind`, where that loses nothing: null to anything, a date to its midnight."""
    if operand.kind is kind:
        return operand
    return replace(operand, expr=operand.expr.cast(_DTYPES[kind]), kind=kind)


def _same_numbers(operands: Sequence[Operand]) -> list[Operand]:
    whole = max(operand.whole for operand in operands)
    scale = max(operand.scale for operand in operands)
    if all(operand.kind is not Kind.DECIMAL for operand in operands):
        return [replace(operand, expr=operand.expr.cast(pl.Int64), kind=Kind.INTEGER) for operand in operands]
    _within(whole, scale)
    return [Operand(_decimal(operand, scale), Kind.DECIMAL, whole, scale, operand.literal) for operand in operands]


def _decimal(operand: Operand, scale: int) -> pl.Expr:
    if isinstance(operand.literal, (int, Decimal)):
        return pl.lit(Decimal(operand.literal), pl.Decimal(DECIMAL_DIGITS_MAX, scale))
    if operand.kind is Kind.DECIMAL and operand.scale == scale:
        return operand.expr
    return operand.expr.cast(pl.Decimal(DECIMAL_DIGITS_MAX, scale))


def _linear(sign: str, left: Operand, right: Operand) -> Operand:
    _require_numbers(sign, left, right)
    whole, scale = max(left.whole, right.whole) + 1, max(left.scale, right.scale)
    join: Callable[[pl.Expr, pl.Expr], pl.Expr] = pl.Expr.__add__ if sign == "+" else pl.Expr.__sub__
    if left.kind is right.kind is Kind.INTEGER and whole <= INTEGER_DIGITS_MAX:
        return Operand(join(left.expr, right.expr), Kind.INTEGER, whole)
    _within(whole, scale)
    return Operand(join(_decimal(left, scale), _decimal(right, scale)), Kind.DECIMAL, whole, scale)


def _moved(instant: Operand, by: Interval) -> Operand:
    if instant.kind not in _INSTANTS:
        raise SpecError(
            f"An interval cannot be added to {instant.kind}.", remedy="Add it to a date or a date and time."
        )
    expr = cast(instant, Kind.DATETIME).expr
    if by.months:
        # Clamps at the end of the month, as PostgreSQL does.
        expr = expr.dt.offset_by(f"{by.months}mo")
    if by.span:
        expr = expr + pl.lit(by.span, pl.Duration("us"))
    return Operand(expr, Kind.DATETIME)


def _instant(operand: Operand) -> Operand:
    try:
        written = str(operand.literal)
        if operand.literal is not None and len(written) == len("2000-01-01"):
            return Operand(pl.lit(date.fromisoformat(written), pl.Date), Kind.DATE)
        if operand.literal is not None:
            return Operand(pl.lit(datetime.strptime(written, "%Y-%m-%d %H:%M:%S"), pl.Datetime("us")), Kind.DATETIME)  # noqa: DTZ007  # local time by definition
    except ValueError:
        pass
    raise SpecError(
        "A date is compared with a text.",
        remedy="Write the date as 'YYYY-MM-DD' or 'YYYY-MM-DD HH:MM:SS'.",
    )


def _span(operand: Operand) -> Operand:
    if isinstance(operand.literal, Interval) and operand.literal.months:
        raise SpecError(
            "A time span is compared with months or years, which have no fixed length.",
            remedy="Add the interval to the earlier time and compare two times.",
        )
    return replace(operand, kind=Kind.DURATION)


def _require_numbers(sign: str, *operands: Operand) -> None:
    for operand in operands:
        if not operand.is_number:
            raise SpecError(f"{sign} does not apply to {operand.kind}.", remedy="Use it between numbers.")


def _within(whole: int, scale: int) -> None:
    if whole + scale > DECIMAL_DIGITS_MAX:
        raise SpecError(
            f"A result can have {whole + scale} digits, more than the {DECIMAL_DIGITS_MAX} that stay exact.",
            remedy="Multiply fewer fields, or round(x, n) a factor first.",
        )


_COMPARISONS: Final[dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]]] = {
    "=": pl.Expr.eq,
    "<>": pl.Expr.ne,
    "<": pl.Expr.lt,
    "<=": pl.Expr.le,
    ">": pl.Expr.gt,
    ">=": pl.Expr.ge,
}
_MIRRORED: Final = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
