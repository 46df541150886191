"""
Natural keys and contents as 64-bit numbers.

A key is probed by `key_hash` and verified by `key_check`, a second, independent hash: together 128 bits,
so that a probe never needs the key's text and a ledger row stays narrow.
The two are stored, hence fixed for ever: xxh3_64 and xxhash64 of the values joined with U+001F, where U+001F
within a value is written as U+0000 U+0001 and an absent value as U+0000. No stored value can hold U+0000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from polars_hash import NonCryptographicHashingNameSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

SEPARATOR = "\x1f"
_ABSENT = "\x00"  # cannot stand in a value that came through PostgreSQL, so an absent value equals no present one
_ESCAPED = "\x00\x01"  # so that no value can pose as two


def key_text(fields: Sequence[str]) -> pl.Expr:
    """Return the text of a key over columns of `parse.said`."""
    escaped = (pl.col(name).str.replace_all(SEPARATOR, _ESCAPED, literal=True) for name in fields)
    return pl.concat_str([value.fill_null(_ABSENT) for value in escaped], separator=SEPARATOR)


def key_hash(fields: Sequence[str]) -> pl.Expr:
    """Return the Int64 hash by which a key is probed."""
    return hash_of(key_text(fields))


def key_check(fields: Sequence[str]) -> pl.Expr:
    """Return the Int64 hash by which a hit is verified."""
    return check_of(key_text(fields))


def hash_of(text: pl.Expr) -> pl.Expr:
    """Return `key_hash` of a key's text; where both hashes are wanted, the text is then made once."""
    return _signed(NonCryptographicHashingNameSpace(text).xxh3_64())


def check_of(text: pl.Expr) -> pl.Expr:
    """Return `key_check` of a key's text."""
    return _signed(NonCryptographicHashingNameSpace(text).xxhash64())


def content_hash(fields: Sequence[str]) -> pl.Expr:
    """
    Return an Int64 hash by which the whole of a row is compared with another of its key.

    Values are taken as they came, neither stripped nor escaped, and each is hashed by itself, seeded by its place: to
    write the text of a whole row costs twice as much. A forger could only fool himself.
    """
    placed = (
        NonCryptographicHashingNameSpace(pl.col(name)).xxh3_64(seed=place).fill_null(place)
        for place, name in enumerate(fields)
    )
    return _signed(pl.sum_horizontal(placed))


def is_complete(fields: Sequence[str]) -> pl.Expr:
    """Tell whether every field of a key says anything, over columns of `parse.said`."""
    return pl.all_horizontal(pl.col(name).is_not_null() for name in fields)


def _signed(expression: pl.Expr) -> pl.Expr:
    # PostgreSQL has no unsigned bigint; reinterpreting keeps all 64 bits.
    return expression.reinterpret(signed=True)
