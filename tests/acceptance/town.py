"""A gateway and a hub as somebody runs them who knows commands, psql and HTTPS, and nothing of the code."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

import psutil
import psycopg
from psycopg import sql
from tests.faults.invariant import Books

from qianzhi import regulators
from qianzhi.db import binaries
from qianzhi.gateway import assembly
from qianzhi.hub import assembly as hub_assembly
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import load_settings
from qianzhi.runtime.stopping import SUPERVISOR_VARIABLE
from qianzhi.runtime.supervisor import read_states

if TYPE_CHECKING:
    from pathlib import Path

REGULATOR = "guangdong"
ACCEPTED = "accepted"
INSTITUTION = "440000000000000001"
COMMAND_SECONDS_MAX = 120.0
READY_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.output)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a cycle and the findings after it tell, and what became of each row: held, rejected, or accepted."""

    tallies: dict[str, dict[str, int]]
    findings: list[dict[str, Any]]
    places: dict[tuple[str, int], str]


@dataclass(slots=True)
class Town:
    """A home with both ends."""

    home: Path
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _address: str = ""

    @property
    def rooms(self) -> Home:
        """The home, to read from what commands do not tell."""
        return Home(self.home)

    @property
    def books(self) -> Books:
        """Where both ends keep what they know."""
        settings = load_settings(self.rooms)
        return Books(
            gateway_dsn=assembly.owner_dsn(self.rooms, settings),
            hub_dsn=hub_assembly.owner_dsn(self.rooms, settings),
            institution=INSTITUTION,
            regulator=REGULATOR,
            datasets=tuple(dataset.name for dataset in regulators.regulator(REGULATOR).datasets),
            spool=self.rooms.end(End.GATEWAY).spool,
            hub_blobs=self.rooms.end(End.HUB).blobs,
        )

    @property
    def hub_url(self) -> str:
        """Where the hub listens."""
        return f"https://127.0.0.1:{load_settings(self.rooms).hub.intake.port}"

    @property
    def authority(self) -> Path:
        """The certificate authority of the hub."""
        return self.rooms.end(End.HUB).tls / "ca.pem"

    @property
    def credential_file(self) -> Path:
        """Where the gateway's credential lies."""
        return self.rooms.end(End.GATEWAY).credentials / "hub"

    def call(self, *arguments: str | Path) -> Said:
        """Run a command of this home."""
        return call(*arguments, "--home", self.home)

    def run(self, end: End) -> None:
        """Start `gateway run` or `hub run`, and wait until its parts are up."""
        command = [sys.executable, "-m", "qianzhi", end.value, "run", "--home", str(self.home)]
        # Should this process die, they follow it.
        surroundings = {**os.environ, SUPERVISOR_VARIABLE: str(os.getpid())}
        with (self.home / f"{end.value}.out").open("ab") as output:
            self._running[end.value] = subprocess.Popen(
                command, env=surroundings, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.wait_until_up(end)

    def wait_until_up(self, end: End) -> None:
        """Wait until every part of an end is up, and what it serves answers."""
        until = clock.monotonic() + READY_SECONDS_MAX
        while clock.monotonic() < until:
            states = read_states(self.rooms.end(end).run)
            if states and all(part.phase.value == "up" for part in states) and self.is_healthy(end):
                return
            time.sleep(LOOK_SECONDS)
        raise AssertionError((self.home / f"{end.value}.out").read_text(encoding="utf-8"))

    def is_healthy(self, end: End) -> bool:
        """Ask /healthz."""
        import ssl

        import httpx

        settings = load_settings(self.rooms)
        gateway = f"http://127.0.0.1:{settings.gateway.health.port}"
        url = gateway if end is End.GATEWAY else self.hub_url
        trust = ssl.create_default_context(cafile=self.authority)
        try:
            return httpx.get(f"{url}/healthz", verify=trust, trust_env=False, timeout=5).is_success
        except httpx.HTTPError:
            return False

    def part(self, end: End, name: str) -> psutil.Process:
        """Return the process of a part, or the first one of PostgreSQL."""
        if name == "postgresql":
            file = self.rooms.end(end).pg / "data" / "postmaster.pid"
            return psutil.Process(int(file.read_text(encoding="utf-8").split()[0]))
        (pid,) = [part.pid for part in read_states(self.rooms.end(end).run) if part.name == name]
        return psutil.Process(pid)

    def kill(self, end: End) -> list[psutil.Process]:
        """Kill `gateway run` or `hub run`; return what it had started."""
        running = self._running.pop(end.value)
        children = psutil.Process(running.pid).children(recursive=True)
        running.kill()
        running.wait()
        return children

    def stop(self, end: End) -> int:
        """Ask `gateway run` or `hub run` to end, as Ctrl-C does; return its exit code."""
        running = self._running.pop(end.value)
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        return running.wait(COMMAND_SECONDS_MAX)

    def tear_down(self) -> None:
        """End every process, also where a test has broken something off."""
        for end in (End.GATEWAY, End.HUB):
            if end.value in self._running:
                self.stop(end)
        settings = load_settings(self.rooms)
        for cluster in (assembly.cluster(self.rooms, settings), hub_assembly.cluster(self.rooms, settings)):
            if cluster is not None:
                cluster.stop()

    @property
    def address(self) -> str:
        """What `gateway dsn` tells the hospital's systems; asked once."""
        if not self._address:
            said = self.call("gateway", "dsn", "--role", "us_pos")
            assert said.code == 0, said.errors
            self._address = said.output.strip()
        return self._address

    def psql(self, statement: str) -> Said:
        """Let a hospital's system run a statement through psql, with the address that `gateway dsn` tells."""
        program = shutil.which("psql") or str(binaries.program(binaries.folder(18), "psql"))
        options = ("--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        done = subprocess.run(
            [program, *options, "--dbname", self.address, "--command", statement],
            check=False,
            capture_output=True,
            timeout=COMMAND_SECONDS_MAX,
            encoding="utf-8",
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def insert(self, dataset: str, values: dict[str, str | None]) -> int:
        """Insert a row through psql; return its id."""
        shown = ", ".join(
            "NULL" if value is None else "'" + value.replace("'", "''") + "'" for value in values.values()
        )
        said = self.psql(f"INSERT INTO {dataset} ({', '.join(values)}) VALUES ({shown}) RETURNING id")
        assert said.code == 0, said.errors
        return int(said.output)

    def cycle(self) -> dict[str, dict[str, int]]:
        """Run a cycle; return its tallies."""
        said = self.call("gateway", "cycle", "--json")
        assert said.code == 0, said.errors
        tallies: dict[str, dict[str, int]] = said.json["regulators"][REGULATOR]
        return tallies

    def seen(self) -> Seen:
        """Run a cycle, and look at everything."""
        tallies = self.cycle()
        said = self.call("gateway", "findings", "--json")
        assert said.code == 0, said.errors
        return Seen(tallies, said.json, self._places())

    def _places(self) -> dict[tuple[str, int], str]:
        places: dict[tuple[str, int], str] = {}
        for dataset in self.books.datasets:
            table = sql.SQL("SELECT id FROM {}").format(sql.Identifier(REGULATOR, dataset))
            places |= {(dataset, row_id): ACCEPTED for (row_id,) in _asked(self.books.gateway_dsn, table, ())}
        ended = self.ask_gateway(
            "SELECT dataset, row_id, outcome::text FROM qianzhi.outcomes JOIN qianzhi.lanes USING (lane_id)"
            " WHERE outcome = 'rejected'"
            " UNION ALL SELECT dataset, row_id, 'held' FROM qianzhi.held JOIN qianzhi.lanes USING (lane_id)"
        )
        return places | {(dataset, row_id): place for dataset, row_id, place in ended}

    def findings(self, dataset: str, row_id: int) -> list[dict[str, Any]]:
        """Return what `gateway findings` tells of a row."""
        said = self.call("gateway", "findings", "--dataset", dataset, "--json")
        assert said.code == 0, said.errors
        return [found for found in said.json if found["row_id"] == row_id]

    def ask_gateway(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Ask the gateway's database, as its owner."""
        return _asked(self.books.gateway_dsn, statement, values)

    def ask_hub(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Ask the hub's database, as its owner."""
        return _asked(self.books.hub_dsn, statement, values)


def call(*arguments: str | Path) -> Said:
    """Run a command."""
    done = subprocess.run(
        [sys.executable, "-m", "qianzhi", *map(str, arguments)],
        check=False,
        capture_output=True,
        timeout=COMMAND_SECONDS_MAX,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
    )
    return Said(done.returncode, done.stdout, done.stderr)


def wait_for(what: str, is_so: Any, seconds: float = READY_SECONDS_MAX) -> float:
    """Wait until a question is answered with yes; return how long it took."""
    began = clock.monotonic()
    while not is_so():
        assert clock.monotonic() - began < seconds, f"in vain: {what}"
        time.sleep(LOOK_SECONDS)
    return clock.monotonic() - began


def _asked(dsn: str, statement: LiteralString | sql.Composed, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
