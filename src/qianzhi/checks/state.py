"""
Rules that need what is already held: the change chain of a key, repeats, references, and facts that children repeat.

Pure: the caller fetches the states of the keys it names and passes them in.
A state frame has the columns of `STATE`; a key that was never accepted has no row in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks.keys import check_of, content_hash, hash_of, is_complete, key_hash, key_text
from qianzhi.specs.model import ErrorClass, RuleKind, Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from qianzhi.specs.model import Dataset, Reference, Repeat, Rule

KEY = ("key_hash", "key_check")
STATE = pl.Schema(
    {
        "key_hash": pl.Int64(),
        "key_check": pl.Int64(),
        "row_id": pl.Int64(),  # the last accepted row of the key
        "live": pl.Boolean(),  # False once revoked
        "occurred_at": pl.Datetime("us"),
        "content": pl.Int64(),
        "shared": pl.List(pl.Int64()),  # one hash a group of `Dataset.shared`
    }
)
_NOTHING_SHARED = pl.lit(None, pl.List(pl.Int64))
_TEXT = pl.col("text")  # of a key, while its two hashes are made; no regulator spells a field in lower case
NEW, MODIFY, REVOKE = "new", "modify", "revoke"
_BEFORE = ("live", "occurred_at", "content")  # what the change chain looks back at
IS_NEW, IS_HELD = "key_is_new()", "key_is_held()"  # what a key must be, for a new row and for any other
_CHAIN = frozenset({IS_NEW, IS_HELD, "in_order()", "not_repeated()"})


@dataclass(frozen=True, slots=True)
class Chained:
    """The verdicts of a change chain: findings, the rows it refuses, and the states that follow."""

    findings: pl.DataFrame
    refused: pl.Series  # row_id, Int64
    states: pl.DataFrame  # STATE, one row for each key that has an accepted row


def changes_of(texts: pl.DataFrame, typed: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """
    Return what happened to which record: row_id, key_hash, key_check, operation and occurred_at of each row.

    `texts` are those of `parse.said`. `operation` is null where the change field holds none of its three values, and
    where the key is incomplete: such a row says nothing about any record.
    """
    change = dataset.change
    operations = {change.new: NEW, change.modify: MODIFY, change.revoke: REVOKE}
    hashed = texts.select("row_id", text=key_text(dataset.key), keyed=is_complete(dataset.key)).select(
        "row_id", "keyed", hash_of(_TEXT).alias("key_hash"), check_of(_TEXT).alias("key_check")
    )
    happened = typed.select(
        operation=pl.col(change.field).replace_strict(operations, default=None, return_dtype=pl.String),
        occurred_at=pl.col(dataset.occurred_at).cast(pl.Datetime("us")),
    )
    return hashed.hstack(happened).select("row_id", *KEY, "occurred_at", operation=pl.when("keyed").then("operation"))


def rows_of(raw: pl.DataFrame, texts: pl.DataFrame, typed: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Return what the change chain needs of each row: `changes_of`, and the hashes `content` and `shared` of STATE."""
    shared = pl.concat_list([key_hash(group) for group in dataset.shared]) if dataset.shared else _NOTHING_SHARED
    return changes_of(texts, typed, dataset).hstack(
        [
            raw.select(content=content_hash([field.name for field in dataset.fields])).to_series(),
            texts.select("row_id", shared=shared)["shared"],
        ]
    )


def chain(rows: pl.DataFrame, held: pl.DataFrame, dataset: Dataset, rejected: pl.Series) -> Chained:
    """
    Judge new, modify and revoke of each key in the order (occurred_at, row_id), on top of what is held.

    `rows` comes from `rows_of`; `rejected` are the row_ids that other rules reject already: they change no state.
    A key may come several times; each of its rows is judged by what the accepted ones before it left behind.
    """
    rules = {rule.check: rule for rule in dataset.rules if rule.kind is RuleKind.STATE}
    rejecting = {form for form, rule in rules.items() if form in _CHAIN and rule.severity is Severity.ERROR}
    before = held.select(*KEY, *(pl.col(name).alias(f"{name}_before") for name in _BEFORE))
    rows = (
        rows.filter(pl.col("operation").is_not_null())
        .with_columns(rejected=pl.col("row_id").is_in(rejected.implode()))
        .join(before, on=KEY, how="left")
        .with_columns(pl.col("live_before").fill_null(value=False))
        .sort(*KEY, "occurred_at", "row_id", nulls_last=True)
    )
    judged = _judge(_in_turn(rows, rejecting), rules, rejecting)
    found = [_found(judged, rule, dataset) for form, rule in rules.items() if form in _CHAIN]
    refused = pl.concat([rejected, judged.filter(pl.col("refused"))["row_id"]]).unique()
    return Chained(findings_of.concat(found), refused, _next_states(judged))


def _in_turn(rows: pl.DataFrame, rejecting: Collection[str]) -> pl.DataFrame:
    """
    Let each row of a key that comes several times see what the accepted ones before it leave behind.

    A loop over rows, since each verdict rests on the one before; but over those of repeated keys only.
    """
    is_repeated = pl.len().over(*KEY) > 1
    repeated = rows.filter(is_repeated)
    if repeated.is_empty():
        return rows
    facts = repeated.select(
        pl.int_range(pl.len()).over(*KEY) == 0,
        "rejected",
        "operation",
        pl.col("occurred_at").to_physical(),
        "content",
        "live_before",
        pl.col("occurred_at_before").to_physical(),
        "content_before",
    )
    seen: list[tuple[bool, int | None, int | None]] = []
    standing: tuple[bool, int | None, int | None] = (False, None, None)
    for is_first, rejected, operation, at, content, *held in facts.iter_rows():
        live, at_before, content_before = seen_now = (held[0], held[1], held[2]) if is_first else standing
        broken = {
            IS_NEW: operation == NEW and live,
            IS_HELD: operation != NEW and not live,
            "in_order()": at is not None and at_before is not None and at < at_before,
            "not_repeated()": live and content == content_before,
        }
        refused = rejected or any(broken[form] for form in rejecting)
        seen.append(seen_now)
        standing = seen_now if refused else (operation != REVOKE, at, content)
    schema = {"live_before": pl.Boolean, "occurred_at_before": pl.Int64, "content_before": pl.Int64}
    before = pl.DataFrame(seen, schema=schema, orient="row").cast({"occurred_at_before": pl.Datetime("us")})
    return pl.concat([rows.filter(~is_repeated), repeated.with_columns(before)])


def _judge(rows: pl.DataFrame, rules: Mapping[str, Rule], rejecting: Collection[str]) -> pl.DataFrame:
    live = pl.col("live_before")
    is_new = pl.col("operation") == NEW
    broken = {
        IS_NEW: is_new & live,
        IS_HELD: ~is_new & ~live,
        "in_order()": pl.col("occurred_at") < pl.col("occurred_at_before"),
        "not_repeated()": live & (pl.col("content") == pl.col("content_before")),
    }
    return rows.with_columns(
        expression.fill_null(value=False).alias(form) for form, expression in broken.items() if form in rules
    ).with_columns(refused=pl.any_horizontal("rejected", *rejecting))


def _found(judged: pl.DataFrame, rule: Rule, dataset: Dataset) -> pl.DataFrame:
    return judged.filter(pl.col(rule.check)).select(
        "row_id",
        code=pl.lit(rule.code),
        **{"class": pl.lit(rule.error_class.value)},
        field=pl.lit(rule.field),
        value=pl.lit(None, pl.String),
        detail=pl.lit(", ".join(dataset.key)),
        severity=pl.lit(rule.severity.value),
    )


def _next_states(judged: pl.DataFrame) -> pl.DataFrame:
    return (
        judged.filter(~pl.col("refused"))
        .with_columns(live=pl.col("operation") != REVOKE)
        .select(*STATE.names())
        .unique(KEY, keep="last", maintain_order=True)
        .cast(STATE)
    )


def reference_keys(
    raw: pl.DataFrame, texts: pl.DataFrame, reference: Reference, parent: Dataset, applies: pl.Series
) -> pl.DataFrame:
    """
    Return row_id and the key of the row that each row refers to, what it repeats of it, and the raw value to blame.

    `texts` are those of `parse.said`. A row refers to nothing where a field of the reference is blank or where
    `applies` is False.
    """
    local = {there: here for here, there in reference.on.items()}
    fields = [local[name] for name in parent.key]
    return (
        texts.lazy()  # of the columns that are not named here none is copied
        .with_columns(applies, raw[reference.blamed].alias("value"))
        .filter(is_complete(fields) & pl.col(applies.name))
        .with_columns(text=key_text(fields))
        .select(
            "row_id",
            hash_of(_TEXT).alias("key_hash"),
            check_of(_TEXT).alias("key_check"),
            **{
                repeat.code + str(repeat.group): pl.when(is_complete(repeat.fields)).then(key_hash(repeat.fields))
                for repeat in reference.repeats
            },
            **{f"{there}=": pl.col(here) for here, there in zip(fields, parent.key, strict=True)},
            to=pl.lit(reference.to),
            value="value",
        )
        .collect()
    )


def unmet(keys: pl.DataFrame, parents: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `reference_keys` whose parent is not held or was revoked."""
    return keys.join(parents.filter(pl.col("live")), on=KEY, how="anti").with_columns(
        pl.col("value").str.slice(0, findings_of.VALUE_CHARACTERS_MAX), detail=_named(keys)
    )


def _named(keys: pl.DataFrame) -> pl.Expr:
    """Return the parent in words: its dataset and its key."""
    shown = [
        pl.concat_str(pl.lit(part), pl.col(part).str.slice(0, findings_of.VALUE_CHARACTERS_MAX))
        for part in _parts(keys)
    ]
    return pl.concat_str(pl.col("to"), pl.lit("("), pl.concat_str(shown, separator=", "), pl.lit(")"))


def _parts(keys: pl.DataFrame) -> list[str]:
    return [name for name in keys.columns if name.endswith("=")]


def reference_findings(missing: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Return a finding for each row whose parent is missing, naming the missing dataset and key."""
    return missing.select(
        "row_id",
        code=pl.lit(reference.code),
        **{"class": pl.lit(ErrorClass.INTEGRITY.value)},
        field=pl.lit(reference.blamed),
        value=pl.col("value"),
        detail=pl.col("detail"),
        severity=pl.lit(reference.severity.value),
    )


def repeat_findings(keys: pl.DataFrame, parents: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Return a finding for each row that repeats a fact of its parent differently."""
    if not reference.repeats:
        return findings_of.empty()
    known = keys.join(parents.filter(pl.col("live")), on=KEY, how="inner", suffix="_held")
    return findings_of.concat([_differing(known, repeat) for repeat in reference.repeats])


def _differing(known: pl.DataFrame, repeat: Repeat) -> pl.DataFrame:
    said = pl.col(repeat.code + str(repeat.group))
    return known.filter(said != pl.col("shared").list.get(repeat.group, null_on_oob=True)).select(
        "row_id",
        code=pl.lit(repeat.code),
        **{"class": pl.lit(repeat.error_class.value)},
        field=pl.lit(repeat.fields[-1]),
        value=pl.lit(None, pl.String),
        detail=_named(known),
        severity=pl.lit(repeat.severity.value),
    )
