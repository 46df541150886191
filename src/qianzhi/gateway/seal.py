"""Sealing: from rows that have arrived to a batch whose members and bytes are fixed, in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks.checker import checker
from qianzhi.checks.parse import said
from qianzhi.checks.state import KEY, NEW, changes_of, reference_keys
from qianzhi.gateway import staging
from qianzhi.gateway.images import carry
from qianzhi.gateway.reader import Errand
from qianzhi.gateway.triage import Parents, Surroundings, Triage, everything_goes, triage
from qianzhi.ledger import arrivals, batches, held, keys
from qianzhi.ledger import findings as ledger_findings
from qianzhi.ledger.batches import Batch, RowOutcome
from qianzhi.sealing.envelopes import Manifest, blob_column, digest
from qianzhi.specs.model import RuleKind, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from qianzhi.checks.checker import Checked
    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.gateway.reader import Reader
    from qianzhi.ledger.batches import Cycle
    from qianzhi.ledger.lanes import Lane
    from qianzhi.regulators.protocols import Door
    from qianzhi.specs.model import Dataset, Reference

PARENTS_KNOWN_MAX = 1_000_000  # keys remembered between chunks, 16 bytes each
NO_KEYS = pl.DataFrame(schema=dict.fromkeys(KEY, pl.Int64))
_ROW_KINDS = frozenset({RuleKind.ROW, RuleKind.BATCH})


@dataclass(frozen=True, slots=True)
class Sealed:
    """A batch ready to be sent: its ledger entry, its bytes, and its rows as the state rules see them."""

    batch: Batch
    manifest: Manifest
    content: bytes
    rows: pl.DataFrame  # of state.changes_of; only row_id where no state is judged
    blobs: tuple[bytes, ...]

    @property
    def keys(self) -> pl.DataFrame:
        """The keys of its rows (key_hash, key_check); none where no state is judged."""
        return self.rows.select(KEY) if KEY[0] in self.rows.columns else NO_KEYS


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


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows of a lane a chunk is taken from: behind an id, but for those to leave, at most so many."""

    after: int
    leave: pl.Series  # row_id
    limit: int


class Sealer:
    """Seals the chunks of one lane; between chunks it keeps its session, compiled rules and known parents."""

    def __init__(
        self,
        session: Session,
        reader: Reader,
        workplace: Workplace,
        destination: Destination,
        *,
        lane: Lane,
        parents: Mapping[str, int],
    ) -> None:
        self._session = session
        self._reader = reader
        self._workplace = workplace
        self._destination = destination
        self.lane = lane
        self._parents = parents  # lane_id by dataset
        self._accepted: dict[int, pl.DataFrame] = {}  # keys of parents known to be live, by lane_id
        self.dataset: Dataset = destination.regulator.dataset(lane.dataset)
        self._checker = checker(destination.regulator, self.dataset)

    def begin_pass(self) -> None:
        """Forget what was read and looked up: between two passes parents may have been revoked."""
        self._accepted.clear()
        self._reader.forget()

    def seal_next(
        self, cycle: Cycle, door: Door, span: Span, in_flight: pl.DataFrame, *, now: datetime
    ) -> Chunk | None:
        """
        Take the next rows of a span, decide about each, and seal those that go.

        Returns None when no row is left. The commit at the end is the promise: before it nothing has happened,
        after it every row taken has its place. Raises OSError when the disk is full; the transaction is the
        caller's to roll back.
        """
        taken = arrivals.take(
            self._session,
            self.lane.lane_id,
            after=span.after,
            cut_off=cycle.cut_off,
            leave=span.leave,
            limit=span.limit,
        )
        if taken.is_empty():
            self._session.rollback()
            return None
        errand = Errand(self.lane, self.dataset, partial(self._check, as_of=cycle.as_of))
        checked = self._reader.checked(errand, taken["row_id"])
        last_id = int(checked.raw["row_id"][-1])
        arrivals.put(self._session, self.lane.lane_id, taken.filter(pl.col("row_id") > last_id))
        if taken.height == span.limit:
            self._reader.read_ahead(errand, after=last_id, cut_off=cycle.cut_off, leave=span.leave, limit=span.limit)
        judged = self._judge(cycle, checked, in_flight)
        self._place(judged, taken)
        sealed = self._seal(judged, cycle, door)
        self._record(judged, sealed, now=now)
        self._session.commit()
        return Chunk(last_id, checked.raw.height - judged.triage.deferred.len(), sealed)

    def _check(self, raw: pl.DataFrame, *, as_of: datetime) -> Checked:
        raw = staging.mapped(raw, self.dataset, self._destination.maps)
        return self._checker.check(raw, as_of=as_of, kinds=self._destination.kinds & _ROW_KINDS)

    def _judge(self, cycle: Cycle, checked: Checked, in_flight: pl.DataFrame) -> _Judged:
        raw = checked.raw
        carried, image_findings = carry(raw, self.dataset, self._workplace.blobs, self._workplace.paths)
        found = findings_of.concat([checked.findings, image_findings, self._broken_pledges(raw)])
        rejected, withholds = findings_of.rejecting(found), self._destination.withholds_errors
        if RuleKind.STATE not in self._destination.kinds:
            rows = raw.select("row_id")
            return _Judged(carried, rows, found, everything_goes(rows, rejected if withholds else rejected.clear()))
        texts = said(raw, checked.typed)
        rows = changes_of(texts, checked.typed, self.dataset)
        parents = tuple(self._pointed_at(checked, texts, cycle.as_of))
        around = self._surroundings(rows, in_flight, parents)
        decided = triage(rows, rejected, around, self.dataset, withholds=withholds)
        return _Judged(carried, rows, findings_of.concat([found, decided.findings]), decided)

    def _broken_pledges(self, raw: pl.DataFrame) -> pl.DataFrame:
        pledges = self._workplace.pledges
        if pledges is None or RuleKind.SENDER not in self._destination.kinds:
            return findings_of.empty()
        return pledges.broken(self._session, raw, self.dataset, self._destination.regulator.key)

    def _surroundings(self, rows: pl.DataFrame, in_flight: pl.DataFrame, parents: tuple[Parents, ...]) -> Surroundings:
        # What is new needs no state of its own: whether its key is taken is for the regulator to say.
        asking = rows.filter(pl.col("operation") != NEW)
        return Surroundings(
            self.lane.lane_id,
            keys.states_of(self._session, self.lane.lane_id, asking),
            held.held_of(self._session, self.lane.lane_id, rows),
            in_flight,
            parents,
        )

    def _pointed_at(self, checked: Checked, texts: pl.DataFrame, as_of: datetime) -> list[Parents]:
        found = []
        for reference in self.dataset.references:
            if reference.severity is not Severity.ERROR or reference.to not in self._parents:
                continue
            parent = self._destination.regulator.dataset(reference.to)
            applies = self._checker.applies(checked, reference, as_of=as_of)
            named = reference_keys(checked.raw, texts, reference, parent, applies)
            found.append(self._open(reference, self._parents[reference.to], named))
        return found

    def _open(self, reference: Reference, lane_id: int, named: pl.DataFrame) -> Parents:
        """Return what is open about the named keys of a lane; asks the ledger once for each that turns out live."""
        known = self._accepted.get(lane_id, NO_KEYS)
        unknown = named.join(known, on=KEY, how="anti")
        states = keys.states_of(self._session, lane_id, unknown)
        if not states.is_empty():
            kept = known if known.height < PARENTS_KNOWN_MAX else NO_KEYS
            self._accepted[lane_id] = pl.concat([kept, states.filter("live").select(KEY)])
        return Parents(reference, lane_id, unknown, states)

    def _place(self, judged: _Judged, taken: pl.DataFrame) -> None:
        """Give every row that does not go its place in the ledger."""
        lane_id, session, decided = self.lane.lane_id, self._session, judged.triage
        arrivals.put(session, lane_id, taken.join(decided.deferred.to_frame(), on="row_id", how="semi"))
        # A row that another worker let go meanwhile is on its way again, and will get the regulator's word.
        superseded = held.drop(session, lane_id, decided.superseded)
        batches.add_outcomes(session, lane_id, superseded, RowOutcome.SUPERSEDED)
        batches.add_outcomes(session, lane_id, decided.nothing_to_revoke, RowOutcome.NOTHING_TO_REVOKE)
        held.hold(session, lane_id, decided.waiting.join(taken, on="row_id"))
        if decided.withheld.len():
            batches.add_outcomes(session, lane_id, decided.withheld, RowOutcome.WITHHELD)
            self._let_go_behind(judged.rows, decided.withheld)

    def _let_go_behind(self, rows: pl.DataFrame, withheld: pl.Series) -> None:
        """Let go what came to stand behind a held row of its key that has now turned out to have an error."""
        if KEY[0] in rows.columns:
            ended = rows.filter(pl.col("row_id").is_in(withheld.implode()) & pl.col("operation").is_not_null())
            held.release(self._session, self.lane.lane_id, ended.select(*KEY, live=pl.lit(value=False)))

    def _seal(self, judged: _Judged, cycle: Cycle, door: Door) -> Sealed | None:
        going, promoted = judged.triage.go, judged.triage.promoted
        if not going.len():
            return None
        raw, rows = judged.raw, judged.rows
        if going.len() < raw.height:
            raw = raw.join(going.to_frame(), on="row_id", how="semi", maintain_order="left")
            rows = rows.join(going.to_frame(), on="row_id", how="semi")
        if promoted.len():
            is_promoted = pl.col("row_id").is_in(promoted.implode())
            change = self.dataset.change
            said = pl.when(is_promoted).then(pl.lit(change.new)).otherwise(change.field)
            raw = raw.with_columns(said.alias(change.field))
            rows = rows.with_columns(operation=pl.when(is_promoted).then(pl.lit(NEW)).otherwise("operation"))
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
        session: Session | None = None,
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
            images_follow=door.images_follow,
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
        batches.seal(session or self._session, batch, raw["row_id"], byte_count=len(content), split_from=split_from)
        return Sealed(batch, manifest, content, rows, blobs_of(raw, self.dataset))

    def _record(self, judged: _Judged, sealed: Sealed | None, *, now: datetime) -> None:
        told = judged.findings.join(judged.triage.deferred.to_frame(), on="row_id", how="anti").join(
            judged.triage.waiting.select("row_id"), on="row_id", how="anti"
        )
        batch_id = sealed.batch.batch_id if sealed else None
        ledger_findings.record(
            self._session, self.lane.lane_id, told, "gateway", rows=judged.rows, batch_id=batch_id, now=now
        )


def blobs_of(raw: pl.DataFrame, dataset: Dataset) -> tuple[bytes, ...]:
    """Return the digests of the blobs that a batch's rows name."""
    columns = [blob_column(field.name) for field in dataset.image_fields]
    texts = {text for name in columns for text in raw[name].drop_nulls().unique().to_list()}
    return tuple(sorted(bytes.fromhex(text) for text in texts))
