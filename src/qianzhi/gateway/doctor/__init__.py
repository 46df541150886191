"""The doctor: looks at everything a gateway needs, and says of each thing that is not well what to do."""

from __future__ import annotations

import platform
import shutil
from functools import partial
from typing import TYPE_CHECKING, Final

import qianzhi
from qianzhi import regulators
from qianzhi.db import migrate, roles
from qianzhi.db.server import Session, connect
from qianzhi.errors import ConfigurationError
from qianzhi.gateway import assembly, load
from qianzhi.gateway.diagnosis import Diagnosis, Health, guarded, ill, note, well
from qianzhi.gateway.doctor import (
    access,
    destinations,
    evidence,
    expiry,
    folders,
    hardware,
    link,
    ports,
    storage,
    versions,
)
from qianzhi.gateway.documents.checklist import summary
from qianzhi.gateway.documents.opening import dossier, wants_documents
from qianzhi.gateway.official import examination
from qianzhi.ledger import promises, tally
from qianzhi.regulators.machine import machine_of
from qianzhi.runtime import clock
from qianzhi.runtime.home import End
from qianzhi.runtime.settings import DestinationKind
from qianzhi.runtime.supervisor import read_states
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.regulators.machine import Machine
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

__all__ = ["Diagnosis", "Health", "examine"]

CONNECT_SECONDS = 5.0
DISK_DAYS: Final = 30
_DATABASE: Final = Text("内置数据库", "the embedded PostgreSQL")
_CONSOLE: Final = Text("控制台", "the console")
_HEALTH: Final = Text("健康检查", "what answers /healthz")
_RENEW: Final = Text(
    "申请新证书，替换 [gateway.console.tls] 指定的文件，然后重启控制台。",
    "Have a new one issued, replace the files that [gateway.console.tls] names, and restart the console.",
)
_ROUND_TRIPS: Final = 4  # of a first question: TCP, TLS, the question itself


def examine(home: Home, settings: Settings) -> Iterator[Diagnosis]:
    """Yield one diagnosis after the other; nothing is changed and no row is sent."""
    rooms = home.end(End.GATEWAY)
    asked = _asked(settings)
    yield versions.product(qianzhi.__version__, platform.python_version())
    yield from hardware.diagnose(hardware.look(), asked)
    yield hardware.free(shutil.disk_usage(rooms.root).free)
    yield from guarded("ports", partial(_ports, home, settings, asked))
    for name, folder in settings.gateway.images.items():
        yield folders.images(name, folder)
    yield storage.archive(rooms.archive)
    yield storage.key_file(assembly.vault(settings).keys)
    untouchable = asked.untouchable if asked is not None else ()
    yield folders.scanners(folders.look(), folders.to_exclude(rooms.root, untouchable))
    yield from guarded("access", partial(_access, home, settings))
    if (shown := settings.gateway.console.tls.certificate) is not None:
        yield expiry.held("certificate of the console", shown, _RENEW, now=clock.now())
    yield from guarded("evidence", partial(evidence.examine, home, settings, now=clock.now()))
    yield from guarded("database", partial(_database, home, settings, asked))
    if not settings.gateway.destinations:
        remedy = "qianzhi gateway init --hub <https address>"
        yield ill("destination", Text("没有设置。", "None is set up."), Text(f"运行 `{remedy}`。", f"Run `{remedy}`."))
    for name, said in settings.gateway.destinations.items():
        yield from guarded(f"destination {name}", partial(_destination, home, settings, name))
        yield from guarded(f"deliveries to {name}", partial(_deliveries, home, settings, name))
        if said.enabled and said.kind is DestinationKind.FRONT_MACHINE:
            yield from guarded(f"rows at {name}", partial(_rows_there, home, settings, name))
        if said.enabled and wants_documents(said):
            yield from guarded(f"documents for {name}", partial(_documents, home, settings, name))


def _asked(settings: Settings) -> Machine | None:
    """Return what the authorities ask for; of several, the one that asks for most memory."""
    found = [machine for key in assembly.served(settings) if (machine := machine_of(key)) is not None]
    return max(found, key=lambda machine: machine.memory_bytes, default=None)


def _session(home: Home, settings: Settings) -> Session:
    return connect(assembly.owner_dsn(home, settings), application="qianzhi doctor", wait_seconds=CONNECT_SECONDS)


def _ports(home: Home, settings: Settings, asked: Machine | None) -> Iterator[Diagnosis]:
    said, wanted = settings.gateway, []
    states = read_states(home.end(End.GATEWAY).run)
    pids = {state.pid for state in states if state.pid is not None}
    if (cluster := assembly.cluster(home, settings)) is not None:
        if (postmaster := cluster.pid()) is not None:
            pids.add(postmaster)
        wanted.append(_own(said.database.port, _DATABASE, "gateway.database.port", is_up=postmaster is not None))
    wanted.append(_own(said.health.port, _HEALTH, "gateway.health.port", is_up=bool(states)))
    if said.console.enabled:
        wanted.append(_own(said.console.port, _CONSOLE, "gateway.console.port", is_up=bool(states)))
    known = {each.port for each in wanted}
    beside = asked.ports if asked is not None else {}
    wanted += [ports.Wanted(port, is_ours=False, by=by) for port, by in beside.items() if port not in known]
    return ports.diagnose(ports.look([each.port for each in wanted], ports.family(pids)), wanted)


def _own(port: int, by: Text, setting: str, *, is_up: bool) -> ports.Wanted:
    return ports.Wanted(port, is_ours=True, by=by, setting=setting, is_up=is_up)


def _access(home: Home, settings: Settings) -> Iterator[Diagnosis]:
    cluster, said = assembly.cluster(home, settings), settings.gateway
    facts = access.Access(
        is_ours=cluster is not None,
        listen=said.database.listen,
        port=said.database.port,
        whitelist=said.whitelist,
        is_as_said=cluster.is_access_as_said() if cluster is not None else None,
    )
    return access.diagnose(facts)


def _database(home: Home, settings: Settings, asked: Machine | None) -> Iterator[Diagnosis]:
    now, days = clock.now(), asked.disk_days if asked is not None else DISK_DAYS
    with _session(home, settings) as found:
        yield versions.postgresql(found.info.server_version)
        waiting = migrate.pending(assembly.owner_dsn(home, settings), "qianzhi.ledger", End.GATEWAY.value)
        yield _ledger(len(waiting))
        if waiting:
            return
        is_here = settings.gateway.database.dsn is None
        schemas = ["qianzhi", *assembly.served(settings)] if is_here else []
        yield hardware.month(hardware.growth(found, home.end(End.GATEWAY), schemas, now=now), days)
        for key in assembly.served(settings):
            role = regulators.regulator(key).sender
            yield _role(found, role, key)
            # The file is written whenever the password is set, by `init` and by the console.
            yield expiry.password(role, expiry.file_set_at(assembly.password_file(home, role)), now=now)


def _role(session: Session, role: str, schema: str) -> Diagnosis:
    try:
        roles.ensure_login_only(session, role)
    except ConfigurationError as error:
        return access.role(role, "", powers=error.what)
    return access.role(role, roles.large_objects(session, role), roles.deviations(session, role, schema))


def _ledger(waiting_count: int) -> Diagnosis:
    if not waiting_count:
        return well("ledger", "台账是最新的。", "The ledger is up to date.")
    what = Text(f"有 {waiting_count} 个升级步骤待执行。", f"{waiting_count} upgrade steps wait.")
    return ill("ledger", what, Text("运行 `qianzhi gateway init`。", "Run `qianzhi gateway init`."))


def _destination(home: Home, settings: Settings, name: str) -> Iterator[Diagnosis]:
    said, title = settings.gateway.destinations[name], f"destination {name}"
    if said.ca_file is not None:
        yield expiry.authority(name, said.ca_file, now=clock.now())
    if not said.enabled:
        remedy = Text("需要继续上传时设置 enabled。", "Set enabled when it should go on.")
        yield note(title, Text("已停用。", "It is switched off."), remedy)
        return
    chosen = assembly.destination(home, settings, name)
    if said.kind is DestinationKind.FRONT_MACHINE:
        submitted = [each for each in chosen.regulator.datasets if said.submit == "all" or each.name in said.submit]
        yield from examination.examine(name, assembly.front_machine(said), submitted, wait_seconds=CONNECT_SECONDS)
        return
    chosen.open_door().close()
    context, url = assembly.tls_context(said, name), said.url or ""
    found = destinations.ask(url, context, timeout_seconds=CONNECT_SECONDS)
    yield destinations.reached(title, found)
    if not isinstance(found, destinations.Reached):
        return
    yield from destinations.timing(name, found)
    if (ends_at := expiry.shown_end(url, context, timeout_seconds=CONNECT_SECONDS)) is not None:
        remedy = Text("请对方运维更换证书。", "Let its operator renew it.")
        yield expiry.certificate(f"certificate of {name}", ends_at, remedy, now=clock.now())
    known = regulators.regulator(said.regulator)
    ours = versions.Edition(known.edition, known.digest)
    yield versions.edition(name, ours, found.edition(said.regulator))
    yield from guarded(f"uplink to {name}", partial(_uplink, home, settings, name, found.seconds))


def _uplink(home: Home, settings: Settings, name: str, seconds: float) -> Diagnosis:
    destination = assembly.destination(home, settings, name)
    machine = machine_of(destination.regulator.key)
    with _session(home, settings) as found:
        told = load.forecast(
            found,
            assembly.workplace(home, settings),
            destination,
            settings.gateway.link,
            now=clock.now(),
            round_trip_seconds=seconds / _ROUND_TRIPS,
        )
    return link.diagnose(name, told, machine.uplink_bits_per_second if machine is not None else None)


def _deliveries(home: Home, settings: Settings, name: str) -> Iterator[Diagnosis]:
    with _session(home, settings) as found:
        yield destinations.deliveries(name, tally.troubles(found, name))
        left = promises.left(found, name)
        if left.image_count:
            yield destinations.images(name, left, promises.oldest_trouble(found, name))


def _rows_there(home: Home, settings: Settings, name: str) -> Iterator[Diagnosis]:
    said = settings.gateway.destinations[name]
    dsn, machine = assembly.owner_dsn(home, settings), assembly.front_machine(said)
    regulator = regulators.regulator(said.regulator)
    yield examination.rows_there(name, machine, dsn, regulator, wait_seconds=CONNECT_SECONDS)


def _documents(home: Home, settings: Settings, name: str) -> Diagnosis:
    found = summary(dossier(home, settings, name).lines(clock.local_now().date()))
    return Diagnosis(f"documents for {name}", found.health, found.what, found.remedy)
