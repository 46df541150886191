"""Both ends on one machine as real processes on real PostgreSQL, for the faults to happen to."""

from __future__ import annotations

import json
import multiprocessing
import os
import ssl
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import httpx
import polars as pl
import psycopg
from tests.faults import rows
from tests.faults.driver import Fuse, Order, run
from tests.faults.invariant import Books, assert_each_row_once

from qianzhi import regulators
from qianzhi.db.server import connect
from qianzhi.gateway import assembly
from qianzhi.gateway.install import install as install_gateway
from qianzhi.hub import assembly as hub_assembly
from qianzhi.hub import onboarding
from qianzhi.hub.install import install as install_hub
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import load_settings, write_settings
from qianzhi.synthetic import images, insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from multiprocessing.process import BaseProcess

    from qianzhi.db.embedded import Cluster
    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic import Played

REGULATOR = "guangdong"
INSTITUTION = "440000000000000001"
READY_SECONDS_MAX = 60.0
PROCESS_SECONDS_MAX = 60.0
STILL_COUNT_MAX = 30
FEW = ("staff", "contacts", "person", "treatment_record")
BODY_SECONDS_MAX = 3.0
BODY_MIB_MAX = 16
OUTPUT_CHARACTERS = 2_000
PAUSE_SECONDS = 0.05
# Small batches give every fault more places to happen; short pauses keep the waiting for the next attempt short.
RESTLESS = {
    "gateway.cycle.chunk_rows": 8,
    "gateway.retry.first_seconds": 0.01,
    "gateway.retry.max_seconds": 0.05,
}


@dataclass(slots=True)
class Running:
    """A process of the gateway."""

    process: BaseProcess
    output: Path

    def end(self, seconds: float = PROCESS_SECONDS_MAX) -> int:
        """Wait for its end; return the exit code, negative for a signal."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            message = f"a process of the gateway did not end: {self.errors}"
            raise AssertionError(message)
        return self.process.exitcode

    @property
    def said(self) -> Any:
        """What it printed."""
        return json.loads(self.output.with_suffix(".out").read_text(encoding="utf-8"))

    @property
    def errors(self) -> str:
        """What it complained of."""
        return self.output.with_suffix(".err").read_text(encoding="utf-8")


@dataclass(slots=True)
class Field:
    """A home with both ends; the hub's intake runs, the gateway's processes run when a test starts them."""

    home: Home
    played: Played
    intake: BaseProcess | None = None
    _days: int = 0
    _card: str = "X"
    _started: int = 0
    _running: list[Running] = field(default_factory=list)

    @property
    def regulator(self) -> Regulator:
        """The regulator whose datasets are staged."""
        return regulators.regulator(REGULATOR)

    @property
    def gateway_cluster(self) -> Cluster:
        """The gateway's PostgreSQL."""
        return _found(assembly.cluster(self.home, load_settings(self.home)))

    @property
    def hub_cluster(self) -> Cluster:
        """The hub's PostgreSQL."""
        return _found(hub_assembly.cluster(self.home, load_settings(self.home)))

    @property
    def gateway_dsn(self) -> str:
        """The address by which the gateway uses its database."""
        return assembly.owner_dsn(self.home, load_settings(self.home))

    @property
    def sender_dsn(self) -> str:
        """The address by which the hospital's systems insert rows."""
        return assembly.role_dsn(self.home, load_settings(self.home), self.regulator.sender)

    @property
    def hub_dsn(self) -> str:
        """The address by which the hub uses its database."""
        return hub_assembly.owner_dsn(self.home, load_settings(self.home))

    @property
    def hub_url(self) -> str:
        """Where the hub's intake listens."""
        return f"https://127.0.0.1:{load_settings(self.home).hub.intake.port}"

    @property
    def spool(self) -> Path:
        """Where sealed batches lie until they are settled."""
        return self.home.end(End.GATEWAY).spool

    @property
    def credential(self) -> str:
        """The secret by which the gateway signs in at the hub."""
        return (self.home.end(End.GATEWAY).credentials / "hub").read_text(encoding="utf-8")

    @property
    def authority(self) -> Path:
        """The certificate authority of the hub."""
        return self.home.end(End.HUB).tls / "ca.pem"

    @property
    def gateway_fuse(self) -> Fuse:
        """What lets a process of the gateway fail."""
        return Fuse(self.home.path / "gateway.fuse")

    @property
    def hub_fuse(self) -> Fuse:
        """What lets the hub fail."""
        return Fuse(self.home.path / "hub.fuse")

    @property
    def books(self) -> Books:
        """Where both ends keep what they know."""
        return Books(
            gateway_dsn=self.gateway_dsn,
            hub_dsn=self.hub_dsn,
            institution=INSTITUTION,
            regulator=REGULATOR,
            datasets=tuple(dataset.name for dataset in self.regulator.datasets),
            spool=self.spool,
            hub_blobs=self.home.end(End.HUB).blobs,
        )

    def set_up(self, free_port: Callable[[], int]) -> None:
        """Initialise both ends and start the hub's intake."""
        choices = {
            "gateway.institution": INSTITUTION,
            "gateway.database.port": free_port(),
            "gateway.health.port": free_port(),
            "gateway.console.enabled": False,
            "gateway.destinations.hub.regulator": REGULATOR,
            "hub.regulators": (REGULATOR,),
            "hub.database.port": free_port(),
            "hub.intake.port": free_port(),
            "hub.intake.body_seconds_max": BODY_SECONDS_MAX,
            "hub.intake.body_bytes_max": BODY_MIB_MAX * 2**20,
        }
        for end in End:
            self.home.create(end)
        settings = write_settings(
            self.home,
            {
                **choices,
                **RESTLESS,
                "gateway.destinations.hub.url": f"https://127.0.0.1:{choices['hub.intake.port']}",
                "gateway.destinations.hub.credential_file": "gateway/credentials/hub",
                "gateway.destinations.hub.ca_file": "hub/tls/ca.pem",
            },
        )
        install_hub(self.home, settings)
        with hub_assembly.session(self.home, settings, application="test") as session:
            found = onboarding.register(session, REGULATOR, INSTITUTION, "一家互联网医院", actor="test")
            secret = onboarding.issue(session, found, actor="test")
        (self.home.end(End.GATEWAY).credentials / "hub").write_text(secret, encoding="utf-8")
        install_gateway(self.home, settings)
        images.draw(self.home.end(End.GATEWAY).root / "images", self.played.members)
        images.spoil(self.home.end(End.GATEWAY).root / "images" / "spoilt.png")
        self.wait_for_hub()
        self.stage_day()
        self.run_until_still()

    def start_hub(self) -> None:
        """Start the hub's intake unless it runs, as its supervisor would."""
        if self.intake is None or not self.intake.is_alive():
            order = Order(
                arguments=("hub", "intake", "--home", str(self.home.path)),
                output=self.home.path / "intake",
                fuse=self.hub_fuse.path,
                supervisor=os.getpid(),
            )
            # Not a daemon: it has workers. It follows us all the same.
            self.intake = multiprocessing.get_context("forkserver").Process(target=run, args=(order,))
            self.intake.start()

    def wait_for_hub(self) -> None:
        """Wait until the hub can take batches; it is started again where its workers died too fast for it."""
        context = ssl.create_default_context(cafile=self.authority)
        until = clock.monotonic() + READY_SECONDS_MAX
        while clock.monotonic() < until:
            self.start_hub()
            try:
                if httpx.get(f"{self.hub_url}/healthz", verify=context, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(PAUSE_SECONDS)
        raise AssertionError((self.home.path / "intake.err").read_text(encoding="utf-8")[-OUTPUT_CHARACTERS:])

    def mend(self) -> None:
        """Put everything right that a test may have broken."""
        self.gateway_fuse.disarm()
        self.hub_fuse.disarm()
        for cluster in (self.gateway_cluster, self.hub_cluster):
            if not cluster.running():
                cluster.start()
        self.wait_for_hub()

    def tear_down(self) -> None:
        """End every process."""
        for running in self._running:
            if running.process.is_alive():
                running.process.kill()
            running.process.join()
        if self.intake is not None:
            self.intake.terminate()
            self.intake.join(PROCESS_SECONDS_MAX)
        self.gateway_cluster.stop()
        self.hub_cluster.stop()

    def stage_day(self) -> int:
        """Let the hospital's systems insert the rows of its next day; return how many."""
        day = self.played.days[self._days]
        self._days += 1
        self.stage(day.frames)
        return sum(frame.height for frame in day.frames.values())

    def stage_few(self) -> None:
        """
        Insert the next day's rows of a few datasets: staff have images, a visit waits for its person.

        The person for whom the visit of the last time waits comes, too.
        """
        day = self.played.days[self._days]
        self._days += 1
        frames = {name: day.frames[name] for name in FEW}
        card, self._card = self._card, rows.label()
        frames["person"] = pl.concat([frames["person"], rows.person(self.played, card)])
        waiting = rows.visit(self.played, rows.label(), KH=self._card)
        frames["treatment_record"] = pl.concat([frames["treatment_record"], waiting])
        self.stage(frames)

    def stage_contacts(self, count: int) -> list[str]:
        """Insert rows of one dataset, for faults to which the others are nothing new; return their offices."""
        offices = [rows.label() for _ in range(count)]
        self.stage({"contacts": rows.contacts(offices)})
        return offices

    def stage(self, frames: Mapping[str, pl.DataFrame]) -> dict[str, list[int]]:
        """Insert rows as us_pos and commit; return their ids."""
        with connect(self.sender_dsn, application="test") as session:
            return {name: insert.insert(session, f"{REGULATOR}.{name}", frame) for name, frame in frames.items()}

    def start(
        self,
        *arguments: str,
        clock_shifts_seconds: tuple[float, ...] = (0.0,),
        answer_seconds: float | None = None,
    ) -> Running:
        """Start a process of the gateway: a command line without its home, or `nightly`."""
        self._started += 1
        output = self.home.path / "output" / f"{self._started}"
        output.parent.mkdir(exist_ok=True)
        order = Order(
            arguments=arguments if arguments == ("nightly",) else (*arguments, "--home", str(self.home.path)),
            output=output,
            fuse=self.gateway_fuse.path,
            supervisor=os.getpid(),
            clock_shifts_seconds=clock_shifts_seconds,
            answer_seconds=answer_seconds,
        )
        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=run, args=(order,), daemon=True)
        process.start()
        running = Running(process, output)
        self._running.append(running)
        return running

    def start_cycle(
        self, *, clock_shifts_seconds: tuple[float, ...] = (0.0,), answer_seconds: float | None = None
    ) -> Running:
        """Start `gateway cycle`."""
        return self.start(
            "gateway",
            "cycle",
            "--json",
            clock_shifts_seconds=clock_shifts_seconds,
            answer_seconds=answer_seconds,
        )

    def run_until_still(self) -> dict[str, Counter[str]]:
        """Run cycles until no row moves any more; assert that each row has one outcome, and return what."""
        told = ""
        for _ in range(STILL_COUNT_MAX):
            running = self.start_cycle()
            # What a fault left in the spool without a promise goes when the next cycle begins.
            if running.end() == 0 and not any(self.spool.iterdir()):
                return assert_each_row_once(self.books)
            told = running.errors
            time.sleep(PAUSE_SECONDS)
        raise AssertionError(told)

    @contextmanager
    def sending_to(self, url: str) -> Iterator[None]:
        """Let the gateway believe that the hub is elsewhere."""
        name = "gateway.destinations.hub.url"
        write_settings(self.home, {name: url})
        try:
            yield
        finally:
            write_settings(self.home, {name: self.hub_url})

    def ask_gateway(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Ask the gateway's database, as its owner."""
        with psycopg.connect(self.gateway_dsn) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def ask_hub(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """Ask the hub's database, as its owner."""
        with psycopg.connect(self.hub_dsn) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def findings(self, dataset: str) -> list[dict[str, Any]]:
        """Return what `gateway findings --json` lists of a dataset."""
        running = self.start("gateway", "findings", "--json", "--dataset", dataset)
        assert running.end() == 0, running.errors
        found: list[dict[str, Any]] = running.said
        return found

    def open_count(self) -> int:
        """Return how many rows have no outcome yet."""
        ((count,),) = self.ask_gateway(
            "SELECT (SELECT count(*) FROM qianzhi.arrived)"
            " + (SELECT coalesce(sum(row_count), 0) FROM qianzhi.batches WHERE state = 'sealed')"
        )
        return int(count)


def postmaster_of(cluster: Cluster) -> int:
    """Return the process id of a cluster's first process."""
    return int((cluster.files / "postmaster.pid").read_text(encoding="utf-8").split()[0])


def _found(cluster: Cluster | None) -> Cluster:
    assert cluster is not None
    return cluster
