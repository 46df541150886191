"""What is kept of a batch for ever: the act of sending with its receipt, its rows as they came, what was found."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.db import arrow, locks
from qianzhi.db.queries import load
from qianzhi.hub import tables
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

    from qianzhi.db.server import Session
    from qianzhi.sealing.envelopes import Manifest

_QUERIES = load("qianzhi.hub", "archive.sql")
_COMPRESSION_LEVEL: Final = 1
_FINDINGS_TABLE: Final = "qianzhi.findings"


@dataclass(frozen=True, slots=True)
class Act:
    """One act of sending: who, under which id, which bytes, and when it was received."""

    institution_id: int
    batch_id: UUID
    digest: bytes
    byte_count: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A batch that was received before."""

    digest: bytes
    receipt: bytes


def find(session: Session, institution_id: int, batch_id: UUID) -> Kept | None:
    """Return what is kept of an institution's batch, or None."""
    with session.cursor(binary=True) as cursor:
        row = cursor.execute(_QUERIES.known, {"institution_id": institution_id, "batch_id": batch_id}).fetchone()
    match row:
        case (bytes() as digest, bytes() as receipt):
            return Kept(digest, zlib.decompress(receipt))
        case _:
            return None


def lock(session: Session, institution_id: int, manifest: Manifest) -> None:
    """Wait for our turn among the batches of an institution and dataset; the turn ends with the transaction."""
    locks.hold(session, f"hub batch {institution_id} {manifest.regulator}.{manifest.dataset}")


def add(session: Session, act: Act, manifest: Manifest, *, row_count: int, rejected_count: int, receipt: bytes) -> int:
    """Write down an act of sending and return its number. UniqueViolation: the institution's batch id is known."""
    row = session.execute(
        _QUERIES.add_batch,
        {
            "institution_id": act.institution_id,
            "batch_id": act.batch_id,
            "regulator": manifest.regulator,
            "dataset": manifest.dataset,
            "edition": manifest.edition,
            "ruleset": manifest.ruleset,
            "as_of": manifest.as_of,
            "digest": act.digest,
            "byte_count": act.byte_count,
            "row_count": row_count,
            "accepted_count": row_count - rejected_count,
            "rejected_count": rejected_count,
            "received_at": act.received_at,
            "receipt": zlib.compress(receipt, _COMPRESSION_LEVEL),
        },
    ).fetchone()
    return int(str(row[0])) if row else 0


def keep_findings(session: Session, act: Act, dataset: str, batch_seq: int, findings: pl.DataFrame) -> None:
    """Write every finding of a batch."""
    if findings.is_empty():
        return
    arrow.write(
        session,
        _FINDINGS_TABLE,
        findings.select(
            pl.lit(batch_seq, pl.Int64).alias("batch_seq"),
            pl.lit(act.institution_id, pl.Int64).alias("institution_id"),
            pl.lit(dataset).alias("dataset"),
            "row_id",
            "code",
            "class",
            "field",
            "value",
            "detail",
            "severity",
            pl.lit(act.received_at.isoformat()).alias("found_at"),
        ),
    )


class Rows:
    """Writes submitted rows into the partition of their month; opens one that nobody opened in time."""

    def __init__(self) -> None:
        self._open: set[tuple[str, str, date]] = set()
        self._lock = Lock()

    def open(self, session: Session, schema: str, dataset: str, received_at: datetime) -> None:
        """Make sure that the month of an instant has its partition, in a transaction of its own."""
        month = tables.month_of(clock.local(received_at).date())
        with self._lock:
            if (schema, dataset, month) in self._open:
                return
            tables.open_month(session, schema, dataset, month)
            session.commit()
            self._open.add((schema, dataset, month))

    def keep(
        self, session: Session, act: Act, manifest: Manifest, batch_seq: int, *, raw: pl.DataFrame, rejected: pl.Series
    ) -> None:
        """Write the rows of a batch, raw, straight into the partition of their month."""
        received_on = clock.local(act.received_at).date()
        row_id, *fields = raw.columns
        arrow.write(
            session,
            f"{manifest.regulator}.{tables.partition(manifest.dataset, tables.month_of(received_on))}",
            raw.select(
                pl.lit(batch_seq, pl.Int64).alias("batch_seq"),
                row_id,
                pl.lit(received_on.isoformat()).alias("received_on"),
                pl.when(pl.col(row_id).is_in(rejected.implode()))
                .then(pl.lit("f"))
                .otherwise(pl.lit("t"))
                .alias("accepted"),
                *(pl.col(name).alias(name.lower()) for name in fields),
            ),
        )
