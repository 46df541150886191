"""Sealing: from rows that have arrived to a batch whose members and bytes are fixed, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks.checker import checker
from qianzhi.checks.state import KEY, NEW, reference_keys, rows_of
from qianzhi.gateway import staging
from qianzhi.gateway.images import carry
from qianzhi.gateway.triage import Parents, Surroundings, Triage, triage
from qianzhi.ledger import arrivals, batches, held, keys
from qianzhi.ledger import findings as ledger_findings
from qianzhi.ledger.batches import Batch, RowOutcome
from qianzhi.sealing.envelopes import Manifest, blob_column, digest
from qianzhi.specs.model import RuleKind, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import psycopg

    from qianzhi.checks.checker import Checked
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.ledger.arrivals import Arrival
    from qianzhi.ledger.batches import Cycle
    from qianzhi.ledger.lanes import Lane
    from qianzhi.regulators.protocols import Door
    from qianzhi.specs.model import Dataset

NO_KEYS = pl.DataFrame(schema=dict.fromkeys(KEY, pl.Int64))
_ROW_KINDS = frozenset({RuleKind.ROW, RuleKind.BATCH})


@dataclass(frozen=True, slots=True)
class Sealed:
    """A batch ready to be sent: its ledger entry, its bytes, and its rows as the state rules see them."""

    batch: Batch
    manifest: Manifest
    content: bytes
    rows: pl.DataFrame  # of state.rows_of
    blobs: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one step of a lane took: the last id, how many rows left `arrived`, and the batch if any row goes."""

    last_id: int
    moved_count: int
    sealed: Sealed | None


@dataclass(frozen=True, slots=True)
class _Judged:
    raw: pl.DataFrame  # mapped, with blob columns
    rows: pl.DataFrame
    findings: pl.DataFrame
    triage: Triage


class Sealer:
    """Seals the chunks of one lane. Holds no state between chunks but its connections and compiled rules."""

    def __init__(
        self,
        connection: psycopg.Connection,
        workplace: Workplace,
        destination: Destination,
        lane: Lane,
        parents: Mapping[str, int],
    ) -> None:
        self._connection = connection
        self._workplace = workplace
        self._destination = destination
        self.lane = lane
        self._parents = parents  # lane_id by dataset
        self.dataset: Dataset = destination.regulator.dataset(lane.dataset)
        self._checker = checker(destination.regulator, self.dataset)

    def seal_next(
        self,
        cycle: Cycle,
        door: Door,
        *,
        after: int,
        leave: Sequence[int],
        in_flight: pl.DataFrame,
        limit: int,
        now: datetime,
    ) -> Chunk | None:
        """
        Take the next rows behind the id `after`, decide about each, and seal those that go.

        Returns None when no row is left. The commit at the end is the promise: before it nothing has happened,
        after it every row taken has its place. Raises OSError when the disk is full; the transaction is the
        caller's to roll back.
        """
        taken = arrivals.take(
            self._connection, self.lane.lane_id, after=after, cut_off=cycle.cut_off, leave=leave, limit=limit
        )
        if not taken:
            self._connection.rollback()
            return None
        judged = self._judge(cycle, [arrival.row_id for arrival in taken], in_flight)
        self._place(judged.triage, taken)
        sealed = self._seal(judged, cycle, door)
        self._record(judged, sealed, now=now)
        self._connection.commit()
        moved = len(taken) - judged.triage.deferred.len()
        return Chunk(taken[-1].row_id, moved, sealed)

    def _judge(self, cycle: Cycle, row_ids: Sequence[int], in_flight: pl.DataFrame) -> _Judged:
        raw = staging.rows_of(self._connection, self.lane.regulator, self.dataset, row_ids)
        raw = staging.mapped(raw, self.dataset, self._destination.maps)
        checked = self._checker.check(raw, as_of=cycle.as_of, kinds=self._destination.kinds & _ROW_KINDS)
        carried, image_findings = carry(raw, self.dataset, self._workplace.blobs, self._workplace.paths)
        found = findings_of.concat([checked.findings, image_findings])
        rows = rows_of(raw, checked.typed, self.dataset)
        rejected = found.filter(pl.col("severity") == Severity.ERROR.value)["row_id"].unique()
        around = self._surroundings(checked, rows, in_flight, cycle.as_of)
        decided = triage(rows, rejected, around, self.dataset)
        return _Judged(carried, rows, findings_of.concat([found, decided.findings]), decided)

    def _surroundings(
        self, checked: Checked, rows: pl.DataFrame, in_flight: pl.DataFrame, as_of: datetime
    ) -> Surroundings:
        lane_id = self.lane.lane_id
        if RuleKind.STATE not in self._destination.kinds:
            accepted = rows.select(*KEY, live=rows["operation"] != NEW)
            return Surroundings(lane_id, accepted, _no_held(), in_flight, ())
        return Surroundings(
            lane_id,
            keys.states_of(self._connection, lane_id, rows),
            held.held_of(self._connection, lane_id, rows),
            in_flight,
            tuple(self._pointed_at(checked, as_of)),
        )

    def _pointed_at(self, checked: Checked, as_of: datetime) -> list[Parents]:
        found = []
        for reference in self.dataset.references:
            if reference.severity is not Severity.ERROR or reference.to not in self._parents:
                continue
            parent = self._destination.regulator.dataset(reference.to)
            applies = self._checker.applies(checked, reference, as_of=as_of)
            named = reference_keys(checked.raw, reference, parent, applies)
            lane_id = self._parents[reference.to]
            found.append(Parents(reference, lane_id, named, keys.states_of(self._connection, lane_id, named)))
        return found

    def _place(self, decided: Triage, taken: Sequence[Arrival]) -> None:
        """Give every row that does not go its place in the ledger."""
        lane_id, connection = self.lane.lane_id, self._connection
        by_id = {arrival.row_id: arrival for arrival in taken}
        arrivals.put(connection, lane_id, [by_id[row_id] for row_id in decided.deferred])
        held.drop(connection, lane_id, decided.superseded)
        batches.add_outcomes(connection, lane_id, decided.superseded, RowOutcome.SUPERSEDED)
        batches.add_outcomes(connection, lane_id, decided.nothing_to_revoke, RowOutcome.NOTHING_TO_REVOKE)
        waiting = decided.waiting
        grouping = pl.Series(
            "key_text_hash", [by_id[row_id].key_text_hash for row_id in waiting["row_id"]], dtype=pl.Int64
        )
        held.hold(connection, lane_id, waiting.with_columns(grouping))

    def _seal(self, judged: _Judged, cycle: Cycle, door: Door) -> Sealed | None:
        going = judged.triage.go
        if not going.len():
            return None
        raw = _promoted(judged.raw, judged.triage.promoted, self.dataset)
        raw = raw.filter(pl.col("row_id").is_in(going.implode()))
        rows = judged.rows.filter(pl.col("row_id").is_in(going.implode())).with_columns(
            operation=pl.when(pl.col("row_id").is_in(judged.triage.promoted.implode()))
            .then(pl.lit(NEW))
            .otherwise("operation")
        )
        return self.seal_rows(raw, rows, cycle.as_of, cycle.cycle_id, door)

    def seal_rows(
        self,
        raw: pl.DataFrame,
        rows: pl.DataFrame,
        as_of: datetime,
        cycle_id: int | None,
        door: Door,
        *,
        split_from: UUID | None = None,
        connection: psycopg.Connection | None = None,
    ) -> Sealed:
        """Encode rows, keep the bytes, and enter the batch in a session that its owner commits (by default ours)."""
        regulator = self._destination.regulator
        manifest = Manifest(
            batch_id=uuid4(),
            regulator=regulator.key,
            dataset=self.dataset.name,
            edition=regulator.edition,
            ruleset=regulator.digest,
            institution=self._destination.institution,
            as_of=as_of,
        )
        content = door.encode(manifest, raw)
        batch = Batch(
            batch_id=manifest.batch_id,
            lane_id=self.lane.lane_id,
            cycle_id=cycle_id,
            edition=manifest.edition,
            ruleset=manifest.ruleset,
            as_of=as_of,
            row_count=raw.height,
            digest=digest(content),
        )
        # The bytes first: a commit without them would promise what cannot be kept.
        self._workplace.spool.write(batch.batch_id, content)
        batches.seal(
            connection or self._connection, batch, raw["row_id"], byte_count=len(content), split_from=split_from
        )
        return Sealed(batch, manifest, content, rows, blobs_of(raw, self.dataset))

    def _record(self, judged: _Judged, sealed: Sealed | None, *, now: datetime) -> None:
        told = judged.findings.join(judged.triage.deferred.to_frame(), on="row_id", how="anti").join(
            judged.triage.waiting.select("row_id"), on="row_id", how="anti"
        )
        batch_id = sealed.batch.batch_id if sealed else None
        ledger_findings.record(
            self._connection, self.lane.lane_id, told, "gateway", batch_id=batch_id, now=now
        )


def blobs_of(raw: pl.DataFrame, dataset: Dataset) -> tuple[bytes, ...]:
    """Return the digests of the blobs that a batch's rows name."""
    columns = [blob_column(field.name) for field in dataset.fields if field.image]
    texts = {text for name in columns for text in raw[name].drop_nulls().unique().to_list()}
    return tuple(sorted(bytes.fromhex(text) for text in texts))


def _promoted(raw: pl.DataFrame, row_ids: pl.Series, dataset: Dataset) -> pl.DataFrame:
    if not row_ids.len():
        return raw
    change = dataset.change
    return raw.with_columns(
        pl.when(pl.col("row_id").is_in(row_ids.implode()))
        .then(pl.lit(change.new))
        .otherwise(change.field)
        .alias(change.field)
    )


def _no_held() -> pl.DataFrame:
    return NO_KEYS.with_columns(row_id=pl.lit(None, pl.Int64))
