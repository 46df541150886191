"""The ground: a gateway's PostgreSQL with its staging tables, in a temporary home of its own."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from qianzhi import regulators
from qianzhi.bench.ports import LOOPBACK, free_ports
from qianzhi.db.queries import load
from qianzhi.db.server import Session, connect
from qianzhi.errors import ConfigurationError
from qianzhi.gateway import assembly
from qianzhi.gateway.install import install as install_gateway
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.reference import VARIABLE_PREFIX, VARIABLE_SEPARATOR
from qianzhi.runtime.sources import load_settings, write_settings
from qianzhi.synthetic import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from qianzhi.runtime.parts import Process
    from qianzhi.runtime.settings import Settings
    from qianzhi.specs.model import Regulator

REGULATOR: Final = "guangdong"
INSTITUTION: Final = "440000000000000001"
DATASET: Final = "treatment_record"
APPLICATION: Final = "qianzhi bench"
END_SECONDS_MAX: Final = 10.0
LOOK_SECONDS: Final = 0.05
LOG_LINES_MAX: Final = 5
LOG_BYTES_MAX: Final = 4096
_SQL = load("qianzhi.bench", "track.sql")


class Ground:
    """
    Sets a gateway up on entering, and takes it down with its folder on leaving, also when that is interrupted.

    `destinations` are names; each has a free port that somebody may listen on. `realtime` names datasets.
    """

    def __init__(self, destinations: Sequence[str] = ("hub",), *, realtime: Sequence[str] = ()) -> None:
        self._stack = ExitStack()
        self._realtime = tuple(realtime)
        self._port, *ports = free_ports(1 + len(destinations))
        self.ports = dict(zip(destinations, ports, strict=True))
        self.on = clock.local_now().date() - timedelta(days=1)

    def __enter__(self) -> Self:
        _refuse_foreign_settings()
        with ExitStack() as stack:
            folder = tempfile.TemporaryDirectory(prefix="qianzhi-bench-", ignore_cleanup_errors=os.name == "nt")
            self.home = Home(Path(stack.enter_context(folder)))
            self._set_up(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    @property
    def settings(self) -> Settings:
        """The settings of this home."""
        return load_settings(self.home)

    @property
    def regulator(self) -> Regulator:
        """The regulator whose tables are staged."""
        return regulators.regulator(REGULATOR)

    @property
    def sender_dsn(self) -> str:
        """The address by which a hospital system fills the staging tables."""
        return assembly.role_dsn(self.home, self.settings, self.regulator.sender)

    @property
    def server_dsn(self) -> str:
        """The superuser's address of the gateway's database."""
        return self.cluster.dsn(assembly.DATABASE)

    def administer(self) -> Session:
        """Open a superuser's session of the gateway's database."""
        return connect(self.server_dsn, application=APPLICATION, autocommit=True)

    def checkpoint(self) -> None:
        """Let the server write what it owes, so that one measurement does not pay for another."""
        with self.administer() as session:
            session.execute(_SQL.checkpoint)

    def plan(self, people: int) -> Plan:
        """Return a hospital of so many people that lived on the day before."""
        images = self.home.path / "images"
        return Plan(people, 1, 1, self.on, INSTITUTION, images, rows_per_dataset=1)

    def last_words(self, end: End) -> str:
        """Return the last lines of an end's logs: they are gone with the folder."""
        said = []
        for file in sorted(self.home.end(end).log.glob("*.log")):
            said += file.read_bytes()[-LOG_BYTES_MAX:].decode("utf-8", errors="replace").splitlines()[-LOG_LINES_MAX:]
        return " ".join(said) or "It wrote no log."

    def _set_up(self, stack: ExitStack) -> None:
        self.home.create(End.GATEWAY)
        choices = {"gateway.database.port": self._port, "gateway.institution": INSTITUTION, **self._doors()}
        cluster = assembly.cluster(self.home, write_settings(self.home, choices))
        if cluster is None:
            raise ConfigurationError("The bench brings its own server.", remedy="Unset gateway.database.dsn.")
        self.cluster = cluster
        stack.callback(cluster.stop)  # before the start, which may be interrupted half-way
        cluster.start()
        install_gateway(self.home, self.settings)

    def _doors(self) -> dict[str, object]:
        said: dict[str, object] = {}
        for name, port in self.ports.items():
            at = f"gateway.destinations.{name}"
            said[f"{at}.regulator"] = REGULATOR
            said[f"{at}.url"] = f"https://{LOOPBACK}:{port}"
            said[f"{at}.credential_file"] = str(self._credential)
            said[f"{at}.ca_file"] = str(self.home.end(End.HUB).tls / "ca.pem")
            said[f"{at}.realtime"] = self._realtime
        return said

    @property
    def _credential(self) -> Path:
        return self.home.end(End.GATEWAY).credentials / "hub"


def end(process: Process) -> None:
    """Kill a process with all it started, and wait until it is gone: it writes into a folder that goes next."""
    process.kill()
    until = clock.monotonic() + END_SECONDS_MAX
    while process.pid is not None and process.end() is None and clock.monotonic() < until:
        clock.sleep(LOOK_SECONDS)


def _refuse_foreign_settings() -> None:
    """Raise ConfigurationError where the environment says settings: they would lead to somebody's real database."""
    found = [name for name in os.environ if name.startswith(VARIABLE_PREFIX) and VARIABLE_SEPARATOR in name]
    if found:
        raise ConfigurationError(
            f"The environment holds settings of a real installation: {', '.join(sorted(found))}.",
            remedy="Unset them: a bench sets up an installation of its own.",
        )
