"""How much the intake does at once, and for whom."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from qianzhi.hub.desk import Desk

SECONDS_MAX = 90.0
SLOW, QUICK = 1, 2


def test_a_document_that_takes_long_delays_only_its_own_institution(desk: Desk) -> None:
    """However many one hands in, they are looked into one after the other, and another's meanwhile."""
    begun, others_done, at_work, most = threading.Event(), threading.Event(), 0, 0
    waited: list[bool] = []

    def examine_slowly() -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        begun.set()
        waited.append(others_done.wait(SECONDS_MAX))
        at_work -= 1

    async def hand_in() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(desk.examine, SLOW, examine_slowly)
            await anyio.to_thread.run_sync(begun.wait, SECONDS_MAX)
            await desk.examine(QUICK, others_done.set)

    anyio.run(hand_in)

    assert (waited, most) == ([True] * 3, 1)
