"""Integers and decimals written as text: which texts are numbers, and which of them fit a format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.specs.formats import ValueType
from qianzhi.specs.model import ErrorClass

if TYPE_CHECKING:
    from qianzhi.specs.formats import Format

DECIMAL_DIGITS_MAX: Final = 38
"""What Polars' Decimal holds."""

INTEGER_DIGITS_MAX: Final = 18
"""Every number of so many digits fits 64 bits."""

# [0-9] and never \d: the latter takes full-width digits too.
_NUMBER: Final = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"
_WHOLE: Final = r"^[+-]?0*([0-9]*)"
_FRACTION: Final = r"\.([0-9]*?)0*$"


def integer(text: pl.Expr, form: Format) -> pl.Expr:
    """Return the Int64 of each text that is plainly an integer of the format; null for every other text."""
    bound = 10 ** min(_digits(form), INTEGER_DIGITS_MAX) - 1
    number = text.cast(pl.Int64, strict=False)
    return pl.when(number.is_between(-bound, bound)).then(number)


def decimal(text: pl.Expr, form: Format) -> pl.Expr:
    """Return the Decimal of each text that is plainly a number of the format; null for every other text."""
    whole = _digits(form) - form.scale
    digits = f"[0-9]{{1,{whole}}}" if whole else "0"
    plain = text.str.contains(rf"^[+-]?{digits}(?:\.[0-9]{{0,{form.scale}}})?$")
    # The cast alone would take exponents and round surplus decimals away.
    return pl.when(plain).then(text.cast(pl.Decimal(DECIMAL_DIGITS_MAX, form.scale), strict=False))


def read_numbers(texts: pl.Series, form: Format) -> pl.DataFrame:
    """
    Read stripped texts that are not plainly numbers of the format.

    Returns `value` (null where the text does not parse) and `class` (null where it does).
    Zeros that lead the whole part or end the fraction do not count, but an integer has no point at all.
    """
    text = pl.col("text")
    is_integer = form.type is ValueType.INTEGER
    whole = text.str.extract(_WHOLE)
    fraction = text.str.extract(_FRACTION).fill_null("")
    fits = (whole.str.len_bytes() <= _digits(form) - form.scale) & (fraction.str.len_bytes() <= form.scale)
    if is_integer:
        fits &= ~text.str.contains(".", literal=True)
    plain = pl.concat_str(
        pl.when(text.str.starts_with("-")).then(pl.lit("-")).otherwise(pl.lit("")),
        pl.when(whole == "").then(pl.lit("0")).otherwise(whole),
        pl.lit("" if is_integer else "."),
        pl.lit("") if is_integer else fraction,
    )
    kind = pl.Int64() if is_integer else pl.Decimal(DECIMAL_DIGITS_MAX, form.scale)
    return (
        texts.to_frame("text")
        .with_columns(number=text.str.contains(_NUMBER))
        .with_columns(fits=pl.col("number") & fits)
        .select(
            value=pl.when("fits").then(plain).cast(kind, strict=False),
            **{
                "class": pl.when(~pl.col("number"))
                .then(pl.lit(ErrorClass.FORMAT.value))
                .when(~pl.col("fits"))
                .then(pl.lit(ErrorClass.LENGTH.value))
            },
            detail=pl.lit(None, pl.String),
        )
    )


def _digits(form: Format) -> int:
    return form.length_max if form.length_max is not None else INTEGER_DIGITS_MAX
