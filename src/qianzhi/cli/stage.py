"""The stage of the demo: both ends set up in one home and running, and a day played on it."""

from __future__ import annotations

import socket
import ssl
import sys
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

import httpx

from qianzhi import regulators
from qianzhi.cli.terminal import keep_logs
from qianzhi.db.server import connect
from qianzhi.errors import OperatorError, RetryableError
from qianzhi.gateway import assembly, report
from qianzhi.gateway.cycle import PATIENCE_SECONDS, Dispatcher
from qianzhi.gateway.install import install as install_gateway
from qianzhi.hub import assembly as hub_assembly
from qianzhi.hub import onboarding
from qianzhi.hub.install import install as install_hub
from qianzhi.ledger.batches import CycleKind
from qianzhi.runtime import clock
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.home import End
from qianzhi.runtime.parts import Process
from qianzhi.runtime.sources import load_settings, write_settings
from qianzhi.runtime.supervisor import read_states
from qianzhi.synthetic import Plan, SynthPlan
from qianzhi.synthetic import run as run_synth

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from qianzhi.errors import QianzhiError
    from qianzhi.ledger.tally import Tally
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

REGULATOR: Final = "guangdong"
INSTITUTION: Final = "440000000000000001"
DESTINATION: Final = "hub"
LOOPBACK: Final = "127.0.0.1"
READY_SECONDS_MAX: Final = 120.0
LOOK_SECONDS: Final = 0.2
OUTPUT_FILE: Final = "demo.out"  # what the ends print, which their logs tell more of
STOP_SECONDS_MAX: Final = 60.0
# Where each thing listens unless that port is taken.
PORTS: Final = {
    "gateway.database.port": 5432,
    "hub.database.port": 5433,
    "hub.intake.port": 8443,
    "gateway.health.port": 8481,
    "gateway.console.port": 28888,
}


class Stage:
    """Sets both ends up on entering, runs them, and stops them on leaving; the home can go on without it."""

    regulator: str = REGULATOR

    def __init__(self, home: Home, tell: Callable[[str], None]) -> None:
        self._home = home
        self._tell = tell
        self._processes: list[Process] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            settings = self._set_up()
            self._run(stack, End.HUB, f"https://{LOOPBACK}:{settings.hub.intake.port}/healthz")
            self._run(stack, End.GATEWAY, f"http://{LOOPBACK}:{settings.gateway.health.port}/healthz")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.runs_ends:
            self._tell("Stopping …")
        self._stack.close()

    @property
    def runs_ends(self) -> bool:
        """Whether an end runs for this stage alone; others go on when it is left."""
        return bool(self._processes)

    @property
    def is_new(self) -> bool:
        """Whether nothing was staged yet. The same hospital cannot open twice, and another one has the same numbers."""
        return not any(tally.staged for tally in self._tallies().values())

    def play(self, *, people: int, seed: int, faults: float) -> None:
        """Play yesterday into the staging tables."""
        settings = load_settings(self._home)
        regulator = regulators.regulator(REGULATOR)
        rooms = self._home.end(End.GATEWAY)
        plan = Plan(
            people=people,
            days=1,
            seed=seed,
            last_on=clock.local_now().date() - timedelta(days=1),
            institution=INSTITUTION,
            images=rooms.root / "images",
            fault_rate=faults,
        )
        self._tell("A hospital's day is played into the staging tables …")
        dsn = assembly.role_dsn(self._home, settings, regulator.sender)
        played = run_synth(SynthPlan(plan, regulator, dsn, rooms.root / "expected.json"))
        self._tell(f"{sum(played.rows.values())} rows are staged, {played.faults} of them with a planted fault.")

    def deliver(self) -> dict[str, Tally]:
        """Take every row as far as it goes, and return where the rows are."""
        settings = load_settings(self._home)
        site = assembly.workplace(self._home, settings)
        with Dispatcher(site, assembly.destination(self._home, settings, DESTINATION)) as dispatcher:
            dispatcher.advance(CycleKind.MANUAL, clock.now(), patience_seconds=PATIENCE_SECONDS)
        return self._tallies()

    def _tallies(self) -> dict[str, Tally]:
        settings = load_settings(self._home)
        with connect(assembly.owner_dsn(self._home, settings), application="qianzhi demo") as connection:
            return report.tallies(connection, assembly.destination(self._home, settings, DESTINATION))

    def where_to_look(self) -> list[str]:
        """Return the addresses and commands by which people go on from here."""
        settings, home = load_settings(self._home), self._home.path
        return [
            (
                f"Console:         http://{LOOPBACK}:{settings.gateway.console.port} (us_pos; its password: "
                f"{assembly.password_file(self._home, 'us_pos')})"
            ),
            f"Findings:        qianzhi gateway findings --home {home}",
            f"At the hub:      qianzhi hub log --home {home}; qianzhi hub findings --home {home}",
            f'Insert rows:     psql "$(qianzhi gateway dsn --role us_pos --home {home})"',
            f"Expected faults: {self._home.end(End.GATEWAY).root / 'expected.json'}",
            f"Hub:             https://{LOOPBACK}:{settings.hub.intake.port} (authority {self._authority()})",
            f"Gateway:         http://{LOOPBACK}:{settings.gateway.health.port}/healthz",
        ]

    def unaccounted(self) -> QianzhiError:
        """Return what to say when a row has no outcome."""
        return OperatorError(
            "Not every staged row is accounted for.",
            remedy=f"See `qianzhi gateway status --home {self._home.path}` and `qianzhi gateway doctor`.",
        )

    def require_running(self) -> None:
        """Raise OperatorError when an end has stopped by itself."""
        for process in self._processes:
            if (ended := process.end()) is not None:
                raise OperatorError(
                    f"The {process.name} has stopped ({ended}).",
                    remedy=f"See the logs in {self._home.path / process.name / 'log'}.",
                )

    def _set_up(self) -> Settings:
        self._home.create(End.HUB)
        keep_logs(self._home.create(End.GATEWAY), load_settings(self._home))
        settings = write_settings(self._home, self._choices())
        self._tell(f"The hub is set up in {self._home.path} …")
        install_hub(self._home, settings)
        settings = write_settings(
            self._home,
            {
                f"gateway.destinations.{DESTINATION}.credential_file": self._credential(settings),
                f"gateway.destinations.{DESTINATION}.ca_file": self._authority(),
            },
        )
        self._tell("The gateway is set up …")
        install_gateway(self._home, settings)
        return settings

    def _choices(self) -> dict[str, object]:
        """Return what a fresh home lacks: ports that are free, who the hospital is, where its rows go."""
        if load_settings(self._home).gateway.institution:
            return {}
        ports = _free_ports()
        return {
            **ports,
            "gateway.institution": INSTITUTION,
            "hub.regulators": (REGULATOR,),
            f"gateway.destinations.{DESTINATION}.regulator": REGULATOR,
            f"gateway.destinations.{DESTINATION}.url": f"https://{LOOPBACK}:{ports['hub.intake.port']}",
        }

    def _credential(self, settings: Settings) -> str:
        file = self._home.end(End.GATEWAY).credentials / DESTINATION
        if not file.exists():
            with hub_assembly.session(self._home, settings, application="qianzhi demo") as session:
                found = onboarding.register(session, REGULATOR, INSTITUTION, "演示互联网医院", actor="demo")
                write_durably(file, onboarding.issue(session, found, actor="demo").encode())
        return str(file)

    def _authority(self) -> str:
        return str(hub_assembly.identity(self._home, load_settings(self._home), clock.now()).authority)

    def _run(self, stack: ExitStack, end: End, url: str) -> None:
        if read_states(self._home.end(end).run):
            self._tell(f"The {end} runs already; it is used, and goes on afterwards.")
        else:
            self._start(stack, end)
        context = ssl.create_default_context(cafile=self._authority())
        until = clock.monotonic() + READY_SECONDS_MAX
        while not _answers(url, context):
            self.require_running()
            if clock.monotonic() > until:
                raise RetryableError(f"The {end} does not answer.", remedy="See its logs, and start the demo again.")
            clock.sleep(LOOK_SECONDS)
        self._tell(f"The {end} answers.")

    def _start(self, stack: ExitStack, end: End) -> None:
        command = [sys.executable, "-m", "qianzhi", end.value, "run", "--home", str(self._home.path)]
        process = Process(end.value, command, output=self._home.end(end).log / OUTPUT_FILE)
        process.start()
        self._processes.append(process)
        stack.callback(_stop, process)


def _free_ports() -> dict[str, int]:
    """Return the usual port of each thing, or another one where that is taken."""
    with ExitStack() as held:
        chosen = {}
        for name, usual in PORTS.items():
            for candidate in (usual, 0):
                listener = held.enter_context(socket.socket())
                if sys.platform != "win32":  # there it would let two programs share a port
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    listener.bind((LOOPBACK, candidate))
                except OSError:
                    continue
                chosen[name] = listener.getsockname()[1]
                break
        return chosen


def _answers(url: str, context: ssl.SSLContext) -> bool:
    try:
        return httpx.get(url, verify=context, timeout=LOOK_SECONDS * 10, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _stop(process: Process) -> None:
    process.stop()
    until = clock.monotonic() + STOP_SECONDS_MAX
    while process.end() is None and clock.monotonic() < until:
        clock.sleep(LOOK_SECONDS)
    process.kill()
