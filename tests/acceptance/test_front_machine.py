"""A gateway with a hub and an official front machine behind it: two destinations at once, each with its own word."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from tests.acceptance.town import COMMAND_SECONDS_MAX, INSTITUTION, call, wait_for
from tests.conftest import FORGETFUL
from tests.faults import rows
from tests.gateway.official.machine import Official, make_tables, sign_in
from tests.hub.server import answering

from qianzhi import regulators
from qianzhi.db.embedded import Cluster
from qianzhi.runtime import clock
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import load_settings, write_settings
from qianzhi.runtime.stopping import SUPERVISOR_VARIABLE
from qianzhi.synthetic.insert import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.hub.server import Hub

REGULATOR = regulators.regulator("guangdong")
HUB, FRONT = "hub", "official"
SOON_SECONDS_MAX = 90.0


@dataclass(frozen=True, slots=True)
class Site:
    """A hospital's gateway, the hub and the official machine, whose PostgreSQL is a server of its own."""

    home: Path
    hub: Hub
    official: Official
    server: Cluster
    address: str  # of the hospital's systems
    owner: str  # the address of the gateway's own database

    def told(self, *words: str, code: int = 0) -> Any:
        """Type a reporting command and read its JSON."""
        said = call("gateway", *words, "--json", "--home", self.home)
        assert said.code == code, said.errors
        return json.loads(said.output)

    def standings(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return where the rows of contacts are, towards the hub and towards the official machine."""
        found = self.told("status")["destinations"]
        return found[HUB]["datasets"]["contacts"], found[FRONT]["datasets"]["contacts"]

    def stage(self, *offices: str, **values: str | None) -> None:
        """Insert rows as a hospital's system does."""
        with psycopg.connect(self.address) as session:
            insert(session, "contacts", rows.contacts(offices, **values))

    def count(self, state: str) -> int:
        """Ask the ledger how many rows it has in batches of a state towards the official machine, or as outcomes."""
        with psycopg.connect(self.owner) as session:
            row = session.execute(
                "SELECT (SELECT coalesce(sum(row_count), 0) FROM qianzhi.batches JOIN qianzhi.lanes USING (lane_id)"
                " JOIN qianzhi.destinations USING (destination_id) WHERE name = 'official' AND state::text = %(state)s)"
                " + (SELECT count(*) FROM qianzhi.outcomes WHERE outcome::text = %(state)s)",
                {"state": state},
            ).fetchone()
        return int(row[0]) if row else 0

    def at_the_hub(self) -> set[str]:
        """Return the offices whose record the hub has accepted."""
        with psycopg.connect(self.hub.dsn) as session:
            return {office for (office,) in session.execute("SELECT bm FROM guangdong.current_contacts")}

    def at_the_machine(self) -> list[str]:
        """Return the offices in the official table, in the order of their numbers."""
        return [office for (office,) in self.official.ask("SELECT bm FROM contacts ORDER BY id")]


@pytest.fixture(scope="module")
def site(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Everything set up by commands; the gateway runs, with contacts in real time towards both."""
    folder = tmp_path_factory.mktemp("site")
    server = Cluster(folder / "official", port=free_port(), extra=FORGETFUL)
    server.start()
    try:
        make_tables(server.dsn(), REGULATOR, "us_pos")
        official = sign_in(server.dsn(), folder, "us_pos")
        with answering(postgres, folder, free_port()) as hub:
            home = folder / "gateway"
            set_up(home, postgres, hub, official, free_port())
            address = call("gateway", "dsn", "--home", home).output.strip()
            running = run(home)
            try:
                owner = str(load_settings(Home(home)).gateway.database.dsn)
                yield Site(home, hub, official, server, address, owner)
            finally:
                running.send_signal(signal.SIGINT)
                running.wait(COMMAND_SECONDS_MAX)
    finally:
        server.stop()


def set_up(home: Path, postgres: Cluster, hub: Hub, official: Official, health_port: int) -> None:
    """Type what the how-to says."""
    name = f"gateway_{uuid4().hex}"
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        secret = session.info.password
    passfile, credential = home.with_name("passfile-of-the-gateway"), home.with_name("credential")
    passfile.write_text(f"127.0.0.1:{postgres.port}:*:postgres:{secret}\n", encoding="utf-8")
    passfile.chmod(0o600)
    credential.write_text(hub.issue(INSTITUTION), encoding="utf-8")
    dsn = f"host=127.0.0.1 port={postgres.port} dbname={name} user=postgres passfile={passfile}"
    authority = hub.home.path / "hub" / "tls" / "ca.pem"
    url, trust = ("--hub", f"https://127.0.0.1:{hub.port}"), ("--credential-file", credential, "--ca-file", authority)
    images = ("--images-folder", official.images, "--images-prefix", "D:\\agreed")
    for words in (
        ("--dsn", dsn, "--institution", INSTITUTION, *url, *trust),
        ("--destination", FRONT, "--machine-dsn", official.dsn, *images),
    ):
        said = call("gateway", "init", *words, "--home", home)
        assert said.code == 0, said.errors
    at = "gateway.destinations"
    changes: dict[str, object] = {f"{at}.{each}.realtime": ("contacts",) for each in (HUB, FRONT)}
    impatient = {"gateway.retry.first_seconds": 0.2, "gateway.retry.max_seconds": 0.5}
    write_settings(Home(home), {**changes, **impatient, "gateway.health.port": health_port})
    assert call("gateway", "init", "--home", home).code == 0


def run(home: Path) -> subprocess.Popen[bytes]:
    """Start `gateway run`; it follows this process, should that die."""
    surroundings = {**os.environ, SUPERVISOR_VARIABLE: str(os.getpid())}
    command = [sys.executable, "-m", "qianzhi", "gateway", "run", "--home", str(home)]
    with (home / "run.out").open("wb") as output:
        return subprocess.Popen(command, env=surroundings, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def test_both_destinations_get_a_row_and_only_one_has_spoken(site: Site) -> None:
    """The hub accepts at once; the official machine has the row, and nothing more is said of it."""
    site.stage("first")
    wait_for("the row at the hub", lambda: site.at_the_hub() == {"first"}, SOON_SECONDS_MAX)
    wait_for("the row at the machine", lambda: site.at_the_machine() == ["first"], SOON_SECONDS_MAX)
    wait_for("both on record", lambda: site.count("delivered") == 1, SOON_SECONDS_MAX)
    hub, front = site.standings()
    assert (hub["accepted"], hub["delivered"]) == (1, 0)
    assert (front["submitted"], front["accepted"], front["rejected"], front["delivered"]) == (1, 0, 0, 1)


def test_one_destination_that_is_away_does_not_keep_the_other_waiting(site: Site) -> None:
    """What the hub gets meanwhile goes to the official machine when that is back, each row once."""
    site.server.stop()
    site.stage("second", "third")
    wait_for("the rows at the hub", lambda: site.at_the_hub() == {"first", "second", "third"}, SOON_SECONDS_MAX)
    assert site.count("delivered") == 1
    site.server.start()
    wait_for("the rows at the machine", lambda: len(site.at_the_machine()) == 3, SOON_SECONDS_MAX)
    wait_for("all on record", lambda: site.count("delivered") == 3, SOON_SECONDS_MAX)
    assert sorted(site.at_the_machine()) == ["first", "second", "third"]


def test_the_consoles_word_settles_the_machines_rows_and_no_others(site: Site) -> None:
    """Accepted and failed are said of the official machine's rows when an export says so; the hub's keep their own."""
    site.stage("wrong", TBRQSJ="2026-02-30 10:00:00")
    wait_for("the row on record", lambda: site.count("withheld") == 1, SOON_SECONDS_MAX)
    assert "wrong" not in site.at_the_machine()
    at = f"{clock.local_now() + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}"
    lines = ["数据集,BM,处理时间,处理结果,错误字段,未成功原因", f"contacts,first,{at},成功,,"]
    lines += [f"contacts,second,{at},未成功,LXDH,格式错误"]
    file = site.home / "export.csv"
    file.write_text("\r\n".join(lines), encoding="gbk")
    done = site.told("results", "import", str(file), "--destination", FRONT)
    assert (done["accepted"], done["failed"], done["unmatched"]) == (1, 1, 0)
    hub, front = site.standings()
    assert (front["accepted"], front["rejected"], front["delivered"]) == (1, 2, 1)
    assert (hub["accepted"], hub["rejected"]) == (3, 1)
    found = site.told("findings", "--destination", FRONT, "--open")
    assert {(each["code"], each["field"]) for each in found} == {("V02", "TBRQSJ"), ("R01", "LXDH")}


def test_the_doctor_finds_both_well(site: Site) -> None:
    """Server, tables, rights and folder of the one; address, certificate and clock of the other."""
    found = {
        each["name"]: each["health"]
        for each in json.loads(call("gateway", "doctor", "--json", "--home", site.home).output)
    }
    wanted = (f"destination {HUB}", f"destination {FRONT}", f"tables of {FRONT}", f"image folder of {FRONT}")
    assert [found[each] for each in wanted] == ["well"] * len(wanted)
    assert load_settings(Home(site.home)).gateway.destinations[FRONT].url is None
