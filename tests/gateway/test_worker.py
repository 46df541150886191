from __future__ import annotations

import threading
import time

import psycopg
import pytest

from qianzhi.gateway import worker
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.worker import Worker
from qianzhi.runtime.stopping import StopRequests

SECONDS_MAX = 120.0
LISTENING = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'qianzhi ear' AND query = 'LISTEN arrived'"


def test_a_worker_that_waits_for_rows_stops_when_it_is_asked_to(
    workplace: Workplace, destination: Destination, ask: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait until a notification could have been lost: when it has stopped, no session of it is left."""
    monkeypatch.setattr(worker, "LISTEN_SECONDS", SECONDS_MAX * 10)
    stop = StopRequests()
    works = threading.Thread(target=Worker(workplace, [destination]).run, args=(stop,), daemon=True)
    works.start()
    end = time.monotonic() + SECONDS_MAX
    while ask.execute(LISTENING).fetchone() is None:
        assert time.monotonic() < end
        time.sleep(0.05)

    stop.count += 1
    works.join(SECONDS_MAX)

    assert not works.is_alive()
    assert [each.name for each in threading.enumerate() if each.name.startswith(worker.EAR_NAME)] == []
