"""Batches, attempts, receipts and cycles: one act of sending from its sealing to the destination's word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import polars as pl

from qianzhi.db.queries import load
from qianzhi.errors import OperatorError

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    import psycopg

    from qianzhi.sealing.receipts import Receipt

_SQL = load("qianzhi.ledger", "batches.sql")

OPEN_COUNT_MAX = 1_000  # open batches looked at in one go; the rest come up when these are settled


class BatchState(StrEnum):
    """What is known of a batch. A retry is an attempt, not a state."""

    SEALED = "sealed"  # members and bytes are fixed, nobody has answered yet
    DELIVERED = "delivered"  # the destination has the rows and has not said anything of all of them
    SETTLED = "settled"  # every row has its verdict on record
    SPLIT = "split"  # went on in smaller batches
    REFUSED = "refused"  # a single row that the destination refuses as such: quarantined


class RowOutcome(StrEnum):
    """What became of a row that is not accepted."""

    REJECTED = "rejected"  # the regulator said so
    SUPERSEDED = "superseded"  # a later row of its key took its place while it was held
    NOTHING_TO_REVOKE = "nothing_to_revoke"  # it revokes what was never accepted; nothing was sent
    QUARANTINED = "quarantined"  # cannot be delivered; an operator must look
    WITHHELD = "withheld"  # has an error, and the destination takes only rows without one


class CycleKind(StrEnum):
    """What set a cycle off."""

    NIGHTLY = "nightly"
    MANUAL = "manual"
    REALTIME = "realtime"
    BACKFILL = "backfill"


@dataclass(frozen=True, slots=True)
class Cycle:
    """One pass of a destination's lanes up to a cut-off."""

    cycle_id: int | None  # None in real time: every batch stands for itself
    destination_id: int
    kind: CycleKind
    cut_off: datetime
    as_of: datetime  # local time of Asia/Shanghai, without zone


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed batch that has no receipt yet."""

    batch_id: UUID
    lane_id: int
    cycle_id: int | None
    edition: str
    ruleset: str
    as_of: datetime
    row_count: int
    digest: bytes
    attempt_count: int = 0
    next_attempt_at: datetime | None = None

    def is_due(self, now: datetime, pause_seconds_max: float) -> bool:
        """Tell whether it may be tried now. A pause longer than any we make was reckoned by a clock that ran ahead."""
        if self.next_attempt_at is None:
            return True
        return not 0 < (self.next_attempt_at - now).total_seconds() <= pause_seconds_max


def seal(
    session: psycopg.Connection, batch: Batch, row_ids: pl.Series, *, byte_count: int, split_from: UUID | None = None
) -> None:
    """Record a batch. Its bytes must lie in the spool already: this commit is the promise to send them."""
    session.execute(
        _SQL.seal,
        {
            "batch_id": batch.batch_id,
            "lane_id": batch.lane_id,
            "cycle_id": batch.cycle_id,
            "split_from": split_from,
            "edition": batch.edition,
            "ruleset": batch.ruleset,
            "as_of": batch.as_of,
            "row_ids": ranges_of(row_ids),
            "row_count": batch.row_count,
            "digest": batch.digest,
            "byte_count": byte_count,
        },
    )


def open_batches(session: psycopg.Connection, lane_id: int) -> list[Batch]:
    """Return the lane's sealed batches, oldest first."""
    return [Batch(*row) for row in session.execute(_SQL.open_batches, {"lane_id": lane_id, "limit": OPEN_COUNT_MAX})]


def sealed_ids(session: psycopg.Connection) -> set[UUID]:
    """Return the batches whose bytes are still promised."""
    return {batch_id for (batch_id,) in session.execute(_SQL.sealed_ids)}


def note_attempt(
    session: psycopg.Connection,
    batch_id: UUID,
    *,
    attempted_at: datetime,
    took_seconds: float,
    outcome: str,
    next_attempt_at: datetime | None = None,
) -> None:
    """Record one attempt and, where it failed, when the next one is due."""
    session.execute(
        _SQL.note_attempt,
        {
            "batch_id": batch_id,
            "attempted_at": attempted_at,
            "took_seconds": took_seconds,
            "outcome": outcome,
            "next_attempt_at": next_attempt_at,
        },
    )


def settle(session: psycopg.Connection, batch: Batch, receipt: Receipt, document: bytes, *, now: datetime) -> bool:
    """
    Record a receipt and its rejected rows; return False when the batch was settled before.

    Raises OperatorError when the receipt speaks of another batch, other bytes or another number of rows.
    """
    if (receipt.batch_id, receipt.digest, receipt.submitted_count) != (batch.batch_id, batch.digest, batch.row_count):
        raise OperatorError(
            f"The receipt does not belong to batch {batch.batch_id}.",
            remedy="Check whether another system answers at the destination's address; the batch stays sealed.",
        )
    counts = {"accepted_count": receipt.accepted_count, "rejected_count": receipt.rejected.len()}
    if not session.execute(_SQL.settle, {"batch_id": batch.batch_id, "settled_at": now, **counts}).rowcount:
        return False
    session.execute(_SQL.keep_receipt, {"batch_id": batch.batch_id, "received_at": now, "document": document})
    add_outcomes(session, batch.lane_id, receipt.rejected, RowOutcome.REJECTED, batch.batch_id)
    return True


def close(session: psycopg.Connection, batch: Batch, state: BatchState) -> bool:
    """End a batch without a receipt; return False when it had ended before."""
    return session.execute(_SQL.close, {"batch_id": batch.batch_id, "state": state.value}).rowcount == 1


def add_outcomes(
    session: psycopg.Connection,
    lane_id: int,
    row_ids: pl.Series,
    outcome: RowOutcome,
    batch_id: UUID | str | None = None,
) -> None:
    """Record the end of rows that are not accepted."""
    if row_ids.len():
        parameters = {
            "lane_id": lane_id,
            "batch_id": batch_id,
            "outcome": outcome.value,
            "row_ids": row_ids.to_list(),
        }
        session.execute(_SQL.add_outcomes, parameters)


def open_cycle(
    session: psycopg.Connection,
    destination_id: int,
    kind: CycleKind,
    *,
    cut_off: datetime,
    as_of: datetime,
    now: datetime,
) -> Cycle:
    """Record the start of a cycle, or go on with the one of this kind and cut-off that was broken off."""
    parameters = {"destination_id": destination_id, "kind": kind.value, "cut_off": cut_off}
    broken_off = session.execute(_SQL.unfinished_cycle, parameters).fetchone()
    if broken_off is not None:
        return Cycle(broken_off[0], destination_id, kind, cut_off, broken_off[1])
    row = session.execute(_SQL.add_cycle, {**parameters, "as_of": as_of, "started_at": now}).fetchone()
    if row is None:
        raise OperatorError("The ledger gave no number to a cycle.", remedy="Check the gateway's database.")
    return Cycle(row[0], destination_id, kind, cut_off, as_of)


def finish_cycle(session: psycopg.Connection, cycle: Cycle, *, now: datetime) -> None:
    """Record the end of a cycle."""
    session.execute(_SQL.finish_cycle, {"cycle_id": cycle.cycle_id, "finished_at": now})


def has_broken_off(session: psycopg.Connection, destination: str) -> bool:
    """Tell whether a destination has a cycle that `finish_broken_off` would close, if nobody is at it."""
    row = session.execute(_SQL.has_broken_off, {"destination": destination}).fetchone()
    return bool(row and row[0])


def finish_broken_off(session: psycopg.Connection, destination: str, *, now: datetime) -> int:
    """
    Close the cycles that nobody goes on with and that have no open batch; return how many.

    Only for a session that holds every lane of the destination, so that none of them is under way.
    """
    return session.execute(_SQL.finish_broken_off, {"destination": destination, "finished_at": now}).rowcount


def last_nightly_cut_off(session: psycopg.Connection, destination: str, *, now: datetime) -> datetime | None:
    """Return the newest cut-off that a nightly cycle of a destination has worked through, as far as `now` believes."""
    row = session.execute(_SQL.last_nightly_cut_off, {"destination": destination, "now": now}).fetchone()
    return row[0] if row else None


def has_due(session: psycopg.Connection, destination: str, *, now: datetime, pause_seconds_max: float) -> bool:
    """Tell whether a sealed batch of a destination is due for another attempt, as `Batch.is_due` has it."""
    parameters = {"destination": destination, "now": now, "latest": now + timedelta(seconds=pause_seconds_max)}
    row = session.execute(_SQL.has_due, parameters).fetchone()
    return bool(row and row[0])


def ranges_of(row_ids: pl.Series) -> str:
    """Return ids as the text of an int8multirange with the fewest ranges."""
    runs = (
        pl.DataFrame({"row_id": row_ids})
        .sort("row_id")
        .group_by(run=pl.col("row_id") - pl.int_range(pl.len()), maintain_order=True)
        .agg(first=pl.col("row_id").min(), last=pl.col("row_id").max())
        .select("first", "last")
    )
    return "{" + ",".join(f"[{first},{last}]" for first, last in runs.iter_rows()) + "}"
