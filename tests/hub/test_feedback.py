"""What is read of past batches."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

from tests.hub.samples import AS_OF, CODE, GUANGDONG, row, send

from qianzhi.hub import feedback
from qianzhi.hub.desk import open_desk
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from qianzhi.hub.desk import Desk
    from qianzhi.hub.identity import Sender


def test_the_log_tells_the_second_in_which_a_batch_came(desk: Desk, sender: Sender) -> None:
    """It is cut and not rounded: the last second of a day belongs to that day."""
    late = AS_OF.replace(hour=23, minute=59, second=59, microsecond=900_000, tzinfo=clock.LOCAL)
    evening = open_desk(desk.pool, desk.files, [GUANGDONG], now=lambda: late)
    send(evening, sender, "person", row("person"))
    with desk.pool.connection() as session:
        lines = [
            *feedback.log(session, sender.institution_id, GUANGDONG),
            *feedback.log_of_all(session, CODE, None, 10),
        ]
    assert [(line["received_on"], line["received_time"]) for line in lines] == [(AS_OF.date(), time(23, 59, 59))] * 2
