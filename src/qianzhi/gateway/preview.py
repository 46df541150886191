"""The check at any hour: what the next cycle would find in the rows that are staged now. Submits nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from qianzhi.checks.checker import checker
from qianzhi.checks.findings import concat
from qianzhi.gateway import images, staging
from qianzhi.gateway.lane_run import silent
from qianzhi.ledger import arrivals, lanes
from qianzhi.ledger.lanes import Mode
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.gateway.lane_run import Note
    from qianzhi.ledger.lanes import Lane
    from qianzhi.specs.model import Dataset


def preview(
    session: Session, workplace: Workplace, destination: Destination, *, as_of: datetime, note: Note = silent
) -> Iterator[tuple[str, int, pl.DataFrame]]:
    """
    Yield, dataset by dataset, how many rows wait and what the rules find in them (columns of findings.SCHEMA).

    `session` must be in autocommit. `note` is told the dataset and the rows of each chunk that is checked.
    """
    for lane in lanes.lanes_of(session, destination.name, destination.regulator):
        if lane.mode is Mode.OFF:
            continue
        dataset = destination.regulator.dataset(lane.dataset)
        found = []
        for raw in _waiting(session, lane, dataset, workplace.chunk_rows):
            found.append(_checked(session, raw, workplace, destination, as_of=as_of, dataset=dataset))
            note(lane.dataset, raw.height)
        yield lane.dataset, sum(count for count, _ in found), concat(frame for _, frame in found)


def _waiting(session: Session, lane: Lane, dataset: Dataset, limit: int) -> Iterator[pl.DataFrame]:
    after = 0
    nothing, now = pl.Series("row_id", [], dtype=pl.Int64), clock.now()
    while (row_ids := arrivals.peek(session, lane.lane_id, after=after, cut_off=now, leave=nothing, limit=limit)).len():
        raw = staging.first_rows_of(session, lane.regulator, dataset, row_ids)
        yield raw
        after = int(raw["row_id"][-1])


def _checked(
    session: Session,
    raw: pl.DataFrame,
    workplace: Workplace,
    destination: Destination,
    *,
    as_of: datetime,
    dataset: Dataset,
) -> tuple[int, pl.DataFrame]:
    raw = staging.mapped(raw, dataset, destination.maps)
    checked = checker(destination.regulator, dataset).check(raw, as_of=as_of)
    found = [checked.findings, images.inspect(raw, dataset, workplace.paths)]
    if workplace.pledges is not None:
        found.append(workplace.pledges.broken(session, raw, dataset, destination.regulator.key))
    return raw.height, concat(found)
