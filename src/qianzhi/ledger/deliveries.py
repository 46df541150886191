"""Deliveries: rows that an official front machine has, until its console says what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from psycopg import sql

from qianzhi.checks.state import KEY
from qianzhi.db import arrow, numbers
from qianzhi.db.queries import load
from qianzhi.errors import OperatorError
from qianzhi.ledger import batches
from qianzhi.ledger.batches import RowOutcome

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from qianzhi.db.server import Session
    from qianzhi.ledger.batches import Batch
    from qianzhi.sealing.notes import DeliveryNote

_SQL = load("qianzhi.ledger", "deliveries.sql")

# A delivered row, as results are matched with it; microseconds since 1970, those of `occurred_us` in local time.
DELIVERY = pl.Schema(
    {
        "row_id": pl.Int64,
        "remote_id": pl.Int64,
        "key_hash": pl.Int64,
        "key_check": pl.Int64,
        "occurred_us": pl.Int64,
        "delivered_us": pl.Int64,
        "answer": pl.Int64,  # 1 accepted, 0 failed, null: not answered
    }
)
ANSWER = pl.Schema({"row_id": pl.Int64, "accepted": pl.Boolean, "answered_us": pl.Int64})


def deliver(session: Session, batch: Batch, note: DeliveryNote, rows: pl.DataFrame) -> bool:
    """
    Record that a batch is delivered; return False when it was before. The caller commits.

    `rows` says row_id and, where they are known, key_hash, key_check, operation and occurred_at. Raises OperatorError
    when the note is of another batch, other bytes or another number of rows.
    """
    if (note.batch_id, note.digest, note.rows.height) != (batch.batch_id, batch.digest, batch.row_count):
        raise OperatorError(
            f"The delivery note does not belong to batch {batch.batch_id}.",
            remedy="Tell whoever maintains the destination's adapter; the batch stays sealed.",
        )
    parameters = {"batch_id": batch.batch_id, "delivered_at": note.delivered_at}
    if not session.execute(_SQL.deliver, parameters).rowcount:
        return False
    optional = {"key_hash": pl.Int64, "key_check": pl.Int64, "operation": pl.String, "occurred_at": pl.Datetime("us")}
    known = rows.select("row_id", *(name if name in rows.columns else _nothing(name) for name in optional))
    stored = note.rows.join(known, on="row_id", how="left").select(
        pl.lit(batch.lane_id, pl.Int64).alias("lane_id"),
        "row_id",
        pl.lit(str(batch.batch_id)).alias("batch_id"),
        "remote_id",
        *KEY,
        pl.col("operation").cast(pl.String),
        pl.col("occurred_at").cast(pl.String),
        pl.lit(note.delivered_at.isoformat()).alias("delivered_at"),
    )
    arrow.write(session, "qianzhi.deliveries", stored)
    return True


def of_keys(session: Session, lane_id: int, key_hashes: pl.Series) -> pl.DataFrame:
    """Return the deliveries (columns of DELIVERY) of keys with these hashes."""
    parameters = {"lane_id": lane_id, "key_hashes": numbers.array_text(key_hashes.drop_nulls().unique())}
    return numbers.columns(session, sql.SQL(_SQL.of_keys), DELIVERY.names(), parameters)


def answer(session: Session, lane_id: int, answers: pl.DataFrame) -> pl.DataFrame:
    """
    Record what the official console said of rows (columns of ANSWER); return what is new of it: row_id and batch_id.

    A row is answered once. Failed rows become rejected ones, the counts of their batches follow, and a batch whose
    last row is answered is settled. The caller commits.
    """
    parameters = {
        "lane_id": lane_id,
        "row_ids": numbers.array_text(answers["row_id"]),
        "accepted": numbers.array_text(answers["accepted"].cast(pl.Int64)),
        "answered_us": numbers.array_text(answers["answered_us"]),
    }
    found = session.execute(_SQL.answer, parameters).fetchall()
    news = pl.DataFrame(
        [(row_id, str(batch_id), accepted) for row_id, batch_id, accepted in found],
        schema={"row_id": pl.Int64, "batch_id": pl.String, "accepted": pl.Boolean},
        orient="row",
    )
    for (batch_id,), part in news.partition_by("batch_id", as_dict=True).items():
        _count(session, lane_id, str(batch_id), part)
    return news


def _count(session: Session, lane_id: int, batch_id: UUID | str, part: pl.DataFrame) -> None:
    failed = part.filter(~pl.col("accepted"))["row_id"]
    counts = {"accepted_count": part.height - failed.len(), "rejected_count": failed.len()}
    session.execute(_SQL.count, {"batch_id": batch_id, **counts})
    batches.add_outcomes(session, lane_id, failed, RowOutcome.REJECTED, batch_id)


def restate(session: Session, lane_id: int, row_ids: pl.Series) -> None:
    """
    Let the key states of rows that failed follow: of each key, the newest row over there that did not fail.

    Without one the key was never there. The caller commits.
    """
    if row_ids.len():
        session.execute(_SQL.restate, {"lane_id": lane_id, "row_ids": numbers.array_text(row_ids)})


def note_import(session: Session, destination: str, *, digest: bytes, counts: dict[str, int], now: datetime) -> None:
    """Record an import: `counts` of lines, accepted, failed and unmatched. The caller commits."""
    session.execute(_SQL.note_import, {"destination": destination, "digest": digest, "imported_at": now, **counts})


def _nothing(name: str) -> pl.Expr:
    return pl.lit(None).alias(name)
