"""
What happens to each row of a chunk before it is sent: go, wait, step aside, or end here. Pure.

The gateway judges an operation against what the destination has *accepted*, never against what was merely sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks.state import IS_HELD, KEY, MODIFY, REVOKE, unmet
from qianzhi.specs.model import RuleKind, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.specs.model import Dataset, Reference, Rule

WAITING = pl.Schema(
    {
        "row_id": pl.Int64,
        "key_hash": pl.Int64,
        "key_check": pl.Int64,
        "code": pl.String,
        "field": pl.String,
        "value": pl.String,
        "wants_lane_id": pl.Int16,
        "wants_key_hash": pl.Int64,
        "wants_key_check": pl.Int64,
        "wants": pl.String,
    }
)


@dataclass(frozen=True, slots=True)
class Parents:
    """What one reference of the chunk's dataset points at."""

    reference: Reference
    lane_id: int
    keys: pl.DataFrame  # of state.reference_keys, but for what is known to be met
    states: pl.DataFrame  # key_hash, key_check, live: of those keys


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the ledger knows about the keys of a chunk."""

    lane_id: int
    states: pl.DataFrame  # key_hash, key_check, live: of the rows that modify or revoke
    held: pl.DataFrame  # key_hash, key_check, row_id of held rows with one of these keys
    in_flight: pl.DataFrame  # key_hash, key_check of rows that were sent and have no receipt yet
    parents: Sequence[Parents]


@dataclass(frozen=True, slots=True)
class Triage:
    """Every row of the chunk stands in exactly one of go, waiting, nothing_to_revoke, deferred and withheld."""

    go: pl.Series
    promoted: pl.Series  # of `go`: modifications of what was never accepted, which go as new
    waiting: pl.DataFrame  # WAITING
    nothing_to_revoke: pl.Series
    deferred: pl.Series  # come again when the row of their key before them is settled
    superseded: pl.Series  # held rows whose place one of `go` or `waiting` takes
    withheld: pl.Series  # have an error, and the destination takes only rows without one
    findings: pl.DataFrame


def triage(
    rows: pl.DataFrame, rejected: pl.Series, around: Surroundings, dataset: Dataset, *, withholds: bool = False
) -> Triage:
    """
    Decide for each row (columns of `state.changes_of`).

    `rejected` are rows with an error already: they go as they are, so that the regulator's verdict names every
    error at once, and no operation or reference of theirs is judged. Where the destination `withholds`, they end here.
    """
    known = _known(rows, rejected, around)
    deferred = known.filter(pl.col("has_turn") & (pl.col("in_flight") | (pl.col("turn") > 0)))
    known = known.join(deferred.select("row_id"), on="row_id", how="anti")
    sound = known.filter(pl.col("sound"))

    behind = sound.filter(pl.col("is_held") & (pl.col("operation") == MODIFY))
    clear = sound.join(behind.select("row_id"), on="row_id", how="anti")
    unaccepted = clear.filter(~pl.col("is_live"))
    ended = unaccepted.filter(pl.col("operation") == REVOKE)
    waiting = _overdue(clear.filter(pl.col("operation") != REVOKE), around)
    waiting = pl.concat([waiting, _behind(behind, around, dataset)])

    withheld = known.filter(pl.col("row_id").is_in(rejected.implode()))["row_id"] if withholds else rejected.clear()
    stay = pl.concat([waiting["row_id"], ended["row_id"], withheld])
    go = known.filter(~pl.col("row_id").is_in(stay.implode()))
    promoted = unaccepted.filter((pl.col("operation") == MODIFY) & pl.col("row_id").is_in(go["row_id"].implode()))
    taking_over = clear.filter(pl.col("operation") != MODIFY)
    return Triage(
        go=go["row_id"],
        promoted=promoted["row_id"],
        waiting=waiting,
        nothing_to_revoke=ended["row_id"],
        deferred=deferred["row_id"],
        superseded=_superseded(around.held, taking_over),
        withheld=withheld,
        findings=_unaccepted_findings(pl.concat([promoted["row_id"], ended["row_id"]]), dataset),
    )


def everything_goes(rows: pl.DataFrame, withheld: pl.Series) -> Triage:
    """Return the decision of a gateway that keeps no states: every row goes, but for those withheld."""
    none = rows["row_id"].clear()
    go = rows.filter(~pl.col("row_id").is_in(withheld.implode()))["row_id"]
    return Triage(go, none, pl.DataFrame(schema=WAITING), none, none, none, withheld, findings_of.empty())


def _known(rows: pl.DataFrame, rejected: pl.Series, around: Surroundings) -> pl.DataFrame:
    live = around.states.filter(pl.col("live")).select(*KEY, is_live=pl.lit(value=True)).unique()
    held = around.held.group_by(KEY).agg(first_held=pl.col("row_id").min())
    shared = around.in_flight.filter(pl.col("key_hash").is_in(rows["key_hash"].implode()))
    flying = shared.select(*KEY, in_flight=pl.lit(value=True)).unique()
    known = rows.with_columns(
        # What names no record or no operation changes nothing, so nothing waits for it, nor it for anything.
        has_turn=pl.col("operation").is_not_null(),
        sound=pl.col("operation").is_not_null() & ~pl.col("row_id").is_in(rejected.implode()),
    )
    for marks in (live, held, flying):
        known = _marked(known, marks)
    # A row that waited itself must not wait for those that came to stand behind it meanwhile.
    return (
        known.with_columns(is_held=pl.col("first_held") < pl.col("row_id"), turn=pl.lit(0, pl.Int64))
        .with_columns(pl.col("is_live", "is_held", "in_flight").fill_null(value=False))
        .update(_turns(known), on="row_id")
    )


def _marked(rows: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """Join what is known of some keys; mostly nothing is, and then the rows need not be looked through."""
    if marks.is_empty():
        return rows.with_columns(
            pl.lit(None, dtype).alias(name) for name, dtype in marks.schema.items() if name not in KEY
        )
    return rows.join(marks, on=KEY, how="left", maintain_order="left")


def _turns(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the turn of each row whose key comes several times: 0 for the one that occurred first."""
    return (
        rows.filter(pl.col("key_hash").is_duplicated())
        .sort("occurred_at", "row_id", nulls_last=True)
        .select("row_id", turn=pl.int_range(pl.len()).over("has_turn", *KEY))
    )


def _superseded(held: pl.DataFrame, taking_over: pl.DataFrame) -> pl.Series:
    """Held rows that are older than the row of their key which takes their place; younger ones still follow it."""
    taking = taking_over.select(*KEY, taking="row_id")
    return held.join(taking, on=KEY).filter(pl.col("row_id") < pl.col("taking"))["row_id"]


def _overdue(rows: pl.DataFrame, around: Surroundings) -> pl.DataFrame:
    """Rows whose parent is not accepted, each waiting for the first parent that is missing."""
    found = [
        unmet(parents.keys, parents.states)
        .join(rows.select("row_id"), on="row_id", how="semi")
        .select(
            "row_id",
            code=pl.lit(parents.reference.code),
            field=pl.lit(parents.reference.blamed),
            value=pl.col("value"),
            wants_lane_id=pl.lit(parents.lane_id, pl.Int16),
            wants_key_hash="key_hash",
            wants_key_check="key_check",
            wants="detail",
        )
        for parents in around.parents
        if parents.reference.severity is Severity.ERROR
    ]
    if not found:
        return pl.DataFrame(schema=WAITING)
    first = pl.concat(found).unique("row_id", keep="first", maintain_order=True)
    return first.join(rows.select("row_id", *KEY), on="row_id").select(*WAITING.names()).cast(WAITING)


def _behind(rows: pl.DataFrame, around: Surroundings, dataset: Dataset) -> pl.DataFrame:
    """Rows that come behind a held row of their own key wait until that one is accepted."""
    rule = _held_rule(dataset)
    references = [each.code for each in dataset.references if each.severity is Severity.ERROR]
    return rows.select(
        "row_id",
        *KEY,
        code=pl.lit(rule.code if rule else next(iter(references), "")),  # what holds the row in front, at last
        field=pl.lit(dataset.key[-1]),
        value=pl.lit(None, pl.String),
        wants_lane_id=pl.lit(around.lane_id, pl.Int16),
        wants_key_hash="key_hash",
        wants_key_check="key_check",
        wants=pl.lit(dataset.name),
    ).cast(WAITING)


def _unaccepted_findings(row_ids: pl.Series, dataset: Dataset) -> pl.DataFrame:
    rule = _held_rule(dataset)
    if rule is None:
        return findings_of.empty()
    return findings_of.concat(
        [
            pl.DataFrame({"row_id": row_ids}).select(
                "row_id",
                code=pl.lit(rule.code),
                **{"class": pl.lit(rule.error_class.value)},
                field=pl.lit(dataset.change.field),
                value=pl.lit(None, pl.String),
                detail=pl.lit(", ".join(dataset.key)),
                severity=pl.lit(Severity.WARNING.value),
            )
        ]
    )


def _held_rule(dataset: Dataset) -> Rule | None:
    """Return the rule about changes of what was never accepted, where the regulator has one."""
    return next((rule for rule in dataset.rules if rule.kind is RuleKind.STATE and rule.check == IS_HELD), None)
