"""Delivery: a sealed batch through the destination's door, until it is answered or there is a reason to stop."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING

import polars as pl
import structlog

from qianzhi.checks.catalogue import QUARANTINE_CODE
from qianzhi.checks.parse import parse, said
from qianzhi.checks.state import changes_of
from qianzhi.errors import OperatorError, RetryableError, SenderError
from qianzhi.gateway.seal import Sealed, blobs_of
from qianzhi.gateway.settle import had_before, settle, settle_delivery
from qianzhi.ledger import batches, findings
from qianzhi.ledger.batches import BatchState, RowOutcome
from qianzhi.runtime import clock
from qianzhi.sealing.envelopes import open_envelope
from qianzhi.sealing.images import media_type
from qianzhi.sealing.notes import DeliveryNote, PartlyThere
from qianzhi.specs.model import ErrorClass, RuleKind, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.gateway.seal import Sealer
    from qianzhi.ledger.batches import Batch
    from qianzhi.regulators.protocols import Door
    from qianzhi.sealing.receipts import Receipt

log = structlog.stdlib.get_logger()

RUN_ATTEMPT_COUNT_MAX = 4  # in one go; the worker comes back for the rest when the next attempt is due
WAIT_SECONDS_MAX = 5.0  # a longer pause is not waited out in place: it would keep the lane, and a stop, waiting


class Delivered(StrEnum):
    """How one delivery ended."""

    SETTLED = "settled"
    SPLIT = "split"
    QUARANTINED = "quarantined"
    POSTPONED = "postponed"


class Courier:
    """
    Delivers batches of one destination, one at a time, on its own session and connection.

    Not for several threads; each has its own courier.
    """

    def __init__(self, connection: Session, workplace: Workplace, destination: Destination) -> None:
        self._connection = connection
        self._workplace = workplace
        self._destination = destination
        self.door: Door = destination.open_door()
        self._random = Random()  # noqa: S311  (jitter, not a secret)

    def close(self) -> None:
        """Release the door and the session."""
        self.door.close()
        self._connection.close()

    def deliver(self, sealed: Sealed, sealer: Sealer) -> Delivered:
        """
        Send a batch until its answer is recorded, it is split, or its next attempt lies in the future.

        Every way out leaves the ledger saying how to go on; a crash at any point only repeats the send.
        """
        for attempt in range(1, RUN_ATTEMPT_COUNT_MAX + 1):
            begun_at, begun = clock.now(), clock.monotonic()
            try:
                there = self._attempt(sealed)
            except SenderError as error:
                self._note(sealed.batch, begun_at, begun, error, None)
                return self._halve(sealed, sealer)
            except (RetryableError, OperatorError) as error:
                failed = sealed.batch.attempt_count + attempt
                pause = self._destination.backoff.pause_seconds(failed, self._random)
                self._note(sealed.batch, begun_at, begun, error, begun_at + timedelta(seconds=pause))
                if isinstance(error, OperatorError) and self._is_stale(sealed):
                    return self._go_on(sealed, sealer, [open_envelope(sealed.content).rows])
                if isinstance(error, OperatorError) or pause > WAIT_SECONDS_MAX:
                    return Delivered.POSTPONED
                clock.sleep(pause)
            else:
                if there is not None:
                    return self._go_on(sealed, sealer, _apart(sealed, there))
                self._workplace.spool.remove(sealed.batch.batch_id)
                return Delivered.SETTLED
        return Delivered.POSTPONED

    def _attempt(self, sealed: Sealed) -> PartlyThere | None:
        """Send a batch and settle its answer; return what is there already, where that is some of it."""
        begun_at, begun = clock.now(), clock.monotonic()
        if not sealed.manifest.images_follow:
            for digest in sealed.blobs:
                content = self._workplace.blobs.get(digest)
                self.door.offer(digest, media_type(content), content)
        answer = self.door.send(sealed.manifest, sealed.content)
        if isinstance(answer, PartlyThere):
            return answer
        batches.note_attempt(
            self._connection,
            sealed.batch.batch_id,
            attempted_at=begun_at,
            took_seconds=clock.monotonic() - begun,
            outcome="delivered" if isinstance(answer, DeliveryNote) else "receipt",
        )
        keeps_states = RuleKind.STATE in self._destination.kinds
        if isinstance(answer, DeliveryNote):
            settle_delivery(self._connection, sealed, answer, keeps_states=keeps_states)
            return None
        receipt, document = answer
        settle(
            self._connection,
            sealed,
            receipt,
            document,
            dataset=self._destination.regulator.dataset(sealed.manifest.dataset),
            keeps_states=keeps_states,
            promised=self._promised(sealed, receipt),
            now=clock.now(),
        )
        return None

    def _promised(self, sealed: Sealed, receipt: Receipt) -> dict[bytes, int]:
        """
        Return the sizes of the images that follow: those which accepted rows name.

        Those of records that the destination has already as well: it may still wait for their images, from a time
        that our ledger has forgotten, and takes none twice.
        """
        if not (sealed.blobs and sealed.manifest.images_follow):
            return {}
        named = sealed.blobs
        if receipt.rejected.len():
            dataset = self._destination.regulator.dataset(sealed.manifest.dataset)
            rejected, there = receipt.rejected, had_before(receipt, dataset)
            lacking = pl.col("row_id").is_in(rejected.filter(~rejected.is_in(there.implode())).implode())
            named = blobs_of(open_envelope(sealed.content).rows.filter(~lacking), dataset)
        blobs = self._workplace.blobs
        # What the regulator said of the rows is recorded whatever became of a file here: the porter tells of that.
        return {digest: blobs.byte_count(digest) if blobs.holds(digest) else 0 for digest in named}

    def _note(
        self,
        batch: Batch,
        begun_at: datetime,
        begun: float,
        error: SenderError | RetryableError | OperatorError,
        next_attempt_at: datetime | None,
    ) -> None:
        self._connection.rollback()
        batches.note_attempt(
            self._connection,
            batch.batch_id,
            attempted_at=begun_at,
            took_seconds=clock.monotonic() - begun,
            outcome=f"{type(error).__name__}: {error.what}",
            next_attempt_at=next_attempt_at,
        )
        self._connection.commit()
        log.warning("gateway:batch:not_delivered", batch=str(batch.batch_id), what=error.what, remedy=error.remedy)

    def _is_stale(self, sealed: Sealed) -> bool:
        """
        Tell whether a batch can never be taken as it is: sealed under other rules, or while our clock ran ahead.

        Only where the destination says that it does not hold it: an attempt without an answer may have got there.
        """
        manifest = sealed.manifest
        if manifest.ruleset == self._destination.regulator.digest and manifest.as_of <= clock.local_now():
            return False
        try:
            return not self.door.holds(manifest)
        except (RetryableError, OperatorError, SenderError):
            return False

    def _halve(self, sealed: Sealed, sealer: Sealer) -> Delivered:
        """Go on in halves with what the destination cannot take whole; a single row of that kind stands aside."""
        if sealed.batch.row_count == 1:
            return self._quarantine(sealed)
        raw = open_envelope(sealed.content).rows
        return self._go_on(sealed, sealer, list(raw.iter_slices(-(-raw.height // 2))))

    def _go_on(self, sealed: Sealed, sealer: Sealer, parts: Sequence[pl.DataFrame]) -> Delivered:
        """Go on with the rows of a batch in other batches, sealed under the present rules."""
        if batches.close(self._connection, sealed.batch, BatchState.SPLIT):
            for part in parts:
                rows = sealed.rows.join(part.select("row_id"), on="row_id", how="semi")
                sealer.seal_rows(
                    part,
                    rows,
                    min(sealed.manifest.as_of, clock.local_now()),
                    sealed.batch.cycle_id,
                    self.door,
                    split_from=sealed.batch.batch_id,
                    session=self._connection,
                )
        self._connection.commit()
        self._workplace.spool.remove(sealed.batch.batch_id)
        return Delivered.SPLIT

    def _quarantine(self, sealed: Sealed) -> Delivered:
        batch = sealed.batch
        if batches.close(self._connection, batch, BatchState.REFUSED):
            batches.add_outcomes(
                self._connection, batch.lane_id, sealed.rows["row_id"], RowOutcome.QUARANTINED, batch.batch_id
            )
            told = quarantine_findings(sealed.rows["row_id"])
            findings.record(
                self._connection,
                batch.lane_id,
                told,
                "gateway",
                rows=sealed.rows,
                batch_id=batch.batch_id,
                now=clock.now(),
            )
        self._connection.commit()
        return Delivered.QUARANTINED


def _apart(sealed: Sealed, there: PartlyThere) -> list[pl.DataFrame]:
    """Return the rows of a batch that stand at the destination already, and those that do not."""
    raw = open_envelope(sealed.content).rows
    is_there = pl.col("row_id").is_in(there.row_ids.implode())
    return [raw.filter(is_there), raw.filter(~is_there)]


def quarantine_findings(row_ids: pl.Series) -> pl.DataFrame:
    """Return the finding that asks an operator to look at rows which no door takes."""
    return pl.DataFrame({"row_id": row_ids}).select(
        "row_id",
        code=pl.lit(QUARANTINE_CODE),
        **{"class": pl.lit(ErrorClass.FORMAT.value)},
        field=pl.lit(None, pl.String),
        value=pl.lit(None, pl.String),
        detail=pl.lit(None, pl.String),
        severity=pl.lit(Severity.ERROR.value),
    )


def recalled(batch: Batch, workplace: Workplace, destination: Destination) -> Sealed:
    """Return a batch that was sealed before, as its spooled bytes say it: what a restart goes on with."""
    content = workplace.spool.read(batch.batch_id, batch.digest)
    opened = open_envelope(content)
    dataset = destination.regulator.dataset(opened.manifest.dataset)
    typed = parse(opened.rows, dataset).typed
    rows = changes_of(said(opened.rows, typed), typed, dataset)
    return Sealed(batch, opened.manifest, content, rows, blobs_of(opened.rows, dataset))
