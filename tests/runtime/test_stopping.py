from __future__ import annotations

import os
import signal
import threading
import time

from qianzhi.runtime.stopping import StopRequests


def test_signals_are_counted_while_it_is_entered() -> None:
    """SIGTERM and SIGINT ask to stop; afterwards they do what they did before."""
    before = signal.getsignal(signal.SIGINT)

    with StopRequests() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(1)

    assert stop.count == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_waiting_ends_when_somebody_asks() -> None:
    """A long wait ends soon after the request; a short one ends by itself."""
    stop = StopRequests()
    assert not stop.wait(0.01)

    threading.Timer(0.1, lambda: setattr(stop, "count", 1)).start()
    began = time.monotonic()

    assert stop.wait(30)
    assert time.monotonic() - began < 5
