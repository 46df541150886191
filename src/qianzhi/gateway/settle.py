"""Settling: what a receipt or a delivery note says becomes the state of every row of its batch, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks.state import IS_HELD, IS_NEW, KEY, REVOKE
from qianzhi.errors import OperatorError
from qianzhi.ledger import batches, deliveries, findings, held, keys, promises
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.gateway.seal import Sealed
    from qianzhi.sealing.notes import DeliveryNote
    from qianzhi.sealing.receipts import Receipt
    from qianzhi.specs.model import Dataset

_TELLING: Final = (IS_NEW, IS_HELD)  # rules of a key: whoever breaks them is told what is there


def settle(
    connection: Session,
    sealed: Sealed,
    receipt: Receipt,
    document: bytes,
    *,
    dataset: Dataset,
    keeps_states: bool,
    promised: Mapping[bytes, int],
    now: datetime,
) -> None:
    """
    Record a receipt and what it lets follow, and commit.

    `promised` has the sizes of the images that follow, by digest.

    Safe to repeat: a batch that is settled already is left alone. Raises OperatorError when the receipt belongs
    to something else.
    """
    batch = sealed.batch
    _require_own_rows(sealed, receipt)
    if batches.settle(connection, batch, receipt, document, now=now):
        findings.record_receipt(connection, batch, receipt.findings, rows=sealed.rows, now=now)
        promises.add(connection, batch.lane_id, promised, now=now)
        if keeps_states:
            settled = settled_states(sealed.rows, receipt.rejected)
            _let_follow(connection, batch.lane_id, settled, told_states(sealed.rows, receipt, dataset))
    connection.commit()


def settle_delivery(connection: Session, sealed: Sealed, note: DeliveryNote, *, keeps_states: bool) -> None:
    """
    Record a delivery note and commit.

    Nothing is accepted by that. But what is there is good enough for what waits for it: the destination asks for the
    parent to be pushed before the child, and says much later whether it took it. Safe to repeat.
    """
    if deliveries.deliver(connection, sealed.batch, note, sealed.rows) and keeps_states:
        nothing = pl.Series("row_id", [], dtype=pl.Int64)
        settled = settled_states(sealed.rows, nothing)
        _let_follow(connection, sealed.batch.lane_id, settled, settled.clear())
    connection.commit()


def _let_follow(connection: Session, lane_id: int, settled: pl.DataFrame, told: pl.DataFrame) -> None:
    """Put key states in force, and let go what waited for them."""
    keys.settle_states(connection, lane_id, settled.filter("accepted").select(*keys.KEY_STATE.names()))
    keys.correct_states(connection, lane_id, told.select(*keys.KEY_STATE.names()))
    known = settled.update(told.select(*KEY, "live"), on=KEY)
    held.release(connection, lane_id, known)


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


def told_states(rows: pl.DataFrame, receipt: Receipt, dataset: Dataset) -> pl.DataFrame:
    """
    Return what a receipt tells of the keys of rejected rows, as `settled_states` does.

    A repeat was refused because the record is there, a change because it is not. A gateway that was restored from a
    backup learns it by that; any other knows it.
    """
    told = pl.concat([_refused_as(form, receipt, dataset).with_columns(live=form == IS_NEW) for form in _TELLING])
    return (
        rows.filter(pl.col("operation").is_not_null())
        .join(told.unique("row_id"), on="row_id")
        .select(*KEY, "row_id", "live", accepted=pl.lit(value=False))
    )


def had_before(receipt: Receipt, dataset: Dataset) -> pl.Series:
    """Return the rows (row_id) that were refused because the destination has their record."""
    return _refused_as(IS_NEW, receipt, dataset)["row_id"]


def _refused_as(form: str, receipt: Receipt, dataset: Dataset) -> pl.DataFrame:
    codes = [rule.code for rule in dataset.rules if rule.kind is RuleKind.STATE and rule.check == form]
    is_refused = pl.col("row_id").is_in(receipt.rejected.implode())
    return receipt.findings.filter(pl.col("code").is_in(codes) & is_refused).select("row_id").unique()
