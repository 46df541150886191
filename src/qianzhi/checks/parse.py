"""From the text that stands in a staging table to typed columns; what does not parse is a finding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks.findings import Blame
from qianzhi.checks.instants import GAP, date, datetime_, gaps, read_instants
from qianzhi.checks.numerals import DECIMAL_DIGITS_MAX, decimal, integer, read_numbers
from qianzhi.specs.formats import ValueType
from qianzhi.specs.model import ErrorClass, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qianzhi.specs.formats import Format
    from qianzhi.specs.model import Dataset, Field

FORMAT_CODE: Final = "V02"

FIELDS_MAX: Final = 8_192
"""Fields whose expressions are kept, so that a single record does not wait for them to be built."""

_FLAGS: Final = {"T": True, "F": False}


@dataclass(frozen=True, slots=True)
class Parsed:
    """
    A frame read.

    `raw` as it came: row_id and one String a field; `typed` the same columns with the types of their formats,
    null where a value is missing, blank or does not parse; `findings` the values that do not parse.
    `inside` names the fields whose values all belong to their domain, where the domains were given.
    """

    raw: pl.DataFrame
    typed: pl.DataFrame
    findings: pl.DataFrame
    inside: frozenset[str] = frozenset()


def parse(raw: pl.DataFrame, dataset: Dataset, accepted: Mapping[str, pl.Expr] | None = None) -> Parsed:
    """
    Read every field of `raw` by its format.

    Blanks around a value are not held against it: they stay in `raw` and are gone in `typed`.
    A value that does not parse is one finding and null.
    `accepted` holds for coded fields whether a text belongs to the domain: a column of such texts is read as it is.
    """
    accepted = accepted or {}
    first = raw.select("row_id", *(_first_look(raw, field, accepted.get(field.name)) for field in dataset.fields))
    inside = frozenset(name for name in accepted if _belongs(first[name]))
    typed = _with_coded(raw, first, accepted, inside)
    repaired: list[pl.Series] = []
    found: list[pl.DataFrame] = []
    for field in dataset.fields:
        if field.format.type is not ValueType.TEXT:
            read, findings = _read_fully(raw, typed[field.name], field)
            repaired += read
            found += findings
    return Parsed(raw, typed.with_columns(repaired) if repaired else typed, findings_of.concat(found), inside)


def said(raw: pl.DataFrame, typed: pl.DataFrame) -> pl.DataFrame:
    """
    Return what a frame says as texts, for keys: row_id and each field without blanks around it, null where blank.

    Reading has stripped the texts already, so that of most columns none is made anew.
    """
    texts = [name for name, kind in typed.schema.items() if kind == pl.String]
    rest = [name for name in typed.columns if name != "row_id" and name not in texts]
    stripped = raw.select("row_id", pl.col(rest).str.strip_chars())
    # Only what was not read can be blank.
    unread = [name for name in rest if typed[name].null_count() > raw[name].null_count()]
    return stripped.with_columns(pl.col(unread).replace("", None)).hstack(typed.select(texts))


@lru_cache(maxsize=FIELDS_MAX)
def plain(field: Field) -> pl.Expr:
    """Return the value of each text in the field's usual spelling; null for every other text and for blanks."""
    text = pl.col(field.name)
    match field.format.type:
        case ValueType.TEXT:
            return text.str.strip_chars().replace("", None)
        case ValueType.INTEGER:
            return integer(text, field.format)
        case ValueType.DECIMAL:
            return decimal(text, field.format)
        case ValueType.DATE:
            return date(text)
        case ValueType.DATETIME:
            return datetime_(text)
        case ValueType.FLAG:
            return text.replace_strict(_FLAGS, default=None, return_dtype=pl.Boolean)


def _belongs(looked: pl.Series) -> bool:
    """Tell whether a coded column is in its domain: nothing but yes and null, or nothing at all."""
    return looked.null_count() == len(looked) or (looked.dtype == pl.Boolean and bool(looked.all()))


def _first_look(raw: pl.DataFrame, field: Field, accepted: pl.Expr | None) -> pl.Expr:
    if raw[field.name].null_count() == raw.height:
        return pl.lit(None, _dtype(field.format)).alias(field.name)
    return plain(field) if accepted is None else accepted.alias(field.name)


def _with_coded(
    raw: pl.DataFrame, first: pl.DataFrame, accepted: Mapping[str, pl.Expr], inside: frozenset[str]
) -> pl.DataFrame:
    """Put the texts where the first look only asked whether they belong to their domain."""
    outside = [name for name in accepted if name not in inside]
    stripped = raw.select(pl.col(outside).str.strip_chars().replace("", None)) if outside else raw.select()
    return first.with_columns(*(raw[name] for name in inside), *stripped.iter_columns())


def _read_fully(raw: pl.DataFrame, column: pl.Series, field: Field) -> tuple[list[pl.Series], list[pl.DataFrame]]:
    """Return the column if the first look was not enough, and the findings."""
    read = column
    found: list[pl.DataFrame] = []
    if column.null_count() > raw[field.name].null_count():
        read, found = _read_rest(raw, column, field)
    if field.format.type is ValueType.DATETIME and len(at := gaps(read)):
        blame = Blame(FORMAT_CODE, ErrorClass.FORMAT, field.name, Severity.ERROR)
        found.append(findings_of.blamed(raw, blame, at, pl.repeat(GAP, len(at), dtype=pl.String, eager=True)))
        read = read.clone().scatter(at, None)
    return [] if read is column else [read], found


def _dtype(form: Format) -> pl.DataType:
    match form.type:
        case ValueType.TEXT:
            return pl.String()
        case ValueType.INTEGER:
            return pl.Int64()
        case ValueType.DECIMAL:
            return pl.Decimal(DECIMAL_DIGITS_MAX, form.scale)
        case ValueType.DATE:
            return pl.Date()
        case ValueType.DATETIME:
            return pl.Datetime("us")
        case ValueType.FLAG:
            return pl.Boolean()


def _read_rest(raw: pl.DataFrame, column: pl.Series, field: Field) -> tuple[pl.Series, list[pl.DataFrame]]:
    """Read what the usual spelling left open."""
    left = (
        raw.select(pl.col(field.name).str.strip_chars().alias("text"))
        .with_row_index("at")
        .filter(column.is_null() & (pl.col("text") != ""))
    )
    if left.is_empty():
        return column, []
    read = pl.concat([left.select("at"), _read(left["text"], field.format)], how="horizontal")
    good = read.filter(pl.col("value").is_not_null())
    if not good.is_empty():
        column = column.clone().scatter(good["at"], good["value"])
    return column, list(_unread(raw, read, field))


def _read(texts: pl.Series, form: Format) -> pl.DataFrame:
    match form.type:
        case ValueType.INTEGER | ValueType.DECIMAL:
            return read_numbers(texts, form)
        case ValueType.DATE | ValueType.DATETIME:
            return read_instants(texts, form)
        case _:
            return _read_flags(texts)


def _read_flags(texts: pl.Series) -> pl.DataFrame:
    value = pl.col("text").replace_strict(_FLAGS, default=None, return_dtype=pl.Boolean)
    return texts.to_frame("text").select(
        value=value,
        **{"class": pl.when(value.is_null()).then(pl.lit(ErrorClass.FORMAT.value))},
        detail=pl.lit(None, pl.String),
    )


def _unread(raw: pl.DataFrame, read: pl.DataFrame, field: Field) -> Iterator[pl.DataFrame]:
    for error_class in (ErrorClass.LENGTH, ErrorClass.FORMAT):
        bad = read.filter(pl.col("class") == error_class.value)
        if not bad.is_empty():
            blame = Blame(FORMAT_CODE, error_class, field.name, Severity.ERROR)
            yield findings_of.blamed(raw, blame, bad["at"], bad["detail"])
