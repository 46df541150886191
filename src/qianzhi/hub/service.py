"""What `qianzhi hub run` keeps running: PostgreSQL when it is ours, the intake, the watch."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from qianzhi.db.server import connect, pool, translated
from qianzhi.errors import QianzhiError, RetryableError
from qianzhi.hub import assembly, pieces, promises, watch
from qianzhi.regulators import regulator
from qianzhi.runtime import clock, ends, memory
from qianzhi.runtime.certificates import is_renewal_due, shown_fingerprint
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.server import host_here, serve
from qianzhi.runtime.sources import load_settings
from qianzhi.runtime.stopping import StopRequests, follow_supervisor
from qianzhi.runtime.supervisor import read_states

if TYPE_CHECKING:
    from qianzhi.hub.gate import Gate
    from qianzhi.runtime.certificates import Identity
    from qianzhi.runtime.parts import Part
    from qianzhi.runtime.server import Application
    from qianzhi.runtime.settings import Settings

INTAKE_PART: Final = "intake"
WATCH_PART: Final = "watch"
WATCH_SECONDS: Final = 60.0
STATEMENT_SECONDS_MAX: Final = 100.0
SESSION_SECONDS_MAX: Final = 8.0
"""How long a request waits for a session before it is told to come again."""

log = structlog.stdlib.get_logger()


def supervise(home: Home, settings: Settings) -> None:
    """Run every part of the hub until asked to stop."""
    assembly.blobs(home).sweep()
    ends.supervise(End.HUB, home, settings, parts)


def parts(home: Home, settings: Settings) -> list[Part]:
    """Return the parts in the order of their needs."""
    return ends.parts_of(End.HUB, home, assembly.cluster(home, settings), (INTAKE_PART, WATCH_PART))


def take_in(home: Home, settings: Settings) -> None:
    """Be the process that the intake's workers belong to."""
    follow_supervisor()
    configure_logs(INTAKE_PART, home.existing(End.HUB).log, settings.log)
    serve(partial(open_intake, str(home.path)), assembly.listener(home, settings, clock.now()))


def open_intake(home: str) -> Application:
    """Open the intake within one worker process; as long as its database is away, what says so to everybody."""
    # The process that the workers belong to needs none of what they load.
    from qianzhi.hub.porch import Porch

    memory.share_heaps()  # a worker need not be a fork of the process that the command line set up
    place = Home(Path(home))
    settings = load_settings(place)
    configure_logs(INTAKE_PART, place.existing(End.HUB).log, settings.log)
    try:
        return _opened(place, settings)
    except RetryableError:
        log.warning("intake:opening:postponed", exc_info=True)
        return Porch(partial(_opened, place, settings))


def _opened(home: Home, settings: Settings) -> Gate:
    from qianzhi.hub.desk import SESSIONS_MAX, open_desk
    from qianzhi.hub.intake import build

    dsn = assembly.owner_dsn(home, settings)
    connect(dsn, application="qianzhi intake", wait_seconds=0.0).close()  # the pool would wait, and requests with it
    with ExitStack() as stack, translated("The intake was not opened"):
        sessions = stack.enter_context(
            pool(
                dsn,
                application="qianzhi intake",
                size_max=SESSIONS_MAX,
                statement_timeout_seconds=STATEMENT_SECONDS_MAX,
                wait_seconds=SESSION_SECONDS_MAX,
            )
        )
        desk = open_desk(
            sessions,
            assembly.blobs(home),
            assembly.regulators(settings),
            limits=assembly.limits(settings),
            kinds=assembly.kinds(settings),
        )
        stack.pop_all()
    memory.calm_collector()
    return build(desk)


def keep_watch(home: Home, settings: Settings) -> None:
    """Be the process that notices what did not come."""
    follow_supervisor()
    configure_logs(WATCH_PART, home.existing(End.HUB).log, settings.log)
    with StopRequests() as stop:
        while not stop.requested:
            look(home, settings)
            stop.wait(WATCH_SECONDS)


def look(home: Home, settings: Settings) -> None:
    """Do what is due of the watch; what fails is logged and done at the next look."""
    try:
        with connect(assembly.owner_dsn(home, settings), application="qianzhi watch") as session:
            for key in assembly.regulators(settings):
                watch.tick(session, regulator(key), clock.now())
                session.commit()
            promises.tick(session, now=clock.now())
            session.commit()
        pieces.sweep(assembly.blobs(home), before=(clock.now() - timedelta(hours=pieces.PART_HOURS_MAX)).timestamp())
        wanted = assembly.identity(home, settings, clock.now())
    except QianzhiError:
        log.exception("watch:look:failed")
        return
    if is_renewal_due(wanted, now=clock.now()):
        log.warning("watch:certificate:ending", due_at=wanted.expires_at)
    _let_intake_show(wanted, home, settings)


def _let_intake_show(wanted: Identity, home: Home, settings: Settings) -> None:
    """
    Let the intake replace its workers one by one when it shows another certificate than the files hold.

    Its own was renewed, or the site put a new one into its place. Windows knows no such signal: there the hub is
    restarted by people.
    """
    intake = settings.hub.intake
    shown = shown_fingerprint(host_here(intake.listen), intake.port)
    pid = next((part.pid for part in read_states(home.end(End.HUB).run) if part.name == INTAKE_PART), None)
    if sys.platform != "win32" and shown not in {None, wanted.fingerprint} and pid is not None:
        log.info("watch:certificate:changed", pid=pid)
        os.kill(pid, signal.SIGHUP)
