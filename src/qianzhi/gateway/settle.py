"""Settling: what a receipt or a delivery note says becomes the state of every row of its batch, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from qianzhi.checks.state import REVOKE
from qianzhi.errors import OperatorError
from qianzhi.ledger import batches, deliveries, findings, held, keys, promises

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.gateway.seal import Sealed
    from qianzhi.sealing.notes import DeliveryNote
    from qianzhi.sealing.receipts import Receipt


def settle(
    connection: Session,
    sealed: Sealed,
    receipt: Receipt,
    document: bytes,
    *,
    keeps_states: bool,
    promised: Mapping[bytes, int],
    now: datetime,
) -> int:
    """
    Record a receipt and what it lets follow, and commit; return how many held rows it released.

    `promised` has the sizes of the images that follow, by digest.

    Safe to repeat: a batch that is settled already is left alone. Raises OperatorError when the receipt belongs
    to something else.
    """
    batch = sealed.batch
    _require_own_rows(sealed, receipt)
    released = 0
    if batches.settle(connection, batch, receipt, document, now=now):
        findings.record_receipt(connection, batch, receipt.findings, rows=sealed.rows, now=now)
        promises.add(connection, batch.lane_id, promised, now=now)
        if keeps_states:
            released = _let_follow(connection, batch.lane_id, settled_states(sealed.rows, receipt.rejected))
    connection.commit()
    return released


def settle_delivery(connection: Session, sealed: Sealed, note: DeliveryNote, *, keeps_states: bool) -> int:
    """
    Record a delivery note and commit; return how many held rows it released.

    Nothing is accepted by that. But what is there is good enough for what waits for it: the destination asks for the
    parent to be pushed before the child, and says much later whether it took it. Safe to repeat.
    """
    released = 0
    if deliveries.deliver(connection, sealed.batch, note, sealed.rows) and keeps_states:
        nothing = pl.Series("row_id", [], dtype=pl.Int64)
        released = _let_follow(connection, sealed.batch.lane_id, settled_states(sealed.rows, nothing))
    connection.commit()
    return released


def _let_follow(connection: Session, lane_id: int, settled: pl.DataFrame) -> int:
    """Put key states in force, and let go what waited for them; return how many rows that are."""
    keys.settle_states(connection, lane_id, settled.filter("accepted").select(*keys.KEY_STATE.names()))
    return held.release(connection, lane_id, settled)


def _require_own_rows(sealed: Sealed, receipt: Receipt) -> None:
    """Refuse a receipt that speaks of other rows, rejects one twice, or has a text that no ledger can hold."""
    named = pl.concat([receipt.rejected, receipt.findings["row_id"]]).unique()
    has_nul = receipt.findings.select(pl.col(pl.String).str.contains("\x00", literal=True).any()).row(0)
    is_sound = named.is_in(sealed.rows["row_id"].implode()).all() and not receipt.rejected.is_duplicated().any()
    if not is_sound or any(has_nul):
        raise OperatorError(
            f"The receipt of batch {sealed.batch.batch_id} says what cannot be said of its rows.",
            remedy="Tell the destination's operator; the batch stays sealed and is sent again.",
        )


def settled_states(rows: pl.DataFrame, rejected: pl.Series) -> pl.DataFrame:
    """
    Return for each key what its row left behind: KEY_STATE and `accepted`; a batch holds a key once.

    Where the row was rejected, `live` is False.
    """
    return (
        rows.filter(pl.col("operation").is_not_null())
        .with_columns(accepted=~pl.col("row_id").is_in(rejected.implode()))
        .with_columns(live=pl.col("accepted") & (pl.col("operation") != REVOKE))
        .select(*keys.KEY_STATE.names(), "accepted")
    )
