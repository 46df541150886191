"""Check digits of persons (GB 11643), organisations (GB 32100) and organisation codes (GB 11714), as expressions."""

from __future__ import annotations

from functools import cache, reduce
from operator import add
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.codes.tables import areas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# [0-9] and never \d: the latter takes full-width digits too.
_ID: Final = r"^[1-9](?:[0-9]{16}[0-9X]|[0-9]{14})$"
_ID_LENGTH: Final = 18
_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS: Final = "10X98765432"  # by the weighted sum modulo 11
_ID_PARTS: Final = ((0, 4), (4, 4), (8, 4), (12, 3), (15, 2))  # first digit and count: each part has a table

_USCC: Final = r"^[0-9A-HJ-NP-RTUW-Y]{2}[0-9]{6}[0-9A-HJ-NP-RTUW-Y]{10}$"
_USCC_SIGNS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_MODULUS: Final = len(_USCC_SIGNS)
_USCC_WEIGHTS: Final = tuple(pow(3, place, _USCC_MODULUS) for place in range(17))

_ORGCODE: Final = r"^[0-9A-Z]{8}-?[0-9X]$"
_ORGCODE_SIGNS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ORGCODE_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_ORGCODE_CHECKS: Final = "0X987654321"  # by the weighted sum modulo 11


def id_valid(text: pl.Expr) -> pl.Expr:
    """
    Return whether each text is a citizen's number: Boolean, null for null.

    18 characters with a real date and the check digit of GB 11643; the old form of 15 digits needs a real date.
    """
    number = text.str.slice(0, 17).cast(pl.Int64, strict=False)
    # A table for four digits at a time costs a third of seventeen divisions.
    weighted = _total(
        pl.lit(_id_table(first, count)).gather(number // 10 ** (17 - first - count) % 10**count)
        for first, count in _ID_PARTS
    )
    right = text.str.slice(17, 1) == _sign(weighted % 11, _ID_CHECKS)
    return _verdict(text, id_birth(text).is_not_null() & (~_is_long(text) | right))


def id_birth(text: pl.Expr) -> pl.Expr:
    """Return the Date of birth in each citizen's number; null where there is none."""
    written = pl.when(_is_long(text)).then(text.str.slice(6, 8)).otherwise(pl.lit("19") + text.str.slice(6, 6))
    shaped = text.str.contains(_ID) & (written >= "0001")  # there was no year 0
    return pl.when(shaped).then(written.str.to_date("%Y%m%d", strict=False))


def id_sex(text: pl.Expr) -> pl.Expr:
    """Return the GB/T 2261.1 code of sex ('1' male, '2' female) in each citizen's number; null where there is none."""
    digit = pl.when(_is_long(text)).then(text.str.slice(16, 1)).otherwise(text.str.slice(14, 1))
    code = pl.when(digit.is_in(["1", "3", "5", "7", "9"])).then(pl.lit("1")).otherwise(pl.lit("2"))
    return pl.when(text.str.contains(_ID)).then(code)


def id_area(text: pl.Expr) -> pl.Expr:
    """Return whether each text begins with a present or past code of GB/T 2260: Boolean, null for null."""
    # No area begins with 0, so that six signs and the number they make are the same thing.
    known = pl.lit(_area_numbers()).implode()
    return _verdict(text, text.str.slice(0, 6).cast(pl.Int32, strict=False).is_in(known))


def uscc_valid(text: pl.Expr) -> pl.Expr:
    """Return whether each text is a unified social credit code by GB 32100: Boolean, null for null."""
    weighted = _total(_weighted(text, _USCC_WEIGHTS, _USCC_SIGNS))
    # (31 − sum mod 31) mod 31, as one look-up.
    checks = _USCC_SIGNS[0] + _USCC_SIGNS[:0:-1]
    check = _sign(weighted % _USCC_MODULUS, checks)
    return _verdict(text, text.str.contains(_USCC) & (text.str.slice(17, 1) == check))


def orgcode_valid(text: pl.Expr) -> pl.Expr:
    """
    Return whether each text is an organisation code by GB 11714: Boolean, null for null.

    The hyphen before the check digit may be left out.
    """
    weighted = _total(_weighted(text, _ORGCODE_WEIGHTS, _ORGCODE_SIGNS))
    check = _sign(weighted % 11, _ORGCODE_CHECKS)
    return _verdict(text, text.str.contains(_ORGCODE) & (text.str.tail(1) == check))


@cache
def _id_table(first: int, count: int) -> pl.Series:
    """Return the weighted sum of every run of `count` digits that begins at the digit `first`."""
    sums = [0]
    for weight in _ID_WEIGHTS[first : first + count]:
        sums = [total + digit * weight for total in sums for digit in range(10)]
    return pl.Series(sums, dtype=pl.Int32)


@cache
def _area_numbers() -> pl.Series:
    return pl.Series(sorted(int(code) for code in areas()), dtype=pl.Int32)


def _is_long(text: pl.Expr) -> pl.Expr:
    return text.str.len_bytes() == _ID_LENGTH


def _weighted(text: pl.Expr, weights: Sequence[int], signs: str) -> list[pl.Expr]:
    worth: Mapping[str, int] = {sign: place for place, sign in enumerate(signs)}
    return [
        text.str.slice(place, 1).replace_strict(worth, default=None, return_dtype=pl.Int64) * weight
        for place, weight in enumerate(weights)
    ]


def _total(terms: Iterable[pl.Expr]) -> pl.Expr:
    return reduce(add, terms)


def _sign(place: pl.Expr, signs: str) -> pl.Expr:
    return place.replace_strict(dict(enumerate(signs)), default=None, return_dtype=pl.String)


def _verdict(text: pl.Expr, valid: pl.Expr) -> pl.Expr:
    # A sign outside the alphabet makes the sum null: that is no, not unknown.
    return pl.when(text.is_not_null()).then(valid.fill_null(value=False))
