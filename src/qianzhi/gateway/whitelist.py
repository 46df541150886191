"""The white-list: the networks from which hospital systems may reach the staging tables, changed while all runs."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from qianzhi.db.server import connect
from qianzhi.errors import ConfigurationError
from qianzhi.gateway import assembly
from qianzhi.ledger import audit
from qianzhi.runtime.sources import load_settings, write_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

SETTING = "gateway.whitelist"
NETWORKS_MAX = 200
CHANGED = "database:whitelist:changed"
DATABASE_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Changed:
    """The white-list after a change, and how many sessions ended because of it."""

    networks: tuple[str, ...]
    ended_count: int


def add(home: Home, network: str, *, actor: str) -> Changed:
    """
    Let a network in, from now on. Safe to repeat.

    Raises ConfigurationError for what is no network or would be everybody, and where the list is not ours to write.
    """
    wanted = normal(network)
    known = load_settings(home).gateway.whitelist
    return _change(home, known if wanted in known else (*known, wanted), actor)


def remove(home: Home, network: str, *, actor: str) -> Changed:
    """Keep a network out, from now on; its sessions end. Raises ConfigurationError for one that is not on the list."""
    wanted = normal(network)
    known = load_settings(home).gateway.whitelist
    if wanted not in known:
        raise ConfigurationError(
            f"{wanted} is not on the white-list.", remedy=f"On it are: {', '.join(known) or 'none'}."
        )
    return _change(home, tuple(each for each in known if each != wanted), actor)


def apply(home: Home, settings: Settings) -> int:
    """Bring PostgreSQL to what the settings say, without a restart; return how many sessions ended."""
    cluster = assembly.cluster(home, settings)
    if cluster is None:
        raise _not_ours(home, settings)
    return cluster.apply_access()


def normal(network: str) -> str:
    """Return a network as settings write it. Raises ConfigurationError for what is none, and for everybody."""
    try:
        found = ip_network(network.strip(), strict=False)
    except ValueError:
        found = None  # outside of the handler: the library repeats what it was given
    if found is None:
        raise ConfigurationError(
            "That is no network.", remedy="Write it as 192.0.2.0/24, or a single machine as 192.0.2.7."
        )
    if found.prefixlen == 0:
        raise ConfigurationError(
            "A white-list of everybody is none.", remedy="Name the networks of the systems that write here."
        )
    return str(found)


def rules(settings: Settings) -> list[str]:
    """Return the lines that a site's own PostgreSQL needs in its pg_hba.conf, TLS demanded."""
    return [
        f"hostssl all {role} {network} scram-sha-256"
        for network in settings.gateway.whitelist
        for role in assembly.senders(settings)
    ]


def _change(home: Home, networks: Sequence[str], actor: str) -> Changed:
    before = load_settings(home)
    if assembly.cluster(home, before) is None:
        raise _not_ours(home, before)
    if len(networks) > NETWORKS_MAX:
        raise ConfigurationError(
            f"The white-list would be longer than {NETWORKS_MAX} networks.", remedy="Name wider networks."
        )
    if networks and not assembly.senders(before):
        raise ConfigurationError(
            "There is no account yet that could sign in from there.", remedy="Run `qianzhi gateway init` first."
        )
    after = write_settings(home, {SETTING: tuple(networks)})
    ended_count = apply(home, after)
    _note(home, after, actor, before.gateway.whitelist)
    return Changed(after.gateway.whitelist, ended_count)


def _note(home: Home, settings: Settings, actor: str, before: Sequence[str]) -> None:
    """Write down who changed what; while PostgreSQL is away there is nowhere to, and nobody it lets in either."""
    cluster = assembly.cluster(home, settings)
    now = settings.gateway.whitelist
    if cluster is None or not cluster.running() or tuple(before) == now:
        return
    dsn = assembly.owner_dsn(home, settings)
    with connect(dsn, application="qianzhi white-list", wait_seconds=DATABASE_WAIT_SECONDS) as connection:
        audit.note(
            connection,
            actor=actor,
            event=CHANGED,
            subject="gateway",
            detail={"added": sorted(set(now) - set(before)), "removed": sorted(set(before) - set(now))},
        )


def _not_ours(home: Home, settings: Settings) -> ConfigurationError:
    lines = "; ".join(rules(settings)) or "hostssl all <role> <network> scram-sha-256"
    return ConfigurationError(
        f"The database of {home.path} is the site's own; so is its white-list.",
        remedy=f"Let its administrator put into pg_hba.conf, and reload: {lines}",
    )
