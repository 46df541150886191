"""Rows into the staging tables the one way in: by INSERT, as the account of the hospital's systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.db import arrow
from qianzhi.db.server import connect, translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from qianzhi.specs.model import Dataset

_WHAT = "The records were not saved"


def insert(dsn: str, regulator: str, rows: Sequence[tuple[Dataset, pl.DataFrame]]) -> None:
    """
    Insert whole rows (raw frames; their row_id is left to the database) in one transaction: all of them or none.

    `dsn` is that of the sender's account, which may do nothing but this.
    """
    with translated(_WHAT), connect(dsn, application="qianzhi resources") as session:
        for dataset, raw in rows:
            frame = raw.drop("row_id")
            columns = [name.lower() for name in frame.columns]
            arrow.write(session, f"{regulator}.{dataset.name}", frame, columns=columns)
        session.commit()
