"""The track: a gateway and a hub on one PostgreSQL server, parents accepted, ready to have rows run over it."""

from __future__ import annotations

import secrets
import ssl
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

import httpx

from qianzhi.bench.ground import APPLICATION, DATASET, INSTITUTION, REGULATOR, Ground, end
from qianzhi.bench.ports import LOOPBACK
from qianzhi.db import roles
from qianzhi.db.queries import load
from qianzhi.db.server import connect, dsn_for
from qianzhi.errors import OperatorError
from qianzhi.gateway import assembly
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.hub import assembly as hub_assembly
from qianzhi.hub import onboarding
from qianzhi.hub.install import install as install_hub
from qianzhi.ledger.batches import CycleKind
from qianzhi.runtime import clock
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.home import End
from qianzhi.runtime.parts import Process
from qianzhi.runtime.sources import load_settings, write_settings
from qianzhi.specs.model import RuleKind
from qianzhi.synthetic import SynthPlan, play, volume
from qianzhi.synthetic import run as run_synth
from qianzhi.synthetic.insert import copy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack

    import polars as pl

    from qianzhi.gateway.destination import Destination
    from qianzhi.runtime.home import Home

PEOPLE: Final = 50_000
READY_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.1
# Which rules both ends judge; "row" is for rehearsals, and for measuring what the rest costs. The last judges most.
KINDS: Final[Mapping[str, frozenset[RuleKind]]] = {
    "row": frozenset({RuleKind.ROW}),
    "all": frozenset(RuleKind),
}
_SQL = load("qianzhi.bench", "track.sql")
_PASSWORD_BYTES = 24


class Track(Ground):
    """Adds a hub to the ground: an intake and a destination for each of `kinds`, and the parents of the visits."""

    def __init__(
        self, kinds: Sequence[str] = tuple(KINDS), *, people: int = PEOPLE, realtime: Sequence[str] = ()
    ) -> None:
        super().__init__(kinds, realtime=realtime)
        self._people = people
        self._seed = 0
        self.intakes: dict[str, Process] = {}

    def visits(self, rows: int) -> Iterator[pl.DataFrame]:
        """Yield new visits that refer to accepted parents."""
        self._seed += 1
        return volume.treatment_records(rows, self._parents, self._seed, self.on)

    def stage(self, rows: int, kinds: str) -> None:
        """Put new visits into the staging table, as a hospital system would, and let them wait for one destination."""
        with self.administer() as session:
            session.execute(_SQL.open_lane, {"destination": kinds})
        with connect(self.sender_dsn, application=APPLICATION) as connection:
            for frame in self.visits(rows):
                copy(connection, f"{REGULATOR}.{DATASET}", frame)
            connection.commit()
        with self.administer() as session:
            session.execute(_SQL.age_staging)

    @contextmanager
    def working(self) -> Iterator[Process]:
        """Have the worker of `gateway run` at work."""
        command = [sys.executable, "-m", "qianzhi", "gateway", "worker", "--home", str(self.home.path)]
        worker = Process("worker", command)
        try:
            worker.start()
            yield worker
        finally:
            end(worker)

    def clear(self) -> None:
        """Forget every visit at both ends, so that each round finds the same."""
        with self.administer() as session:
            session.execute(_SQL.clear_gateway)
        with connect(self._hub_dsn, application=APPLICATION, autocommit=True) as hub:
            hub.execute(_SQL.clear_hub)

    def prepare_floor(self) -> None:
        """Make the empty table that the floor copies into."""
        with self.administer() as session:
            session.execute(_SQL.prepare_floor)

    def drop_floor(self) -> int:
        """Return how many rows the floor copied, and forget them."""
        with self.administer() as session:
            row = session.execute(_SQL.count_floor).fetchone()
            session.execute(_SQL.drop_floor)
        return cast("int", row[0]) if row else 0

    def stored_count(self) -> int:
        """Return how many visits the hub has stored."""
        with connect(self._hub_dsn, application=APPLICATION, autocommit=True) as hub:
            row = hub.execute(_SQL.count_stored).fetchone()
        return cast("int", row[0]) if row else 0

    @property
    def _hub_dsn(self) -> str:
        return self.cluster.dsn(hub_assembly.DATABASE)

    def _set_up(self, stack: ExitStack) -> None:
        super()._set_up(stack)
        self.home.create(End.HUB)
        self._give_hub_a_database()
        install_hub(self.home, self.settings)
        with hub_assembly.session(self.home, self.settings, application=APPLICATION) as session:
            found = onboarding.register(session, REGULATOR, INSTITUTION, "测试互联网医院", actor="bench")
            write_durably(self._credential, onboarding.issue(session, found, actor="bench").encode())
        for kinds in self.ports:
            self._run_intake(stack, kinds)
        self._accept_parents()

    def _give_hub_a_database(self) -> None:
        """Let the hub live on the gateway's server: the floor is measured against one server."""
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        with connect(self.cluster.dsn(), application=APPLICATION, autocommit=True) as connection:
            roles.ensure_owner(connection, hub_assembly.OWNER, password)
            roles.ensure_database(connection, hub_assembly.DATABASE, hub_assembly.OWNER)
        file = self.home.end(End.HUB).credentials / "pgpass"
        write_durably(file, f"*:*:*:*:{password}\n".encode())
        dsn = dsn_for(
            host=LOOPBACK,
            port=self.cluster.port,
            database=hub_assembly.DATABASE,
            user=hub_assembly.OWNER,
            options={"passfile": str(file)},
        )
        write_settings(self.home, {"hub.database.dsn": dsn, "hub.regulators": (REGULATOR,)})

    def _run_intake(self, stack: ExitStack, kinds: str) -> None:
        environment = {
            "QIANZHI_HUB__INTAKE__PORT": str(self.ports[kinds]),
            "QIANZHI_HUB__CHECKS__KINDS": ",".join(sorted(kind.value for kind in KINDS[kinds])),
        }
        command = [sys.executable, "-m", "qianzhi", "hub", "intake", "--home", str(self.home.path)]
        process = Process(f"intake {kinds}", command, environment=environment)
        stack.callback(end, process)
        process.start()
        self.intakes[kinds] = process
        context = ssl.create_default_context(cafile=str(self.home.end(End.HUB).tls / "ca.pem"))
        until = clock.monotonic() + READY_SECONDS_MAX
        while not _answers(f"https://{LOOPBACK}:{self.ports[kinds]}/healthz", context):
            if process.end() is not None or clock.monotonic() > until:
                raise OperatorError("The intake of the bench does not answer.", remedy=self.last_words(End.HUB))
            clock.sleep(LOOK_SECONDS)

    def _accept_parents(self) -> None:
        """Let the hospital's people, staff and departments be accepted, so that visits refer to something."""
        plan = self.plan(self._people)
        run_synth(SynthPlan(plan, self.regulator, self.sender_dsn, self.home.path / "expected.json"))
        site = assembly.workplace(self.home, self.settings)
        kinds = list(self.ports)[-1]  # one destination is enough: the hub behind them is the same
        with Dispatcher(site, destination(self.home, kinds)) as dispatcher:
            dispatcher.advance(CycleKind.MANUAL, clock.now())
        self._parents = volume.parents(play(plan, self.regulator), self.on)
        self.clear()


def destination(home: Home, kinds: str) -> Destination:
    """Return the hub that judges these kinds of rules, as a destination that judges the same."""
    return replace(assembly.destination(home, load_settings(home), kinds), kinds=KINDS[kinds])


def _answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(url, verify=context, timeout=READY_SECONDS_MAX, trust_env=False).is_success
    except httpx.HTTPError:
        return False
