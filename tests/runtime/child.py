"""
A program for the tests: `child.py MODE FILE` appends what happens to it to FILE.

`ends` exits with 3 at once; `waits` stops when it is asked to; `stubborn` does not; `begets` starts one that outlives
it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from qianzhi.runtime.stopping import StopRequests, follow_supervisor

STAY_SECONDS = 300.0


def main() -> None:
    """Do what the mode says."""
    mode, path = sys.argv[1], Path(sys.argv[2])
    note = path.open("a", encoding="utf-8", buffering=1)
    follow_supervisor()
    if mode == "ends":
        note.write("started\n")
        sys.exit(3)
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note.write("started\n")
        time.sleep(STAY_SECONDS)
    if mode == "begets":
        grandchild = subprocess.Popen([sys.executable, __file__, "stubborn", str(path)])
        note.write(f"{grandchild.pid}\n")
    with StopRequests() as stop:
        note.write("started\n")
        if stop.wait(STAY_SECONDS):
            note.write(f"stopped {path.stem}\n")


if __name__ == "__main__":
    main()
