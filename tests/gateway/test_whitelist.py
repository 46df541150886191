"""Who may reach the staging tables over the network, changed while the gateway's own PostgreSQL runs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.cli.conftest import ask, call
from tests.conftest import FORGETFUL

from qianzhi.db.embedded import Cluster
from qianzhi.db.server import connect
from qianzhi.errors import ConfigurationError
from qianzhi.gateway import assembly, whitelist
from qianzhi.gateway.install import install
from qianzhi.ledger import audit
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import load_settings, write_settings

ELSEWHERE = "203.0.113.0/24"
NETWORKS = ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/64"]


def own_address() -> str | None:
    """An address of this machine other than loopback, by which its PostgreSQL can be reached as from a network."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family is socket.AF_INET and not each.address.startswith("127."):
                return str(each.address)
    return None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Home]:
    """A gateway with its own PostgreSQL, which runs and listens on the network."""
    place = Home(tmp_path_factory.mktemp("whitelist") / "home")
    place.create(End.GATEWAY)
    at = "gateway.destinations.hub"
    settings = write_settings(
        place,
        {
            f"{at}.regulator": "guangdong",
            f"{at}.url": "https://127.0.0.1:9",
            "gateway.database.port": free_port(),
            "gateway.database.listen": own_address() or "127.0.0.1",
        },
    )
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("qianzhi.db.configuration.SETTINGS", {**_settings(), **FORGETFUL})
    install(place, settings)
    yield place
    cluster = assembly.cluster(place, load_settings(place))
    assert cluster is not None
    cluster.stop()
    monkeypatch.undo()


def _settings() -> dict[str, str]:
    from qianzhi.db import configuration

    return dict(configuration.SETTINGS)


@pytest.fixture(autouse=True)
def _empty(site: Home) -> None:
    """Every test begins with nobody let in."""
    write_settings(site, {whitelist.SETTING: ()})
    whitelist.apply(site, load_settings(site))


def cluster_of(home: Home) -> Cluster:
    """The gateway's own PostgreSQL."""
    found = assembly.cluster(home, load_settings(home))
    assert found is not None
    return found


def test_a_network_is_let_in_and_kept_out_without_a_restart(site: Home) -> None:
    """A vendor's session from there ends when it is kept out, that of somebody on this machine does not."""
    address, cluster = own_address(), cluster_of(site)
    if address is None:
        pytest.skip("this machine has no address but loopback")
    begun = (cluster.files / "postmaster.pid").read_text(encoding="utf-8")
    local = assembly.role_dsn(site, load_settings(site), "us_pos")
    remote = make_conninfo(local, host=address)
    with pytest.raises(psycopg.OperationalError, match="pg_hba"):
        psycopg.connect(remote)

    added = whitelist.add(site, f"{address}/24", actor="test")
    with psycopg.connect(remote) as far, psycopg.connect(local) as near:
        assert whitelist.add(site, f"{address}/24", actor="test") == added
        assert far.execute("SELECT 1").fetchone() == (1,)
        removed = whitelist.remove(site, f"{address}/24", actor="test")
        assert (removed.networks, removed.ended_count) == ((), 1)
        assert near.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            far.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="pg_hba"):
        psycopg.connect(remote)
    assert (cluster.files / "postmaster.pid").read_text(encoding="utf-8") == begun


def test_settings_and_file_say_the_same(site: Home) -> None:
    """Each network in the one form, kept with the others, each once; only the hospital's account is let in."""
    for network in ("192.0.2.77/24", "198.51.100.7", "2001:db8::5/64", "192.0.2.0/24"):
        whitelist.add(site, network, actor="test")
    assert list(load_settings(site).gateway.whitelist) == NETWORKS
    lines = (cluster_of(site).files / "pg_hba.conf").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if "us_pos" in line] == [
        f'host all "us_pos" {network} scram-sha-256' for network in NETWORKS
    ]
    assert cluster_of(site).is_access_as_said()


@pytest.mark.parametrize(
    "network",
    ["", "nonsense", "192.0.2.0/33", "0.0.0.0/0", "::/0", "192.0.2.1 trust\nhost all all 203.0.113.0/24", "a'; --"],
)
def test_what_is_no_network_is_refused_and_nothing_changes(site: Home, network: str) -> None:
    """Nor is everybody a network; no text gets into pg_hba.conf, nor into the refusal."""
    file = cluster_of(site).files / "pg_hba.conf"
    before = file.read_bytes(), site.settings.read_bytes()
    with pytest.raises(ConfigurationError) as refused:
        whitelist.add(site, network, actor="test")
    assert (file.read_bytes(), site.settings.read_bytes()) == before
    assert network == "" or network not in str(refused.value)


def test_the_list_has_an_end(site: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that nobody can read any more guards nothing."""
    monkeypatch.setattr(whitelist, "NETWORKS_MAX", 1)
    whitelist.add(site, NETWORKS[0], actor="test")
    with pytest.raises(ConfigurationError, match="longer than 1"):
        whitelist.add(site, ELSEWHERE, actor="test")


def test_what_is_not_on_the_list_cannot_be_taken_off(site: Home) -> None:
    """A slip of the pen is told, with what is on it."""
    whitelist.add(site, NETWORKS[0], actor="test")
    with pytest.raises(ConfigurationError) as refused:
        whitelist.remove(site, ELSEWHERE, actor="test")
    assert NETWORKS[0] in refused.value.remedy


def test_who_changed_it_is_on_record(site: Home) -> None:
    """Repeating a change is none."""
    for _ in range(2):
        whitelist.add(site, ELSEWHERE, actor="somebody")
    whitelist.remove(site, ELSEWHERE, actor="somebody else")
    with connect(assembly.owner_dsn(site, load_settings(site)), application="test") as session:
        newest, before, *_ = audit.latest(session, whitelist.CHANGED)
    assert (newest.actor, newest.detail) == ("somebody else", {"added": [], "removed": [ELSEWHERE]})
    assert (before.actor, before.detail) == ("somebody", {"added": [ELSEWHERE], "removed": []})


def test_an_environment_variable_that_goes_over_it_is_told(site: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the change would seem made; the file stays as it was."""
    before = site.settings.read_bytes()
    monkeypatch.setenv("QIANZHI_GATEWAY__WHITELIST", "198.51.100.0/24")
    with pytest.raises(ConfigurationError, match="QIANZHI_GATEWAY__WHITELIST"):
        whitelist.add(site, ELSEWHERE, actor="test")
    assert site.settings.read_bytes() == before


def test_the_list_of_a_sites_own_database_is_its_administrators(tmp_path: Path) -> None:
    """What to write there is told."""
    home = Home(tmp_path)
    at = "gateway.destinations.hub"
    write_settings(
        home,
        {
            "gateway.database.dsn": "host=db.example",
            "gateway.whitelist": ("192.0.2.0/24",),
            f"{at}.regulator": "guangdong",
            f"{at}.url": "https://127.0.0.1:9",
        },
    )
    with pytest.raises(ConfigurationError) as refused:
        whitelist.add(home, ELSEWHERE, actor="test")
    assert "hostssl all us_pos 192.0.2.0/24 scram-sha-256" in refused.value.remedy


def test_it_is_typed_as_commands(site: Home) -> None:
    """`list`, `add` and `remove`, for people and for programs; a mistake changes nothing and says what to do."""
    assert call(site.path, "gateway", "whitelist", "add", "192.0.2.9/24").output == "Let in are: 192.0.2.0/24.\n"
    assert ask(site.path, "gateway", "whitelist", "list") == ["192.0.2.0/24"]
    assert call(site.path, "gateway", "whitelist", "list").output == "192.0.2.0/24\n"
    assert call(site.path, "gateway", "whitelist", "add", "0.0.0.0/0").exit_code == 1
    assert ask(site.path, "gateway", "whitelist", "remove", "192.0.2.0/24") == {"networks": [], "sessions_ended": 0}
