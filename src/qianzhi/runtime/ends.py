"""An end of the product as processes: its PostgreSQL when that is ours, and the parts that need it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.parts import Process, Service
from qianzhi.runtime.stopping import StopRequests, follow_supervisor
from qianzhi.runtime.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.db.embedded import Cluster
    from qianzhi.runtime.home import End, Home
    from qianzhi.runtime.parts import Part
    from qianzhi.runtime.settings import Settings

DATABASE_PART: Final = "postgresql"


def supervise(end: End, home: Home, settings: Settings, parts: Sequence[Part]) -> None:
    """Run every part of an end until asked to stop, or until whoever started us is gone."""
    rooms = home.existing(end)
    follow_supervisor()
    configure_logs(end.value, rooms.log, settings.log)
    with StopRequests() as stop:
        Supervisor(parts, run=rooms.run).supervise(stop)


def parts_of(end: End, home: Home, cluster: Cluster | None, names: Sequence[str]) -> list[Part]:
    """Return the database, unless the site has its own, and the processes `qianzhi <end> <name>` that need it."""
    parts: list[Part] = []
    if cluster is not None:
        parts.append(Service(DATABASE_PART, starter=cluster.start, runs=cluster.running, stopper=cluster.stop))
    needs = (DATABASE_PART,) if cluster is not None else ()
    for name in names:
        command = [sys.executable, "-m", "qianzhi", end.value, name, "--home", str(home.path)]
        parts.append(Process(name, command, needs=needs))
    return parts
