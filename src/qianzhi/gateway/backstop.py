"""The backstop: staged rows that the ledger has never heard of are found, and arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from qianzhi.ledger import arrivals, lanes
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination
    from qianzhi.ledger.lanes import Lane

STEP_ROWS = 50_000


def recover_all(session: Session, lane: Lane, destination: Destination, *, patience_seconds: float = 0.0) -> int:
    """Let staged rows arrive that the ledger has never heard of; return how many. Commits in bounded steps."""
    after, found = 0, 0
    while True:
        missed = recover(session, lane, destination, after=after, limit=STEP_ROWS, patience_seconds=patience_seconds)
        if missed.is_empty():
            return found
        after, found = int(missed["row_id"][-1]), found + missed.height


def recover(
    session: Session, lane: Lane, destination: Destination, *, after: int, limit: int, patience_seconds: float
) -> pl.DataFrame:
    """
    Let rows arrive, behind an id, that the ledger has never heard of; commit, and return them (columns of ARRIVAL).

    Only as the one worker of the lane: another one could take the same rows in between, and they would go twice.
    """
    dataset = destination.regulator.dataset(lane.dataset)
    with lanes.locked(session, lane, patience_seconds=patience_seconds) as is_ours:
        if not is_ours:
            return pl.DataFrame(schema=arrivals.ARRIVAL)
        missed = arrivals.missing(
            session, lane.lane_id, lane.regulator, dataset, after=after, limit=limit, now=clock.now()
        )
        arrivals.put(session, lane.lane_id, missed)
        session.commit()
        return missed
