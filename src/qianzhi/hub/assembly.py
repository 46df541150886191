"""From settings to the values that the hub's parts are made of."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from qianzhi.db.embedded import Cluster
from qianzhi.db.server import connect, dsn_for
from qianzhi.errors import ConfigurationError
from qianzhi.hub.bodies import Limits
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime.certificates import own_identity, read_identity
from qianzhi.runtime.home import End
from qianzhi.runtime.server import Listener
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from qianzhi.db.server import Session
    from qianzhi.runtime.certificates import Identity
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

DATABASE: Final = "qianzhi_hub"
OWNER: Final = "qianzhi_hub"
_LOOPBACK: Final = "127.0.0.1"


def cluster(home: Home, settings: Settings) -> Cluster | None:
    """Return the embedded PostgreSQL of the hub, or None where the site has its own."""
    database = settings.hub.database
    if database.dsn is not None:
        return None
    return Cluster(home.end(End.HUB).pg, port=database.port, listen=database.listen)


def owner_dsn(home: Home, settings: Settings) -> str:
    """Return the address by which the hub uses its database. Holds a password: never to be shown."""
    database = settings.hub.database
    if database.dsn is not None:
        return database.dsn
    file = password_file(home)
    try:
        password = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no password of the role {OWNER} in {file.parent}.", remedy="Run `qianzhi hub init`."
        ) from error
    return dsn_for(host=_LOOPBACK, port=database.port, database=DATABASE, user=OWNER, password=password)


def password_file(home: Home) -> Path:
    """Return where the password of the owner's role lies."""
    return home.end(End.HUB).credentials / OWNER


def blobs(home: Home) -> Blobs:
    """Return the folder of the blobs."""
    return Blobs(home.existing(End.HUB).blobs)


def regulators(settings: Settings) -> tuple[str, ...]:
    """Return the keys of the regulators that the hub serves. ConfigurationError: none is set."""
    if not settings.hub.regulators:
        raise ConfigurationError("The hub serves no regulator.", remedy="Run `qianzhi hub init --regulator <key>`.")
    return settings.hub.regulators


def limits(settings: Settings) -> Limits:
    """Return the bounds of one process of the intake."""
    intake = settings.hub.intake
    return Limits(body_bytes_max=intake.body_bytes_max, body_seconds_max=intake.body_seconds_max)


def kinds(settings: Settings) -> frozenset[RuleKind]:
    """Return the kinds of rules that the hub judges."""
    return frozenset(RuleKind(kind) for kind in settings.hub.checks.kinds)


def identity(home: Home, settings: Settings, now: datetime) -> Identity:
    """Return the certificate that institutions see: the site's own, else one of our authority, made or renewed."""
    tls = settings.hub.tls
    if tls.certificate is not None and tls.key is not None:
        return read_identity(tls.certificate, tls.key, section="hub.tls")
    return own_identity(home.end(End.HUB).tls, tls.names, now=now)


def listener(home: Home, settings: Settings, now: datetime) -> Listener:
    """Return where the intake is served, and with which certificate."""
    shown, intake = identity(home, settings, now), settings.hub.intake
    return Listener(
        address=intake.listen,
        port=intake.port,
        workers=intake.workers,
        connections_max=intake.connections_max,
        certificate=shown.certificate,
        key=shown.key,
    )


@contextmanager
def session(home: Home, settings: Settings, *, application: str) -> Iterator[Session]:
    """Open a session, committed at the end; an embedded PostgreSQL that does not run is started and stopped again."""
    home.existing(End.HUB)
    embedded = cluster(home, settings)
    starts = embedded is not None and not embedded.running()
    if embedded is not None and starts:
        embedded.start()
    try:
        with connect(owner_dsn(home, settings), application=application) as opened:
            yield opened
    finally:
        if embedded is not None and starts:
            embedded.stop()
