"""An end of the product as processes: its PostgreSQL when that is ours, and the parts that need it."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from qianzhi.errors import ConfigurationError
from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.parts import Process, Service
from qianzhi.runtime.sources import load_settings
from qianzhi.runtime.stopping import StopRequests, follow_supervisor
from qianzhi.runtime.supervisor import Ending, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qianzhi.db.embedded import Cluster
    from qianzhi.runtime.home import End, Home
    from qianzhi.runtime.parts import Part
    from qianzhi.runtime.settings import Settings

DATABASE_PART: Final = "postgresql"

log = structlog.stdlib.get_logger()


def supervise(end: End, home: Home, settings: Settings, parts: Callable[[Home, Settings], Sequence[Part]]) -> None:
    """
    Run every part of an end until asked to stop, or until whoever started us is gone.

    Where everything is asked to begin anew, settings are read again and `parts` is asked which parts they want; as long
    as they are wrong nothing is started anew, for each part reads them too.
    """
    rooms = home.existing(end)
    follow_supervisor()
    configure_logs(end.value, rooms.log, settings.log)
    wanted = parts(home, settings)
    with StopRequests() as stop:
        while (
            Supervisor(wanted, run=rooms.run, may_restart=partial(_are_right, home, parts)).supervise(stop)
            is Ending.AGAIN
        ):
            wanted = parts(home, load_settings(home))


def _are_right(home: Home, parts: Callable[[Home, Settings], Sequence[Part]]) -> bool:
    """Tell whether the settings are such that parts could start with them now."""
    try:
        return bool(parts(home, load_settings(home)))
    except ConfigurationError:
        log.exception("supervisor:settings:refused")
        return False


def parts_of(end: End, home: Home, cluster: Cluster | None, names: Sequence[str]) -> list[Part]:
    """Return the database, unless the site has its own, and the processes `qianzhi <end> <name>` that need it."""
    parts: list[Part] = []
    if cluster is not None:
        parts.append(Service(DATABASE_PART, starter=cluster.start, runs=cluster.running, stopper=cluster.stop))
    return [*parts, *(process_of(end, home, cluster, name) for name in names)]


def process_of(end: End, home: Home, cluster: Cluster | None, name: str, *words: str) -> Process:
    """Return the process `qianzhi <end> <name> [<words>]`, which needs the database."""
    command = [sys.executable, "-m", "qianzhi", end.value, name, *words, "--home", str(home.path)]
    return Process(name, command, needs=(DATABASE_PART,) if cluster is not None else ())
