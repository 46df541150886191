"""The first process of a PostgreSQL server, as its file `postmaster.pid` tells and the operating system confirms."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

FILE = "postmaster.pid"
_PORT_LINE, _STATE_LINE = 3, 7
_PROGRAM = "postgres"


class State(StrEnum):
    """What a cluster is doing."""

    ABSENT = "absent"  # never initialised
    STOPPED = "stopped"
    STARTING = "starting"  # also while it recovers from a crash
    READY = "ready"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A living postmaster; the port is None until it has written it."""

    pid: int
    port: int | None
    state: State


def find(files: Path) -> Postmaster | None:
    """Find the living postmaster of a folder of files."""
    try:
        lines = (files / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].strip().isdigit() or not _serves(int(lines[0]), files):
        return None
    port = lines[_PORT_LINE].strip() if len(lines) > _PORT_LINE else ""
    word = lines[_STATE_LINE].strip() if len(lines) > _STATE_LINE else ""
    state = {"ready": State.READY, "stopping": State.STOPPING}.get(word, State.STARTING)
    return Postmaster(int(lines[0]), int(port) if port.isdigit() else None, state)


def discard_stale_file(files: Path) -> None:
    """
    Remove a `postmaster.pid` whose process is certainly no server of these files.

    PostgreSQL removes it by itself when no process has that number; it refuses to start when a stranger has it now,
    when a dead process was not yet reaped, or when the file is empty. Call it only under the lock of the cluster.
    PostgreSQL still refuses while any process of the killed server is alive: it finds the shared memory in use.
    """
    if find(files) is None:
        (files / FILE).unlink(missing_ok=True)


def _serves(pid: int, files: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith(_PROGRAM):
            return False
        command = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # somebody else's process of that name: taken for ours, so its file is never removed
        return True
    # A child shows a title instead of its command; without a command there is nothing to tell it from ours.
    return "-D" not in command or _same(command[command.index("-D") + 1 :], files)


def _same(words: list[str], files: Path) -> bool:
    """Tell whether the word that follows -D means these files, by whatever path."""
    try:
        return bool(words) and Path(words[0]).samefile(files)
    except OSError:
        return False
