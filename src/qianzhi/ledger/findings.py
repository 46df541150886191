"""Findings on record at the gateway: its own, and those the destination's receipts or console bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl

from qianzhi.checks.findings import SCHEMA
from qianzhi.checks.state import KEY
from qianzhi.db import arrow
from qianzhi.db.queries import load

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from qianzhi.db.server import Session
    from qianzhi.ledger.batches import Batch

_SQL = load("qianzhi.ledger", "findings.sql")

Origin = Literal["gateway", "hub", "official"]
LISTED = pl.Schema(
    [
        ("dataset", pl.String),
        *SCHEMA.items(),
        ("origin", pl.String),
        ("found_at", pl.Datetime("us", "UTC")),
        ("is_held", pl.Boolean),  # it waits, and is no finding yet
    ]
)


def record(
    session: Session,
    lane_id: int,
    findings: pl.DataFrame,
    origin: Origin,
    *,
    rows: pl.DataFrame,
    batch_id: UUID | str | None,
    now: datetime,
) -> None:
    """Put findings on record; `rows` says row_id and, where they are known, key_hash and key_check."""
    if findings.is_empty():
        return
    known = rows.select("row_id", *(name if name in rows.columns else _unknown(name) for name in KEY))
    stored = findings.join(known, on="row_id", how="left").select(
        pl.lit(lane_id, pl.Int64).alias("lane_id"),
        "row_id",
        *KEY,
        pl.lit(None if batch_id is None else str(batch_id), pl.String).alias("batch_id"),
        pl.lit(origin).alias("origin"),
        "code",
        "class",
        "field",
        "value",
        "detail",
        "severity",
        pl.lit(now.isoformat()).alias("found_at"),
    )
    arrow.write(session, "qianzhi.findings", stored)


def _unknown(name: str) -> pl.Expr:
    return pl.lit(None, pl.Int64).alias(name)


def record_receipt(
    session: Session, batch: Batch, findings: pl.DataFrame, *, rows: pl.DataFrame, now: datetime
) -> None:
    """
    Put on record what a receipt says beyond what the gateway found itself.

    Row and batch rules give the same findings at both ends, so only the rest is new.
    """
    if findings.is_empty():
        return
    known = pl.DataFrame(
        session.execute(_SQL.known, {"batch_id": batch.batch_id}).fetchall(),
        schema={"row_id": pl.Int64, "code": pl.String, "field": pl.String},
        orient="row",
    )
    news = findings.join(known, on=["row_id", "code", "field"], how="anti", nulls_equal=True)
    record(session, batch.lane_id, news, "hub", rows=rows, batch_id=batch.batch_id, now=now)


def listed(
    session: Session,
    destination: str,
    *,
    dataset: str | None = None,
    since: datetime | None = None,
    open_only: bool = False,
    limit: int,
) -> pl.DataFrame:
    """
    Return findings and held rows of a destination, columns of LISTED.

    With `open_only`, without those of rows whose record was put right since: a later row of it is accepted, or
    delivered to where nobody has spoken of it yet.
    """
    parameters = {
        "destination": destination,
        "dataset": dataset,
        "since": since,
        "open_only": open_only,
        "limit": limit,
    }
    rows = session.execute(_SQL.listed, parameters).fetchall()
    return pl.DataFrame(rows, schema=LISTED, orient="row")
