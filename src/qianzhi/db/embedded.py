"""PostgreSQL from a wheel, run by the product itself: created, configured, started, adopted, stopped."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from psycopg import pq
from psycopg.conninfo import make_conninfo

from qianzhi.db import account, binaries, configuration, postmaster
from qianzhi.db.postmaster import State
from qianzhi.db.queries import load
from qianzhi.db.server import connect, dsn_for
from qianzhi.errors import ConfigurationError, OperatorError, RetryableError

if TYPE_CHECKING:
    from pathlib import Path

    from qianzhi.db.server import Session

SUPERUSER = "postgres"
_LOOPBACK = "127.0.0.1"
_PASSWORD_BYTES = 32
_PAUSE_SECONDS_MIN, _PAUSE_SECONDS_MAX, _PAUSE_GROWTH = 0.05, 2.0, 1.5
_LAUNCH_SECONDS = 5  # how long pg_ctl itself watches; afterwards we watch, without limit
_STOP_SECONDS_MAX = 600.0
_CONNECT_SECONDS = 10
_LOG_TAIL_CHARACTERS_MAX = 2000
_NOT_YET = "did not start in time"
_STILL_ATTACHED = "pre-existing shared memory block"
_PORT_TAKEN = ("could not create any TCP/IP sockets", "could not bind")
_ACCESS_FILE = "pg_hba.conf"
_QUERIES = load("qianzhi.db", "embedded.sql")

Report = Callable[[str], None]


def silent(line: str) -> None:
    """Report nothing."""


class Cluster:
    """
    A PostgreSQL server of its own, in one folder: `data`, `log`, the superuser's password.

    It outlives the process that starts it; `start` adopts it. `clients` are the networks ("192.0.2.0/24") whose
    machines may sign in over a `listen` address other than loopback, and only as one of `client_roles`.
    `extra` replaces settings of `configuration.SETTINGS`. `as_account` is the account used when started by root.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int,
        listen: str = _LOOPBACK,
        clients: Sequence[str] = (),
        client_roles: Sequence[str] = (),
        extra: Mapping[str, str] | None = None,
        as_account: str | None = None,
        major: int = 18,
    ) -> None:
        self.directory = directory.absolute()
        self.files = self.directory / "data"
        self.logs = self.directory / "log"
        self.port = port
        self._wanted_account = as_account
        self._major = major
        self._password_file = self.directory / "password"
        self._password_list = self.directory / "pgpass"
        self._unapplied = self.directory / "unapplied"  # left there when we are killed before a running server reloads
        self._launch_log = self.directory / "launch.log"
        self._clients, self._client_roles = list(clients), list(client_roles)
        settings = configuration.settings(port=port, listen=listen, logs=self.logs, extra=extra or {})
        self._texts = {
            "postgresql.conf": settings,
            _ACCESS_FILE: configuration.access(SUPERUSER, clients, client_roles),
        }

    @property
    def binaries(self) -> Path:
        """The folder of the PostgreSQL programs (`pg_dump`, `pg_basebackup`, …) that fit this cluster."""
        return binaries.folder(self._major)

    def status(self) -> State:
        """Tell what the cluster is doing now."""
        found = postmaster.find(self.files)
        if found is not None:
            return found.state
        return State.STOPPED if self.files.exists() else State.ABSENT

    def running(self) -> bool:
        """Whether the server accepts sessions."""
        return self._answering_port() is not None

    def pid(self) -> int | None:
        """Return the first process of the server; None where it does not run."""
        found = postmaster.find(self.files)
        return found.pid if found is not None else None

    def dsn(self, database: str = SUPERUSER) -> str:
        """Give the superuser's address, password included: for set-up and backup only, never to be shown."""
        password = self._password_file.read_text(encoding="utf-8").strip()
        return dsn_for(host=_LOOPBACK, port=self.port, database=database, user=SUPERUSER, password=password)

    def run_client(self, program: str, *arguments: str | Path, folder: Path) -> account.Outcome:
        """
        Run a program that signs in to this server (`pg_dump`, `pg_basebackup`, `psql`) as superuser, in a folder.

        It runs as the present account, and finds address and password by itself: no argument carries them.
        """
        place = {"PGHOST": _LOOPBACK, "PGPORT": str(self.port), "PGUSER": SUPERUSER, "PGDATABASE": SUPERUSER}
        environment = {**place, "PGPASSFILE": str(self._password_list)}
        command = (binaries.program(self.binaries, program), *arguments)
        return account.run(command, account=None, folder=folder, environment=environment)

    def _run(self, program: str, *arguments: str | Path) -> account.Outcome:
        """Run a program that works on the cluster's files, as their account."""
        command = (binaries.program(self.binaries, program), *arguments)
        return account.run(command, account=self._account(), folder=self.directory)

    def start(self, report: Report = silent) -> None:
        """
        Create the cluster if need be, and return when it accepts sessions.

        Waits without limit for the recovery after a crash, for the processes of a killed server, and for another
        process that starts the same cluster; `report` gets a line for each thing waited for.
        """
        with self._lock(report):
            self._create(report)
            adopted = postmaster.find(self.files) is not None
            self._configure()
            port = self._wait_until_ready(report)
            if adopted and self._unapplied.exists():
                self._reload(port, report)
            self._unapplied.unlink(missing_ok=True)

    def is_access_as_said(self) -> bool | None:
        """Tell whether pg_hba.conf is what the client networks say; None before there is any."""
        path = self.files / _ACCESS_FILE
        return path.read_text(encoding="utf-8") == self._texts[_ACCESS_FILE] if path.exists() else None

    def apply_access(self, report: Report = silent) -> int:
        """
        Let in the client networks and nobody else from now on, without a restart; return how many sessions ended.

        A server that does not run follows at its next start. Sessions of the client roles that came from elsewhere
        end. Raises OperatorError when the server cannot read what was written.
        """
        with self._lock(report):
            if self.is_access_as_said() is None:
                return 0
            is_all_applied = not self._unapplied.exists()
            self._write_file(_ACCESS_FILE)
            port = self._answering_port()
            if port is None:
                return 0
            with self._session(port) as connection:
                if wrong := connection.execute(_QUERIES.access_errors).fetchall():
                    raise OperatorError(
                        f"PostgreSQL cannot read pg_hba.conf: {wrong[0][1]} (line {wrong[0][0]}).",
                        remedy="Correct gateway.whitelist in qianzhi.toml, then repeat.",
                    )
                connection.execute(_QUERIES.reload)
                if is_all_applied:  # what else waits needs more than this
                    self._unapplied.unlink(missing_ok=True)
                strangers = {"roles": self._client_roles, "networks": self._clients}
                return len(connection.execute(_QUERIES.end_strangers, strangers).fetchall())

    def stop(self, report: Report = silent) -> None:
        """End all sessions, write everything to the files and stop; RetryableError when that takes too long."""
        with self._lock(report):
            self._halt(report)

    def _halt(self, report: Report) -> None:
        if postmaster.find(self.files) is None:
            return
        self._run("pg_ctl", "stop", "-D", self.files, "-m", "fast", "-W")
        deadline = time.monotonic() + _STOP_SECONDS_MAX
        for pause in _pauses():
            if postmaster.find(self.files) is None:
                return
            if time.monotonic() > deadline:
                raise RetryableError("PostgreSQL is still stopping.", remedy="Wait and stop it again; do not kill it.")
            report("PostgreSQL is stopping.")
            time.sleep(pause)

    @contextmanager
    def _lock(self, report: Report) -> Generator[None]:
        account.make_private(self.directory)
        lock = FileLock(self.directory / "lock")
        for pause in _pauses():
            try:
                lock.acquire(timeout=pause)
                break
            except Timeout:
                report("Another process starts or stops this PostgreSQL.")
        try:
            yield
        finally:
            lock.release()

    def _account(self) -> account.Account | None:
        return account.account_of(self.files, self._wanted_account)

    def _create(self, report: Report) -> None:
        if self.files.exists():
            self._take_over_restored_files()
            return
        report("Creating the PostgreSQL cluster.")
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self._write_passwords()
        unfinished = self.directory / "data.unfinished"
        if unfinished.exists():  # a creation that was killed
            shutil.rmtree(unfinished)
        owner = self._account()
        account.give(self.directory, owner)
        arguments = (*configuration.initdb(self._major), f"--username={SUPERUSER}", "--pwfile")
        outcome = self._run("initdb", "-D", unfinished, *arguments, self._password_file)
        if outcome.code != 0:
            raise OperatorError(
                f"initdb could not create {self.files}: {outcome.output[-_LOG_TAIL_CHARACTERS_MAX:]}",
                remedy="Remove the cause it names, then start again.",
            )
        unfinished.rename(self.files)

    def _take_over_restored_files(self) -> None:
        owner = self._account()
        if owner is not None and self.files.stat().st_uid != owner.uid:
            account.give(self.directory, owner)

    def _write_passwords(self) -> None:
        """Written before the cluster exists, so that no cluster is without the password it was made with."""
        if not self._password_file.exists():
            _write_private(self._password_file, secrets.token_urlsafe(_PASSWORD_BYTES))
        password = self._password_file.read_text(encoding="utf-8")
        _write_private(self._password_list, f"*:*:*:{SUPERUSER}:{password}\n")

    def _configure(self) -> None:
        """Write the files of settings that differ from what is wanted."""
        for name in self._texts:
            self._write_file(name)

    def _write_file(self, name: str) -> None:
        path, text = self.files / name, self._texts[name]
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            self._unapplied.touch()
            _write_private(path, text)
            account.give(path, self._account())

    @contextmanager
    def _session(self, port: int) -> Generator[Session]:
        """Lend a superuser's session of the server that listens there, whatever port the settings want."""
        password = self._password_file.read_text(encoding="utf-8").strip()
        dsn = dsn_for(host=_LOOPBACK, port=port, database=SUPERUSER, user=SUPERUSER, password=password)
        with connect(dsn, application="qianzhi settings", autocommit=True) as connection:
            yield connection

    def _reload(self, port: int, report: Report) -> None:
        """Let a running server read its settings again, and start it anew when one of them needs that."""
        with self._session(port) as connection:
            waiting = connection.execute(_QUERIES.settings_that_need_a_new_start).fetchall()
            if not waiting:
                connection.execute(_QUERIES.reload)
        if waiting:
            report("PostgreSQL starts again, for changed settings: " + ", ".join(str(name) for (name,) in waiting))
            self._halt(report)
            self._wait_until_ready(report)

    def _wait_until_ready(self, report: Report) -> int:
        """Launch the server unless it lives, and return its port when it accepts sessions."""
        for pause in _pauses():
            port = self._answering_port()
            if port is not None:
                return port
            found = postmaster.find(self.files)
            if found is None:
                self._launch(report)
            else:
                report(f"PostgreSQL is {found.state}.")
                time.sleep(pause)
        raise AssertionError("the pauses have no end")

    def _answering_port(self) -> int | None:
        """Give the port if the server says it is ready and also answers: a process just killed may still be listed."""
        found = postmaster.find(self.files)
        if found is None or found.port is None or found.state is not State.READY:
            return None
        address = make_conninfo(host=_LOOPBACK, port=found.port, connect_timeout=_CONNECT_SECONDS)
        return found.port if pq.PGconn.ping(address.encode()) == pq.Ping.OK else None

    def _launch(self, report: Report) -> None:
        """Start the server; return when it runs, recovers, or must wait for the processes of a killed one."""
        postmaster.discard_stale_file(self.files)
        with suppress(OSError):  # on Windows a process of a killed server may still hold it
            self._launch_log.unlink()
        sizes = {path: path.stat().st_size for path in self._log_files()}
        arguments = ("-w", "-t", str(_LAUNCH_SECONDS), "-l", self._launch_log)
        outcome = self._run("pg_ctl", "start", "-D", self.files, *arguments)
        if outcome.code == 0 or postmaster.find(self.files) is not None:
            return
        said = "\n".join(_text_after(path, sizes.get(path, 0)) for path in self._log_files()).strip()
        if _NOT_YET in outcome.output:
            report("PostgreSQL is slow to start.")
            return
        if _STILL_ATTACHED in said:
            report("Processes of a killed PostgreSQL are still at work; waiting until they end.")
            time.sleep(_PAUSE_SECONDS_MAX)
            return
        if any(words in said for words in _PORT_TAKEN):
            raise ConfigurationError(
                f"PostgreSQL cannot listen on port {self.port}.",
                remedy="Free the port or set another one; set a listen address that this machine has.",
            )
        raise OperatorError(
            f"PostgreSQL does not start: {(said or outcome.output)[-_LOG_TAIL_CHARACTERS_MAX:]}",
            remedy="Remove the cause it names, then start again; restore a backup if its files are damaged.",
        )

    def _log_files(self) -> list[Path]:
        return [path for path in (self._launch_log, *sorted(self.logs.glob("*.log"))) if path.exists()]


def _pauses() -> Iterator[float]:
    """Growing, bounded pauses, without end."""
    pause = _PAUSE_SECONDS_MIN
    while True:
        yield pause
        pause = min(pause * _PAUSE_GROWTH, _PAUSE_SECONDS_MAX)


def _text_after(path: Path, offset: int) -> str:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read().decode("utf-8", errors="replace")


def _write_private(path: Path, text: str) -> None:
    """Write a whole file or none, never readable to others."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
