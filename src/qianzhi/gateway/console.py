"""The gateway's console: its pages, who signs in by the database, and the process that serves both."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from qianzhi import regulators
from qianzhi.console.base import is_loopback
from qianzhi.db import roles
from qianzhi.db.server import connect, dsn_of_role, pool, translated
from qianzhi.errors import ConfigurationError, SenderError
from qianzhi.gateway import assembly
from qianzhi.runtime import clock, memory
from qianzhi.runtime.certificates import own_identity, read_identity
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.logs import configure_logs
from qianzhi.runtime.server import Listener, serve
from qianzhi.runtime.sources import load_settings
from qianzhi.runtime.stopping import follow_supervisor

if TYPE_CHECKING:
    from datetime import datetime

    from qianzhi.console.entrance import DatabaseAccount
    from qianzhi.runtime.server import Application
    from qianzhi.runtime.settings import Settings

COMPONENT: Final = "console"
STATEMENT_SECONDS_MAX: Final = 30.0
SESSION_SECONDS_MAX: Final = 5.0
SIGN_IN_SECONDS: Final = 2.0
APPLICATION: Final = "qianzhi console"

log = structlog.stdlib.get_logger()


def serve_console(home: Home, settings: Settings) -> None:
    """Be the process that the console's only worker belongs to."""
    follow_supervisor()
    configure_logs(COMPONENT, home.existing(End.GATEWAY).log, settings.log)
    serve(partial(open_console, str(home.path)), listener(home, settings, clock.now()))


def listener(home: Home, settings: Settings, now: datetime) -> Listener:
    """Return where the console is served: beyond loopback by HTTPS, as the site's certificate or our own has it."""
    said = settings.gateway.console
    certificate = key = None
    if not is_loopback(said.listen) or said.tls.certificate is not None:
        if said.tls.certificate is not None and said.tls.key is not None:
            shown = read_identity(said.tls.certificate, said.tls.key, section="gateway.console.tls")
        else:
            shown = own_identity(home.end(End.GATEWAY).tls, said.tls.names, now=now)
        certificate, key = shown.certificate, shown.key
    return Listener(said.listen, said.port, has_sockets=True, certificate=certificate, key=key)


def open_console(home: str) -> Application:
    """Open the console within its worker process."""
    # The process that the worker belongs to needs none of what these load.
    from qianzhi.console.application import build
    from qianzhi.console.base import Base
    from qianzhi.console.pages import Site
    from qianzhi.console.sessions import Limits
    from qianzhi.console.text import mark
    from qianzhi.console.visit import SESSIONS_MAX
    from qianzhi.gateway.pages import pages

    memory.share_heaps()
    place = Home(Path(home))
    settings = load_settings(place)
    configure_logs(COMPONENT, place.existing(End.GATEWAY).log, settings.log)
    said = settings.gateway.console
    sessions = pool(
        assembly.owner_dsn(place, settings),
        application=APPLICATION,
        size_max=SESSIONS_MAX,
        statement_timeout_seconds=STATEMENT_SECONDS_MAX,
        wait_seconds=SESSION_SECONDS_MAX,
    )
    return build(
        Site(mark("前置机控制台"), settings.gateway.institution, pages(place, settings)),
        sessions,
        Base(is_https=listener(place, settings, clock.now()).certificate is not None, public_url=said.public_base_url),
        limits=Limits(said.session_hours, said.idle_minutes),
        database_accounts=database_accounts(place, settings),
    )


def database_accounts(home: Home, settings: Settings) -> dict[str, DatabaseAccount]:
    """Return the roles that sign in by their passwords in the database: the senders of the regulators served."""
    from qianzhi.console.entrance import DatabaseAccount

    senders = {regulators.regulator(key).sender for key in assembly.served(settings)}
    return {
        role: DatabaseAccount(partial(_is_right, home, settings, role), partial(_change, home, settings, role))
        for role in senders
    }


def _is_right(home: Home, settings: Settings, role: str, password: str) -> bool:
    """Ask the database itself. RetryableError: it is away, or takes no further session of this role."""
    try:
        connect(_dsn(home, settings, role, password), application=APPLICATION, wait_seconds=SIGN_IN_SECONDS).close()
    except ConfigurationError:
        return False
    return True


def _change(home: Home, settings: Settings, role: str, present: str, wanted: str) -> None:
    """Let a role change its own password, and keep the file that commands read in step."""
    try:
        session = connect(_dsn(home, settings, role, present), application=APPLICATION, wait_seconds=SIGN_IN_SECONDS)
    except ConfigurationError:
        raise SenderError("The present password is not right.", remedy="Type it again.") from None
    with session, translated("The password was not changed"):
        roles.set_own_password(session, role, wanted)
    write_durably(assembly.password_file(home, role), wanted.encode())
    log.info("gateway:role:password_changed", role=role)


def _dsn(home: Home, settings: Settings, role: str, password: str) -> str:
    return dsn_of_role(assembly.owner_dsn(home, settings), role, password)
