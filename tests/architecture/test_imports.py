"""Importing a module does nothing: it opens no connection, starts no process, writes no file."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.architecture.tree import SOURCE, dotted, modules

# Run in a process of its own: an audit hook cannot be removed, and a module is imported only once.
PROGRAM = """
import importlib, json, os, sys, threading

FORBIDDEN = (
    "socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec", "os.fork",
    "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.putenv", "os.unsetenv", "shutil.", "urllib.Request",
)
seen, here = [], [""]

def watch(event, arguments):
    wrote = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if here[0] and (wrote or event.startswith(FORBIDDEN)):
        seen.append([here[0], event, str(arguments[0]) if arguments else ""])

names = json.loads(sys.argv[1])
# What others do when they are imported is theirs; only what our own modules do on top of it is looked at.
for name in names:
    importlib.import_module(name)
for name in [name for name in sys.modules if name == "qianzhi" or name.startswith("qianzhi.")]:
    del sys.modules[name]
threads = threading.active_count()
sys.addaudithook(watch)
for name in names:
    here[0] = name
    importlib.import_module(name)
here[0] = ""
if threading.active_count() > threads:
    seen.append(["", "threading", ""])
print(json.dumps(seen))
"""


def test_importing_a_module_does_nothing() -> None:
    """Every module of the package can be imported without touching network, processes, signals or files."""
    names = [name for name in map(dotted, modules()) if not name.endswith("__main__")]

    ended = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", PROGRAM, json.dumps(names)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == []
