"""The check at any hour: what the next cycle would find in the rows that are staged now. Submits nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.checks.checker import checker
from qianzhi.checks.findings import concat
from qianzhi.gateway import images, staging
from qianzhi.ledger import arrivals, lanes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import polars as pl

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.ledger.lanes import Lane


def preview(
    connection: Session, workplace: Workplace, destination: Destination, *, as_of: datetime
) -> Iterator[tuple[str, int, pl.DataFrame]]:
    """Yield, dataset by dataset, how many rows wait and what the rules find in them (columns of findings.SCHEMA)."""
    for lane in lanes.lanes_of(connection, destination.name, destination.regulator):
        found = [
            _checked(connection, workplace, destination, lane, row_ids, as_of)
            for row_ids in _waiting(connection, lane, workplace.chunk_rows)
        ]
        yield lane.dataset, sum(count for count, _ in found), concat(frame for _, frame in found)


def _waiting(connection: Session, lane: Lane, limit: int) -> Iterator[pl.Series]:
    after = 0
    while (row_ids := arrivals.peek(connection, lane.lane_id, after=after, limit=limit)).len():
        yield row_ids
        after = int(row_ids[-1])


def _checked(
    connection: Session,
    workplace: Workplace,
    destination: Destination,
    lane: Lane,
    row_ids: pl.Series,
    as_of: datetime,
) -> tuple[int, pl.DataFrame]:
    dataset = destination.regulator.dataset(lane.dataset)
    raw = staging.mapped(staging.rows_of(connection, lane.regulator, dataset, row_ids), dataset, destination.maps)
    checked = checker(destination.regulator, dataset).check(raw, as_of=as_of)
    return raw.height, concat([checked.findings, images.inspect(raw, dataset, workplace.paths)])
