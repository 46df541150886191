"""What `qianzhi gateway run` keeps running, and the database that every command of the gateway needs."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from qianzhi.db.server import connect
from qianzhi.gateway import assembly, metrics
from qianzhi.gateway.documents.opening import dossiers
from qianzhi.gateway.health import health, serve
from qianzhi.gateway.worker import STOP_LOOK_SECONDS, Chores, Worker
from qianzhi.runtime import ends, memory
from qianzhi.runtime.home import End
from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.stopping import StopRequests, follow_supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.server import Session
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.parts import Part
    from qianzhi.runtime.settings import Settings

WORKER_PART = "worker"
HEALTH_PART = "health"
CONSOLE_PART = "console"
EVIDENCE_PART = "evidence"


def supervise(home: Home, settings: Settings) -> None:
    """Run every part of the gateway until asked to stop."""
    ends.supervise(End.GATEWAY, home, settings, parts)


def parts(home: Home, settings: Settings) -> list[Part]:
    """Return the parts in the order of their needs."""
    cluster = assembly.cluster(home, settings)
    names = [WORKER_PART, HEALTH_PART]
    if settings.gateway.console.enabled:
        names.append(CONSOLE_PART)
    found = ends.parts_of(End.GATEWAY, home, cluster, names)
    if settings.gateway.evidence.enabled:
        found.append(ends.process_of(End.GATEWAY, home, cluster, EVIDENCE_PART, "serve"))
    return found


def work(home: Home, settings: Settings) -> None:
    """Be the worker process."""
    follow_supervisor()
    configure_logs(WORKER_PART, home.existing(End.GATEWAY).log, settings.log)
    memory.calm_collector()
    with StopRequests() as stop:
        site, destinations = assembly.workplace(home, settings), assembly.destinations(home, settings)
        chores = Chores(
            settings.gateway.reminder, keeper=assembly.keeper(home, settings), dossiers=dossiers(home, settings)
        )
        Worker(site, destinations, chores).run(stop)


def watch_health(home: Home, settings: Settings) -> None:
    """Be the process that answers /healthz."""
    follow_supervisor()
    configure_logs(HEALTH_PART, home.existing(End.GATEWAY).log, settings.log)
    site, destinations = assembly.workplace(home, settings), assembly.destinations(home, settings)
    said = settings.gateway.health
    measured = metrics.Exposition(partial(metrics.gather, home, site, destinations))
    server = serve(said.listen, said.port, partial(health, home, site, destinations), measured.text)
    with StopRequests() as stop, server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        while not stop.wait(STOP_LOOK_SECONDS):
            pass
        server.shutdown()


@contextmanager
def database(home: Home, settings: Settings) -> Iterator[None]:
    """Have the embedded PostgreSQL running; leave it as it was found."""
    cluster = assembly.cluster(home, settings)
    home.existing(End.GATEWAY)
    if cluster is None or cluster.running():
        yield
        return
    cluster.start()
    try:
        yield
    finally:
        cluster.stop()


@contextmanager
def session(home: Home, settings: Settings, *, application: str) -> Iterator[Session]:
    """Open a session, committed at the end, with the embedded PostgreSQL as `database` has it."""
    with database(home, settings), connect(assembly.owner_dsn(home, settings), application=application) as opened:
        yield opened
