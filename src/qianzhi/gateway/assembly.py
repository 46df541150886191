"""From settings to the values that the gateway's parts are made of."""

from __future__ import annotations

import ssl
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from qianzhi import regulators
from qianzhi.codes.domain import domain
from qianzhi.codes.mapping import CodeMap, parse_code_map
from qianzhi.db.embedded import Cluster
from qianzhi.db.server import dsn_for, dsn_of_role
from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.gateway.archive import Archivist
from qianzhi.gateway.backoff import Backoff
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.evidence.asking import pledges
from qianzhi.gateway.images import PathMap
from qianzhi.gateway.official.door import FrontDoor, LedgerJournal, Machine
from qianzhi.gateway.official.folder import Folder
from qianzhi.gateway.official.tables import Place
from qianzhi.gateway.resources import pictures
from qianzhi.gateway.retention import Keeper
from qianzhi.gateway.schedule import DAY
from qianzhi.gateway.spool import Spool
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime.home import End
from qianzhi.runtime.keyfile import KeyFile
from qianzhi.runtime.settings import DestinationKind
from qianzhi.runtime.vault import Vault
from qianzhi.specs.model import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from qianzhi.regulators.protocols import Cabinet, Door
    from qianzhi.runtime import settings as settings_of
    from qianzhi.runtime.home import Home, Rooms
    from qianzhi.runtime.settings import Settings
    from qianzhi.specs.model import Regulator

DATABASE = "qianzhi_gateway"
OWNER = "qianzhi_gateway"
MAPS = "maps"
FRONT_LEAD_MINUTES = 30  # that a night's delivery into an official machine may take
PICTURES = "resources"
DOCUMENTS = "documents"


def cluster(home: Home, settings: Settings) -> Cluster | None:
    """Return the embedded PostgreSQL of the gateway, or None where the site has its own."""
    database = settings.gateway.database
    if database.dsn is not None:
        return None
    return Cluster(
        home.end(End.GATEWAY).pg,
        port=database.port,
        listen=database.listen,
        clients=settings.gateway.whitelist,
        client_roles=senders(settings),
    )


def served(settings: Settings) -> list[str]:
    """Return the keys of the regulators that the gateway's destinations belong to."""
    return sorted({destination.regulator for destination in settings.gateway.destinations.values()})


def senders(settings: Settings) -> list[str]:
    """Return the roles by which hospital systems fill the staging tables."""
    return sorted({regulators.regulator(key).sender for key in served(settings)})


def owner_dsn(home: Home, settings: Settings) -> str:
    """Return the address by which the gateway itself uses its database. Holds a password: never to be shown."""
    database = settings.gateway.database
    if database.dsn is not None:
        return database.dsn
    return _embedded_dsn(settings, OWNER, _password(home, OWNER))


def roles(settings: Settings) -> list[str]:
    """Return the roles whose passwords are on file: the senders, and the owner where the database is ours."""
    known = senders(settings)
    return known if settings.gateway.database.dsn is not None else [*known, OWNER]


def role_dsn(home: Home, settings: Settings, role: str) -> str:
    """
    Return a role's address of the gateway's database, password included.

    Raises ConfigurationError for a role that is not one of `roles`.
    """
    if role not in roles(settings):
        raise ConfigurationError(
            f"The gateway has no role {role}.", remedy=f"Name one of: {', '.join(roles(settings)) or 'none'}."
        )
    password, site = _password(home, role), settings.gateway.database.dsn
    if site is None:
        return _embedded_dsn(settings, role, password)
    return dsn_of_role(site, role, password)


def _embedded_dsn(settings: Settings, role: str, password: str) -> str:
    port = settings.gateway.database.port
    return dsn_for(host="127.0.0.1", port=port, database=DATABASE, user=role, password=password)


def _password(home: Home, role: str) -> str:
    file = password_file(home, role)
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"There is no password of the role {role} in {file.parent}.", remedy="Run `qianzhi gateway init`."
        ) from error


def password_file(home: Home, role: str) -> Path:
    """Return where the password of a role lies."""
    return home.end(End.GATEWAY).credentials / role


def workplace(home: Home, settings: Settings) -> Workplace:
    """Return what the gateway's machine lends to every cycle."""
    rooms, locked_by = home.existing(End.GATEWAY), vault(settings)
    return Workplace(
        dsn=owner_dsn(home, settings),
        spool=Spool(rooms.spool, locked_by, kept_for=timedelta(days=settings.gateway.retention.spool_days)),
        blobs=Blobs(rooms.blobs, locked_by),
        paths=path_map(home, settings),
        chunk_rows=settings.gateway.cycle.chunk_rows,
        pipeline_depth=settings.gateway.cycle.pipeline_depth,
        pledges=pledges(settings),
    )


def vault(settings: Settings) -> Vault:
    """Return what writes and reads files that hold personal data."""
    path = settings.gateway.encryption.key_file
    return Vault(KeyFile(path) if path is not None else None)


def archivist(home: Home, settings: Settings) -> Archivist:
    """Return what archives old rows."""
    return Archivist(
        owner_dsn(home, settings),
        home.existing(End.GATEWAY).archive,
        [regulators.regulator(key) for key in served(settings)],
        vault(settings).keys,
        staging_days=settings.gateway.retention.staging_days,
    )


def keeper(home: Home, settings: Settings) -> Keeper:
    """Return what removes what has been here long enough."""
    log = home.existing(End.GATEWAY).log
    return Keeper(workplace(home, settings), archivist(home, settings), log, settings.gateway.retention)


def path_map(home: Home, settings: Settings) -> PathMap:
    """Return where the images that records name lie on this machine: the hospital's folders, and the one of ours."""
    folders = {each.prefix: each.folder for each in settings.gateway.images.values()}
    return PathMap({pictures.PREFIX: pictures_folder(home), **folders}, album(home, settings))


def album(home: Home, settings: Settings) -> pictures.Album:
    """Return what keeps the pictures that people put in by form and workbook."""
    return pictures.Album(pictures_folder(home), vault(settings))


def pictures_folder(home: Home) -> Path:
    """Return where the pictures lie that people put in by form and workbook."""
    return home.end(End.GATEWAY).root / PICTURES


def papers(home: Home, settings: Settings) -> Blobs:
    """Return where documents and published files lie: apart from images, which are only kept until they are sent."""
    return Blobs(home.existing(End.GATEWAY).root / DOCUMENTS, vault(settings))


def destinations(home: Home, settings: Settings) -> list[Destination]:
    """Return every enabled destination."""
    return [
        _destination(home, settings, name, said) for name, said in settings.gateway.destinations.items() if said.enabled
    ]


def destination(home: Home, settings: Settings, name: str | None) -> Destination:
    """Return the named destination, or the only one. Raises ConfigurationError where that is not clear."""
    every = {each.name: each for each in destinations(home, settings)}
    if name is None and len(every) == 1:
        return next(iter(every.values()))
    if name is None or name not in every:
        raise ConfigurationError(
            f"The destination {name!r} is not set up." if name else "It is not clear which destination is meant.",
            remedy=f"Name one of: {', '.join(every) or 'none; set one up in qianzhi.toml'}.",
        )
    return every[name]


def _destination(home: Home, settings: Settings, name: str, said: settings_of.Destination) -> Destination:
    regulator = regulators.regulator(said.regulator)
    retry, cycle = settings.gateway.retry, settings.gateway.cycle
    is_front = said.kind is DestinationKind.FRONT_MACHINE
    schedule = Schedule(cut_off=cycle.cut_off or regulator.schedule.cut_off, cycle=cycle.at or regulator.schedule.cycle)
    return Destination(
        name=name,
        regulator=regulator,
        institution=said.institution or settings.gateway.institution,
        open_door=_front_opener(home, settings, name, said) if is_front else _opener(regulator, said, name),
        maps=_maps(home.end(End.GATEWAY), regulator),
        schedule=_front_schedule(regulator, said) if is_front else schedule,
        backoff=Backoff(retry.first_seconds, retry.max_seconds),
        withholds_errors=is_front,
    )


def _front_schedule(regulator: Regulator, said: settings_of.Destination) -> Schedule:
    """Return when rows go to an official machine: they must be there when hospitals stop pushing."""
    last = datetime.combine(date.min + DAY, regulator.schedule.cut_off)
    at = said.machine.at or (last - timedelta(minutes=FRONT_LEAD_MINUTES)).time()
    return Schedule(cut_off=at, cycle=at)


def _front_opener(home: Home, settings: Settings, name: str, said: settings_of.Destination) -> Callable[[], Door]:
    machine, regulator = front_machine(said), regulators.regulator(said.regulator)
    unknown = machine.shared - {dataset.name for dataset in regulator.datasets}
    if unknown:
        raise ConfigurationError(
            f"machine.shared of the destination {name} names what is no dataset: {', '.join(sorted(unknown))}.",
            remedy="Correct it in qianzhi.toml.",
        )
    return lambda: FrontDoor(machine, regulator, LedgerJournal(owner_dsn(home, settings), name))


def front_machine(said: settings_of.Destination) -> Machine:
    """Return the official machine that a destination's settings describe."""
    told = said.machine
    folder = None
    if told.images_folder is not None and told.images_prefix is not None:
        folder = Folder(told.images_folder, told.images_prefix)
    return Machine(told.dsn or "", Place(told.table_schema, told.table), folder, frozenset(told.shared))


def _opener(regulator: Regulator, said: settings_of.Destination, name: str) -> Callable[[], Door]:
    _credential(said, name)  # what is missing is told now, and not with the first batch
    opener: Callable[[], Door] = partial(
        regulators.adapter(regulator.key, "deliver").open_door,
        said.url,
        partial(_present_credential, said, name),
        tls_context(said, name),
    )
    return opener


def open_cabinet(said: settings_of.Destination, name: str) -> Cabinet:
    """Return the place for documents at a destination that is a hub."""
    opened: Cabinet = regulators.adapter(said.regulator, regulators.PAPERWORK).open_cabinet(
        said.url, partial(_present_credential, said, name), tls_context(said, name)
    )
    return opened


def tls_context(said: settings_of.Destination, name: str) -> ssl.SSLContext:
    """Return whom a destination's settings trust: the machine's authorities and the one named."""
    context = ssl.create_default_context()
    if said.ca_file is not None:
        try:
            context.load_verify_locations(said.ca_file)
        except OSError as error:
            raise ConfigurationError(
                f"The certificate authority of the destination {name} cannot be read: {error.strerror}.",
                remedy="Correct ca_file in qianzhi.toml.",
            ) from error
    return context


def _credential(said: settings_of.Destination, name: str) -> str:
    if said.credential_file is None:
        raise ConfigurationError(
            f"The destination {name} has no credential.",
            remedy="Put the regulator's credential into a file and name it as credential_file in qianzhi.toml.",
        )
    try:
        held = said.credential_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigurationError(
            f"The credential of the destination {name} cannot be read: {why}.",
            remedy="Correct credential_file in qianzhi.toml, or the rights of the file.",
        ) from error
    if not held:
        raise ConfigurationError(
            f"The file of the credential of the destination {name} is empty.",
            remedy="Put the regulator's credential into it.",
        )
    return held


def _present_credential(said: settings_of.Destination, name: str) -> str:
    """Return the credential as its file holds it now; what is wrong with it stops a batch and not the worker."""
    try:
        return _credential(said, name)
    except ConfigurationError as error:
        raise OperatorError(error.what, remedy=error.remedy) from error


def _maps(rooms: Rooms, regulator: Regulator) -> Mapping[tuple[str, str], CodeMap]:
    """Read the site's code maps: `maps/<regulator>/<dataset>.<FIELD>.csv`."""
    found = {}
    for file in sorted((rooms.root / MAPS / regulator.key).glob("*.csv")):
        dataset, _, name = file.stem.partition(".")
        try:
            codes = regulator.dataset(dataset).field(name).codes
        except KeyError as error:
            raise _no_such_field(file.name) from error
        if codes is None:
            raise _no_such_field(file.name)
        found[dataset, name] = parse_code_map(file.read_bytes(), domain(regulator.codes[codes]), name=file.name)
    return found


def _no_such_field(file: str) -> ConfigurationError:
    return ConfigurationError(
        f"The code map {file} belongs to no coded field.", remedy="Name it <dataset>.<FIELD>.csv after a coded field."
    )
