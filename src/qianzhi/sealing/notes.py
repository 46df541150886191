"""The delivery note: what there is to say of a batch whose destination gives no receipt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

ROWS = pl.Schema({"row_id": pl.Int64, "remote_id": pl.Int64})


@dataclass(frozen=True, slots=True)
class DeliveryNote:
    """The rows of a batch stand at the destination, which has said nothing of them: nobody may call them accepted."""

    batch_id: UUID
    digest: bytes
    delivered_at: datetime
    rows: pl.DataFrame  # ROWS: where each row stands there


@dataclass(frozen=True, slots=True)
class PartlyThere:
    """Some rows of a batch stand at the destination already, from a time that the ledger knows nothing of."""

    row_ids: pl.Series  # of those; nothing was inserted


def note_rows(row_ids: pl.Series, remote_ids: Sequence[int]) -> pl.DataFrame:
    """Return the ROWS of a note: the destination numbers rows in the order in which they come."""
    return pl.DataFrame({"row_id": row_ids, "remote_id": sorted(remote_ids)}, schema=ROWS)
