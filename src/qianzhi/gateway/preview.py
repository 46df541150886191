"""The check at any hour: what the next cycle would find in the rows that are staged now. Submits nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.checks.checker import checker
from qianzhi.checks.findings import concat
from qianzhi.db.queries import load
from qianzhi.gateway import images, staging
from qianzhi.ledger import lanes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import polars as pl
    import psycopg

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.ledger.lanes import Lane

_SQL = load("qianzhi.ledger", "arrivals.sql")


def preview(
    connection: psycopg.Connection, workplace: Workplace, destination: Destination, *, as_of: datetime
) -> Iterator[tuple[str, int, pl.DataFrame]]:
    """Yield, dataset by dataset, how many rows wait and what the rules find in them (columns of findings.SCHEMA)."""
    for lane in lanes.lanes_of(connection, destination.name, destination.regulator):
        found = [
            _checked(connection, workplace, destination, lane, row_ids, as_of)
            for row_ids in _waiting(connection, lane, workplace.chunk_rows)
        ]
        yield lane.dataset, sum(count for count, _ in found), concat(frame for _, frame in found)


def _waiting(connection: psycopg.Connection, lane: Lane, limit: int) -> Iterator[list[int]]:
    after = 0
    while True:
        parameters = {"lane_id": lane.lane_id, "after": after, "limit": limit}
        row_ids = [row_id for (row_id,) in connection.execute(_SQL.peek, parameters)]
        if not row_ids:
            return
        yield row_ids
        after = row_ids[-1]


def _checked(
    connection: psycopg.Connection,
    workplace: Workplace,
    destination: Destination,
    lane: Lane,
    row_ids: list[int],
    as_of: datetime,
) -> tuple[int, pl.DataFrame]:
    dataset = destination.regulator.dataset(lane.dataset)
    raw = staging.mapped(staging.rows_of(connection, lane.regulator, dataset, row_ids), dataset, destination.maps)
    checked = checker(destination.regulator, dataset).check(raw, as_of=as_of)
    return raw.height, concat([checked.findings, images.inspect(raw, dataset, workplace.paths)])
