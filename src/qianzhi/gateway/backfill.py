"""Backfill: history that was staged before the ledger knew of it, sent at a pace that spares the hospital's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.db.server import connect
from qianzhi.errors import ConfigurationError
from qianzhi.gateway.backstop import recover
from qianzhi.gateway.cycle import PATIENCE_SECONDS, Dispatcher
from qianzhi.ledger.batches import CycleKind
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.gateway.destination import Destination, Workplace

STEP_SECONDS = 5.0  # a step takes what so many seconds allow, then waits out the rest of them


def backfill(
    workplace: Workplace,
    destination: Destination,
    rows_per_second: float,
    dataset: str | None,
    tell: Callable[[str], None],
) -> int:
    """
    Let history arrive in steps and settle each step; return how many rows moved.

    The ledger remembers what went, so it can be broken off anywhere and called again. Ends early when the
    destination cannot be reached. Raises ConfigurationError for a dataset that is switched off.
    """
    limit = max(1, int(rows_per_second * STEP_SECONDS))
    moved = 0
    with (
        Dispatcher(workplace, destination) as dispatcher,
        connect(workplace.dsn, application="qianzhi backfill") as connection,
    ):
        if dataset is not None and dataset not in {lane.dataset for lane in dispatcher.lanes}:
            raise ConfigurationError(
                f"The dataset {dataset} is switched off towards {destination.name}.",
                remedy="Add it to submit in qianzhi.toml, and repeat `qianzhi gateway init`.",
            )
        for lane in dispatcher.lanes:
            if dataset not in {None, lane.dataset}:
                continue
            after = 0
            while True:
                begun = clock.monotonic()
                missed = recover(
                    connection, lane, destination, after=after, limit=limit, patience_seconds=PATIENCE_SECONDS
                )
                if missed.is_empty():
                    break
                after = int(missed["row_id"][-1])
                done = dispatcher.advance(CycleKind.BACKFILL, clock.now(), datasets={lane.dataset})
                moved += done.moved_count
                tell(f"{lane.dataset}: {moved} rows")
                if done.postponed:
                    return moved
                clock.sleep(max(0.0, STEP_SECONDS - (clock.monotonic() - begun)))
    return moved
