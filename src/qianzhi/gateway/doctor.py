"""The doctor: looks at everything a gateway needs, and says of each thing that is not well what to do."""

from __future__ import annotations

import shutil
import socket
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from qianzhi.db import migrate
from qianzhi.db.server import Session, connect
from qianzhi.errors import QianzhiError
from qianzhi.gateway import assembly
from qianzhi.ledger import tally
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

FREE_BYTES_MIN = 5 * 2**30
CONNECT_SECONDS = 5.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Health(StrEnum):
    """How a thing is."""

    WELL = "well"
    NOTE = "note"  # works, but somebody should know
    ILL = "ill"  # must be put right


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing looked at."""

    name: str
    health: Health
    what: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the public form."""
        return {key: str(value) for key, value in asdict(self).items()}


def examine(home: Home, settings: Settings) -> Iterator[Diagnosis]:
    """Yield one diagnosis after the other; nothing is changed and no row is sent."""
    yield _disk(home)
    yield _listening(settings)
    yield _guarded("database", partial(_database, home, settings))
    yield _guarded("ledger", partial(_ledger, home, settings))
    for name in settings.gateway.destinations:
        yield _guarded(f"destination {name}", partial(_destination, home, settings, name))
        yield _guarded(f"deliveries to {name}", partial(_deliveries, home, settings, name))


def _guarded(name: str, look: Callable[[], Diagnosis]) -> Diagnosis:
    try:
        return look()
    except QianzhiError as error:
        return Diagnosis(name, Health.ILL, error.what, error.remedy)


def _disk(home: Home) -> Diagnosis:
    free = shutil.disk_usage(home.end(End.GATEWAY).root).free
    what = f"{free // 2**30} GiB are free on the disk of the data directory."
    if free >= FREE_BYTES_MIN:
        return Diagnosis("disk", Health.WELL, what)
    return Diagnosis("disk", Health.ILL, what, f"Keep at least {FREE_BYTES_MIN // 2**30} GiB free.")


def _listening(settings: Settings) -> Diagnosis:
    database = settings.gateway.database
    if database.dsn is not None:
        return Diagnosis("listener", Health.WELL, "The database is the site's own.")
    if database.listen in LOOPBACK:
        return Diagnosis("listener", Health.WELL, f"PostgreSQL listens on loopback only, port {database.port}.")
    return Diagnosis(
        "listener",
        Health.NOTE,
        "PostgreSQL listens beyond this machine, without TLS.",
        "Keep the white-list narrow, or use a packaged PostgreSQL with TLS by database.dsn.",
    )


def _database(home: Home, settings: Settings) -> Diagnosis:
    with _session(home, settings) as found:
        version = found.info.server_version // 10_000
    return Diagnosis("database", Health.WELL, f"PostgreSQL {version} answers.")


def _session(home: Home, settings: Settings) -> Session:
    return connect(assembly.owner_dsn(home, settings), application="qianzhi doctor", wait_seconds=CONNECT_SECONDS)


def _ledger(home: Home, settings: Settings) -> Diagnosis:
    waiting = migrate.pending(assembly.owner_dsn(home, settings), "qianzhi.ledger", End.GATEWAY.value)
    if not waiting:
        return Diagnosis("ledger", Health.WELL, "The ledger is up to date.")
    return Diagnosis("ledger", Health.ILL, f"{len(waiting)} upgrade steps wait.", "Run `qianzhi gateway init`.")


def _destination(home: Home, settings: Settings, name: str) -> Diagnosis:
    said = settings.gateway.destinations[name]
    if not said.enabled:
        return Diagnosis(f"destination {name}", Health.NOTE, "It is switched off.", "Set enabled when it should go on.")
    assembly.destination(home, settings, name).open_door().close()
    host, port = _address(said.url)
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        return Diagnosis(
            f"destination {name}",
            Health.ILL,
            f"It cannot be reached ({type(error).__name__}).",
            "Check its address, the VPN and the firewall; rows wait meanwhile and nothing is lost.",
        )
    return Diagnosis(f"destination {name}", Health.WELL, "It can be reached.")


def _address(url: str) -> tuple[str, int]:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 443


def _deliveries(home: Home, settings: Settings, name: str) -> Diagnosis:
    with _session(home, settings) as found:
        waiting = tally.troubles(found, name)
    if not waiting:
        return Diagnosis(f"deliveries to {name}", Health.WELL, "No batch waits for another attempt.")
    return Diagnosis(
        f"deliveries to {name}",
        Health.ILL,
        f"{len(waiting)} batches wait; the oldest because of: {waiting[0]['outcome']}",
        "Put that right; they go by themselves.",
    )
