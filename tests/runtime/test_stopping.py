from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from qianzhi.runtime.stopping import SUPERVISOR_VARIABLE, StopRequests

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("child.py")
SECONDS_MAX = 90.0


def test_signals_are_counted_while_it_is_entered() -> None:
    """SIGTERM and SIGINT ask to stop; afterwards they do what they did before."""
    before = signal.getsignal(signal.SIGINT)

    with StopRequests() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(SECONDS_MAX)

    assert stop.count == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_waiting_ends_when_somebody_asks() -> None:
    """A long wait ends soon after the request; a short one ends by itself."""
    stop = StopRequests()
    assert not stop.wait(0.01)

    threading.Timer(0.1, lambda: setattr(stop, "count", 1)).start()
    began = time.monotonic()

    assert stop.wait(SECONDS_MAX * 10)
    assert time.monotonic() - began < SECONDS_MAX


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no zombies")
def test_a_supervisor_that_nobody_buries_is_gone(tmp_path: Path) -> None:
    """A dead supervisor whose parent never asks for its end is followed all the same."""
    notes = tmp_path / "notes"
    supervisor = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT / "src"), SUPERVISOR_VARIABLE: str(supervisor.pid)}
    follower = subprocess.Popen([sys.executable, str(CHILD), "waits", str(notes)], env=surroundings)
    try:
        until = time.monotonic() + SECONDS_MAX
        while not notes.exists() or "started" not in notes.read_text(encoding="utf-8"):
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(supervisor.pid, signal.SIGKILL)  # and no wait, which would bury it
        assert follower.wait(SECONDS_MAX) == 0
        assert psutil.Process(supervisor.pid).status() == psutil.STATUS_ZOMBIE
    finally:
        follower.kill()
        follower.wait()
        supervisor.kill()
        supervisor.wait()
