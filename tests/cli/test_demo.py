"""`qianzhi demo`, more than once on the same home."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from pathlib import Path

SECONDS_MAX = 180.0


@pytest.mark.slow
def test_a_second_demo_plays_nothing_new_and_uses_what_runs(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same home has had its day; whoever runs there goes on. Log lines stand in files only."""
    home = tmp_path / "home"
    command = [sys.executable, "-m", "qianzhi", "demo", "--home", str(home), "--people", "20", "--faults", "0"]
    # Another worker's demo could think the same port free: the lock is kept until this one's ports are taken.
    lock = FileLock(tmp_path_factory.getbasetemp().parent / "town.lock")
    with (tmp_path / "first").open("wb") as output, lock:
        first = subprocess.Popen([*command, "--json", str(tmp_path / "first.json")], stdout=output, stderr=output)
        try:
            await_table(first, tmp_path / "first.json")
        except BaseException:
            first.kill()
            raise
    try:
        second = subprocess.run(
            [*command, "--json", str(tmp_path / "second.json")],
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
        assert second.returncode == 0, second.stdout + second.stderr
        assert "nothing new" in second.stdout
        assert "The hub runs already" in second.stdout
        assert "The gateway runs already" in second.stdout
        assert first.poll() is None
        assert (tmp_path / "second.json").read_bytes() == (tmp_path / "first.json").read_bytes()
        first.send_signal(signal.SIGTERM)
        assert first.wait(SECONDS_MAX) == 0
    finally:
        first.kill()
        first.wait()
    told = (tmp_path / "first").read_text(encoding="utf-8") + second.stdout + second.stderr
    assert re.search(r"[a-z_]+:[a-z_]+:[a-z_]+", told) is None
    tallies = json.loads((tmp_path / "first.json").read_text(encoding="utf-8"))["regulators"]["guangdong"]
    assert all(tally["staged"] == tally["accepted"] > 0 for tally in tallies.values())


def await_table(first: subprocess.Popen[bytes], written: Path) -> None:
    """Wait until a demo has written where its rows are."""
    import time

    deadline = time.monotonic() + SECONDS_MAX
    while not written.exists():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
