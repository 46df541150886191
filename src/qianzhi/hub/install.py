"""Setting a hub up, or bringing it to a new release or edition: database, ledger, tables, certificate."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import structlog

from qianzhi.db import migrate, roles
from qianzhi.db.server import connect
from qianzhi.hub import assembly, tables
from qianzhi.regulators import regulator
from qianzhi.runtime import clock
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from qianzhi.db.embedded import Cluster
    from qianzhi.runtime.certificates import Identity
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

LEDGER: Final = "qianzhi.ledger"
_PASSWORD_BYTES: Final = 24

log = structlog.stdlib.get_logger()


def install(home: Home, settings: Settings) -> Identity:
    """
    Create or bring up to date all that the hub keeps, and return the certificate that institutions will see.

    Starts the embedded PostgreSQL and leaves it running. Safe to repeat. Raises ConfigurationError where the site's
    own server does not give the rights that this takes.
    """
    home.create(End.HUB)
    embedded = assembly.cluster(home, settings)
    if embedded is not None:
        embedded.start()
        _create_database(home, embedded)
    dsn = assembly.owner_dsn(home, settings)
    migrate.upgrade(dsn, LEDGER, End.HUB.value)
    with connect(dsn, application="qianzhi install") as session:
        for key in assembly.regulators(settings):
            tables.prepare(session, regulator(key), clock.local_now().date())
            session.commit()
            log.info("hub:tables:prepared", regulator=key, edition=regulator(key).edition)
    return assembly.identity(home, settings, clock.now())


def _create_database(home: Home, cluster: Cluster) -> None:
    file = assembly.password_file(home)
    password = None if file.exists() else secrets.token_urlsafe(_PASSWORD_BYTES)
    if password is not None:
        write_durably(file, password.encode())
    with connect(cluster.dsn(), application="qianzhi install", autocommit=True) as session:
        # The password on file is set again: an installation killed between the two had only the file.
        roles.ensure_owner(session, assembly.OWNER, file.read_text(encoding="utf-8"))
        roles.ensure_database(session, assembly.DATABASE, assembly.OWNER)
