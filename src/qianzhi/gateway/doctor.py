"""The doctor: looks at everything a gateway needs, and says of each thing that is not well what to do."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from dataclasses import asdict, dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import httpx
from cryptography import x509

from qianzhi import regulators
from qianzhi.db import migrate, roles
from qianzhi.db.server import Session, connect
from qianzhi.errors import QianzhiError
from qianzhi.gateway import assembly
from qianzhi.ledger import tally
from qianzhi.runtime import clock
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Destination, ImageFolder, Settings

FREE_BYTES_MIN = 5 * 2**30
FREE_BYTES_GOOD = 20 * 2**30  # below, somebody should know before it is too late
CONNECT_SECONDS = 5.0
CLOCK_SECONDS_MAX = 300.0  # that two clocks may be apart
EXPIRY_DAYS = 30  # before the end of a certificate somebody should know
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
    yield _guarded("port", partial(_port, home, settings))
    for name, folder in settings.gateway.images.items():
        yield _images(f"images {name}", folder)
    yield _guarded("database", partial(_database, home, settings))
    yield _guarded("ledger", partial(_ledger, home, settings))
    for role in sorted({regulators.regulator(key).sender for key in assembly.served(settings)}):
        yield _guarded(f"role {role}", partial(_role, home, settings, role))
    if not settings.gateway.destinations:
        yield Diagnosis(
            "destination", Health.ILL, "None is set up.", "Run `qianzhi gateway init --hub <https address>`."
        )
    for name, said in settings.gateway.destinations.items():
        yield from _guarded_all(f"destination {name}", _destination(home, settings, name))
        if said.ca_file is not None:
            yield _guarded(f"authority of {name}", partial(_authority, said, name))
        yield _guarded(f"deliveries to {name}", partial(_deliveries, home, settings, name))


def _guarded(name: str, look: Callable[[], Diagnosis]) -> Diagnosis:
    try:
        return look()
    except QianzhiError as error:
        return Diagnosis(name, Health.ILL, error.what, error.remedy)


def _guarded_all(name: str, looks: Iterator[Diagnosis]) -> Iterator[Diagnosis]:
    try:
        yield from looks
    except QianzhiError as error:
        yield Diagnosis(name, Health.ILL, error.what, error.remedy)


def _disk(home: Home) -> Diagnosis:
    free = shutil.disk_usage(home.end(End.GATEWAY).root).free
    what = f"{free // 2**30} GiB are free on the disk of the data directory."
    if free >= FREE_BYTES_GOOD:
        return Diagnosis("disk", Health.WELL, what)
    if free >= FREE_BYTES_MIN:
        return Diagnosis("disk", Health.NOTE, what, f"Make room before it is less than {FREE_BYTES_MIN // 2**30} GiB.")
    return Diagnosis("disk", Health.ILL, what, f"Keep at least {FREE_BYTES_MIN // 2**30} GiB free.")


def _port(home: Home, settings: Settings) -> Diagnosis:
    """Look whether something else has the port of the embedded PostgreSQL."""
    cluster, port = assembly.cluster(home, settings), settings.gateway.database.port
    if cluster is None:
        return Diagnosis("port", Health.WELL, "The database is the site's own.")
    if cluster.running():
        return Diagnosis("port", Health.WELL, f"The embedded PostgreSQL has port {port}.")
    if _is_taken(port):
        return Diagnosis(
            "port",
            Health.ILL,
            f"The embedded PostgreSQL does not run, and something else has its port {port}.",
            "Stop that, or choose another port: `qianzhi gateway init --port <port>`.",
        )
    return Diagnosis(
        "port", Health.NOTE, f"Port {port} is free: the embedded PostgreSQL does not run.", "Run `qianzhi gateway run`."
    )


def _is_taken(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK[0], port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _images(name: str, said: ImageFolder) -> Diagnosis:
    if said.folder.is_dir() and os.access(said.folder, os.R_OK | os.X_OK):
        return Diagnosis(name, Health.WELL, f"{said.folder} can be read.")
    return Diagnosis(
        name,
        Health.ILL,
        f"{said.folder} is no folder that this account can read.",
        "Mount it, give this account the right to read it, or correct it in qianzhi.toml.",
    )


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


def _role(home: Home, settings: Settings, role: str) -> Diagnosis:
    """Look whether a sender may fill the disk of the database past every limit."""
    with _session(home, settings) as found:
        functions = roles.large_objects(found, role)
    if not functions:
        return Diagnosis(f"role {role}", Health.WELL, "It may fill the staging tables and nothing else.")
    return Diagnosis(
        f"role {role}",
        Health.NOTE,
        "It may make large objects, and so fill the disk of the database.",
        "Repeat `qianzhi gateway init`; where that does not help, let a superuser run in the gateway's database: "
        f"REVOKE EXECUTE ON FUNCTION {functions} FROM PUBLIC;",
    )


def _destination(home: Home, settings: Settings, name: str) -> Iterator[Diagnosis]:
    said, title = settings.gateway.destinations[name], f"destination {name}"
    if not said.enabled:
        yield Diagnosis(title, Health.NOTE, "It is switched off.", "Set enabled when it should go on.")
        return
    assembly.destination(home, settings, name).open_door().close()
    begun_at = clock.now()
    try:
        answer = httpx.head(said.url, verify=assembly.tls_context(said, name), timeout=CONNECT_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        yield _unreached(title, error)
        return
    yield Diagnosis(title, Health.WELL, "It can be reached.")
    if (told_at := _instant(answer.headers.get("date", ""))) is not None:
        yield _clock(name, told_at, begun_at)


def _unreached(title: str, error: httpx.HTTPError) -> Diagnosis:
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in _causes(error)):
        return Diagnosis(
            title,
            Health.ILL,
            "It answers with a certificate that is not trusted here, or is of another name or time.",
            "Check the host name in url, ca_file, and this machine's clock.",
        )
    return Diagnosis(
        title,
        Health.ILL,
        f"It cannot be reached ({type(error).__name__}).",
        "Check its address, the VPN and the firewall; rows wait meanwhile and nothing is lost.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _instant(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _clock(name: str, told_at: datetime, begun_at: datetime) -> Diagnosis:
    """Compare the clock of a destination with ours, which may have gone on while it answered."""
    apart = max((begun_at - told_at).total_seconds(), (told_at - clock.now()).total_seconds(), 0.0)
    if apart <= CLOCK_SECONDS_MAX:
        return Diagnosis(f"clock of {name}", Health.WELL, "This machine's clock and that of the destination agree.")
    return Diagnosis(
        f"clock of {name}",
        Health.ILL,
        f"This machine's clock and that of the destination are {apart / 60:.0f} minutes apart.",
        "Let both follow a time server (NTP); a batch that seems to come from the future is refused.",
    )


def _authority(said: Destination, name: str) -> Diagnosis:
    """Look when the first of the certificates in ca_file ends. When a credential ends only the destination knows."""
    title = f"authority of {name}"
    try:
        held = x509.load_pem_x509_certificates(said.ca_file.read_bytes() if said.ca_file else b"")
    except (OSError, ValueError):
        return Diagnosis(title, Health.ILL, f"{said.ca_file} holds no certificate.", "Correct ca_file in qianzhi.toml.")
    ends_at = min(each.not_valid_after_utc for each in held)
    remedy = "Ask the destination's operator for the new one, and name it as ca_file."
    if ends_at <= clock.now():
        return Diagnosis(title, Health.ILL, f"It ended on {ends_at:%Y-%m-%d}.", remedy)
    if ends_at - clock.now() < timedelta(days=EXPIRY_DAYS):
        return Diagnosis(title, Health.NOTE, f"It ends on {ends_at:%Y-%m-%d}.", remedy)
    return Diagnosis(title, Health.WELL, f"It is valid until {ends_at:%Y-%m-%d}.")


def _deliveries(home: Home, settings: Settings, name: str) -> Diagnosis:
    with _session(home, settings) as found:
        waiting = tally.troubles(found, name)
    if not waiting:
        return Diagnosis(f"deliveries to {name}", Health.WELL, "No batch waits for another attempt.")
    return Diagnosis(
        f"deliveries to {name}",
        Health.ILL,
        f"{len(waiting)} batches wait; the oldest because of: {waiting[0]['outcome']}",
        "Put that right; they go by themselves, and at once with `qianzhi gateway cycle`.",
    )
