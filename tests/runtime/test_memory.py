from __future__ import annotations

import os
import subprocess
import sys

import pytest

THREADS = 12
# One after the other, threads that stay fill 30 MB and free them but for the last block.
GROW = f"""
import sys, threading
from qianzhi.runtime.memory import share_heaps
if sys.argv[1] == "shared":
    share_heaps()
kept, done, end = [], threading.Semaphore(0), threading.Event()
def work():
    blocks = [bytearray(60_000) for _ in range(500)]
    kept.append(blocks[-1])
    del blocks
    done.release()
    end.wait()
threads = [threading.Thread(target=work) for _ in range({THREADS})]
for thread in threads:
    thread.start()
    done.acquire()
with open("/proc/self/statm", encoding="ascii") as counts:
    print(int(counts.read().split()[1]) * {os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0} // 2**20)
end.set()
"""


def resident_mib(heaps: str) -> int:
    """Return what a process with such heaps takes after the work of all its threads."""
    # Larger blocks would go back to the system by themselves, in either case.
    said = subprocess.run(
        [sys.executable, "-c", GROW, heaps], capture_output=True, text=True, check=True, timeout=60, encoding="utf-8"
    )
    return int(said.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_threads_that_share_heaps_leave_as_much_as_one() -> None:
    """A process does not grow with the number of threads that once had work; left to itself it does."""
    assert resident_mib("shared") < resident_mib("own") / 2
