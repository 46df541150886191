"""The current record of every key of a dataset that people keep: what was said last, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import polars as pl
from psycopg import sql

from qianzhi.checks.findings import SCHEMA
from qianzhi.checks.parse import parse, said
from qianzhi.checks.state import KEY, MODIFY, NEW, REVOKE, changes_of
from qianzhi.db import arrow, numbers
from qianzhi.db.queries import load
from qianzhi.errors import OperatorError
from qianzhi.gateway import staging
from qianzhi.ledger import keys, lanes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination
    from qianzhi.ledger.lanes import Lane
    from qianzhi.specs.model import Dataset

RECORDS_MAX: Final = 50_000
"""Records of one dataset; a hospital has some thousands of staff at most."""

FINDINGS_MAX: Final = 100_000
_SQL = load("qianzhi.gateway.resources", "records.sql")


class State(StrEnum):
    """What became of the newest row of a record."""

    ACCEPTED = "accepted"
    REVOKED = "revoked"  # accepted too: a withdrawal
    WAITING = "waiting"
    SENT = "sent"
    HELD = "held"
    DELIVERED = "delivered"  # the destination has it and has said nothing of it
    REJECTED = "rejected"
    WITHHELD = "withheld"  # found wrong before it was sent to a destination that takes only what is right
    QUARANTINED = "quarantined"
    SUPERSEDED = "superseded"
    NOTHING_TO_REVOKE = "nothing_to_revoke"


_STANDINGS: Final = {0: State.SENT, 1: State.ACCEPTED, 2: State.DELIVERED}
UNDER_WAY: Final = frozenset({State.WAITING, State.SENT, State.HELD})


@dataclass(frozen=True, slots=True)
class Record:
    """
    The newest row of a record.

    `values` holds what is not blank, as staged. `is_live` tells whether a version of it is accepted and not revoked;
    `exists` whether it is, or will be once what is under way is accepted: a change of it is then no new record.
    """

    row_id: int
    values: Mapping[str, str]
    state: State
    is_live: bool
    exists: bool


def current(session: Session, destination: Destination, dataset: Dataset) -> list[Record]:
    """
    Return the current records of a dataset that belong to the destination's institution, oldest row first.

    Rows whose key is not complete tell no record and are left out. Raises OperatorError beyond RECORDS_MAX.
    """
    raw = _newest(session, destination, dataset)
    lane, others = _lanes(session, destination, dataset)
    if raw.is_empty() or lane is None:
        return []
    changes = _changes(raw, dataset, destination)
    states = keys.states_of(session, lane.lane_id, changes)
    accepted_elsewhere = [keys.states_of(session, each.lane_id, changes) for each in others]
    known = _with_states(changes, states, accepted_elsewhere)
    places = _places(session, lane, known)
    values = {row["row_id"]: row for row in raw.iter_rows(named=True)}
    return [_record(row, values[row["row_id"]], places) for row in known.iter_rows(named=True)]


def findings_of(session: Session, destination: Destination, dataset: Dataset, row_ids: Iterable[int]) -> pl.DataFrame:
    """Return what is on record about rows: a column dataset, and those of findings.SCHEMA."""
    lane, _ = _lanes(session, destination, dataset)
    asked = {"lane_id": lane.lane_id if lane else 0, "row_ids": list(row_ids), "limit": FINDINGS_MAX}
    rows = session.execute(_SQL.findings, asked).fetchall()
    found = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return found.select(pl.lit(dataset.name).alias("dataset"), *SCHEMA.names())


def _newest(session: Session, destination: Destination, dataset: Dataset) -> pl.DataFrame:
    names = [field.name for field in dataset.fields]
    statement = sql.SQL(_SQL.newest).format(
        table=sql.Identifier(destination.regulator.key, dataset.name),
        key=sql.SQL(", ").join(sql.SQL("btrim({})").format(sql.Identifier(name.lower())) for name in dataset.key),
        columns=sql.SQL(", ").join(sql.Identifier(name.lower()) for name in names),
        names=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.Identifier(name.lower()), sql.Identifier(name)) for name in names
        ),
        institution=sql.Identifier(dataset.institution.lower()),
        sender=sql.Literal(destination.institution),
        limit=sql.Literal(RECORDS_MAX + 1),
    )
    raw = arrow.read(session, statement, schema=staging.raw_schema(dataset))
    if raw.height > RECORDS_MAX:
        raise OperatorError(
            f"The table {dataset.name} holds more than {RECORDS_MAX} records.",
            remedy="Keep it by the hospital's own system; forms and workbooks are for fewer.",
        )
    return raw


def _lanes(session: Session, destination: Destination, dataset: Dataset) -> tuple[Lane | None, list[Lane]]:
    """Return the dataset's lane to the destination, and its lanes to others."""
    regulator = destination.regulator
    own = [lane for lane in lanes.lanes_of(session, destination.name, regulator) if lane.dataset == dataset.name]
    others = [
        lane
        for lane in lanes.every(session)
        if (lane.regulator, lane.dataset) == (regulator.key, dataset.name) and lane not in own
    ]
    return (own[0] if own else None), others


def _changes(raw: pl.DataFrame, dataset: Dataset, destination: Destination) -> pl.DataFrame:
    """Return the newest row of each key as the ledger names keys: row_id, key_hash, key_check and operation."""
    mapped = staging.mapped(raw, dataset, destination.maps)
    parsed = parse(mapped, dataset)
    texts = said(mapped, parsed.typed)
    complete = texts.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in dataset.key))
    return (
        changes_of(texts, parsed.typed, dataset)
        .join(complete.select("row_id"), on="row_id", how="semi")
        .sort("row_id")
        .unique(KEY, keep="last", maintain_order=True)
    )


def _with_states(changes: pl.DataFrame, states: pl.DataFrame, elsewhere: list[pl.DataFrame]) -> pl.DataFrame:
    own = states.select(*KEY, "live")
    live = pl.concat([states, *elsewhere]).filter("live").select(*KEY, anywhere=pl.lit(value=True)).unique()
    return (
        changes.join(own, on=KEY, how="left", maintain_order="left")
        .join(live, on=KEY, how="left", maintain_order="left")
        .with_columns(pl.col("live", "anywhere").fill_null(value=False))
    )


def _places(session: Session, lane: Lane, known: pl.DataFrame) -> dict[int, State]:
    """Return where each row is; one that nothing is known of waits, for the ledger will hear of it."""
    asked = known.select("row_id").sort("row_id")
    spans = numbers.columns(session, sql.SQL(_SQL.spans), ("low", "high", "standing"), {"lane_id": lane.lane_id})
    # No two of these batches share a row, so the last that begins before a row is the one that may hold it.
    within = asked.join_asof(spans.sort("low"), left_on="row_id", right_on="low").filter(
        pl.col("row_id") < pl.col("high")
    )
    places = dict.fromkeys(asked["row_id"].to_list(), State.WAITING)
    places |= {row_id: _STANDINGS[standing] for row_id, standing in within.select("row_id", "standing").iter_rows()}
    parameters = {"lane_id": lane.lane_id, "row_ids": numbers.array_text(asked["row_id"])}
    told = session.execute(_SQL.places, parameters).fetchall()
    return places | {int(str(row_id)): State(str(place)) for row_id, place in told}


def _record(row: Mapping[str, object], values: Mapping[str, str | None], places: Mapping[int, State]) -> Record:
    row_id = int(str(row["row_id"]))
    state = places[row_id]
    if state is State.ACCEPTED and row["operation"] == REVOKE:
        state = State.REVOKED
    comes = state in UNDER_WAY and row["operation"] in {NEW, MODIFY}
    goes = state in UNDER_WAY and row["operation"] == REVOKE
    return Record(
        row_id=row_id,
        values={
            name: value for name, value in values.items() if name != "row_id" and value is not None and value.strip()
        },
        state=state,
        is_live=bool(row["live"]),
        exists=comes or (bool(row["anywhere"]) and not goes),
    )
