"""Sessions, and what errors ask of whom."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.conftest import FORGETFUL

from qianzhi.db import server
from qianzhi.db.embedded import Cluster
from qianzhi.errors import ConfigurationError, OperatorError, QianzhiError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AWKWARD = "a b/c?d#e:f@g%h&i=j'k\"中文"


def test_every_part_of_an_address_is_encoded() -> None:
    """Libpq reads back what was put in, however awkward."""
    dsn = server.dsn_for(
        host="::1", port=5433, database=AWKWARD, user=AWKWARD, password=AWKWARD, options={"application_name": AWKWARD}
    )
    read = psycopg.conninfo.conninfo_to_dict(dsn)
    assert (read["host"], read["port"]) == ("::1", "5433")
    assert [read[name] for name in ("dbname", "user", "password", "application_name")] == [AWKWARD] * 4


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        (
            "host=db.example dbname=q user=owner passfile=/p sslmode=verify-full sslcert=/c sslkey=/k options=-cx=1",
            {"host": "db.example", "dbname": "q", "sslmode": "verify-full"},
        ),
        ("host=db.example port=6432 user=owner", {"host": "db.example", "port": "6432", "dbname": "owner"}),
        ("host=/run/postgresql dbname=q", {"host": "/run/postgresql", "dbname": "q"}),
        ("host=a,b port=1,2 dbname=q user=owner", {"host": "a,b", "port": "1,2", "dbname": "q"}),
        ("host=::1 port=7 dbname=q", {"host": "::1", "port": "7", "dbname": "q"}),
        ("service=s user=owner", {"service": "s"}),
        ("postgresql://owner:secret@db.example/q", {"host": "db.example", "dbname": "q"}),
    ],
)
def test_another_role_reaches_the_same_database(site: str, expected: dict[str, str]) -> None:
    """Server, database and TLS stay; nothing of what the first role signs in with does."""
    read = psycopg.conninfo.conninfo_to_dict(server.dsn_of_role(site, "us_pos", AWKWARD))
    assert read == {"user": "us_pos", "password": AWKWARD, **expected}


def test_a_session_has_the_product_s_settings(postgres: Cluster) -> None:
    """The zone is the regulators', waits are bounded, and the server's list of sessions says who we are."""
    names = "application_name", "TimeZone", "lock_timeout", "statement_timeout", "client_encoding"
    with server.connect(
        postgres.dsn(), application="a test's session", lock_timeout_seconds=3, statement_timeout_seconds=5
    ) as connection:
        values = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
    assert values == [("a test's session",), ("Asia/Shanghai",), ("3s",), ("5s",), ("UTF8",)]


def test_options_of_the_address_stay(postgres: Cluster) -> None:
    """A site may add settings of its own to its address."""
    dsn = psycopg.conninfo.make_conninfo(postgres.dsn(), options="-c work_mem=9MB")
    with server.connect(dsn, application="test") as connection:
        assert connection.execute("SELECT current_setting('work_mem')").fetchone() == ("9MB",)


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"dbname": "absent"}, {"user": "nobody_at_all"}])
def test_a_refusal_is_a_matter_of_configuration(postgres: Cluster, changed: dict[str, str]) -> None:
    """The server answers and does not let us in: at once an error that names all but the password."""
    dsn = psycopg.conninfo.make_conninfo(postgres.dsn(), **changed)
    with pytest.raises(ConfigurationError, match=str(postgres.port)) as caught:
        server.connect(dsn, application="test")
    assert "wrong" not in str(caught.value)


def test_an_unreachable_server_is_tried_for_a_bounded_time(free_port: Callable[[], int]) -> None:
    """Where nothing listens the attempt ends after the given time and may be repeated."""
    dsn = server.dsn_for(host="127.0.0.1", port=free_port(), database="x", user="x")
    begun = time.monotonic()
    with pytest.raises(RetryableError):
        server.connect(dsn, application="test", wait_seconds=0.5)
    assert time.monotonic() - begun < 60


def test_a_starting_server_is_waited_for(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """A session is asked for before the server is there, and comes when it is."""
    cluster = Cluster(tmp_path / "cluster", port=free_port(), extra=FORGETFUL)
    cluster.start()
    cluster.stop()
    start = threading.Timer(0.5, cluster.start)
    start.start()
    try:
        with server.connect(cluster.dsn(), application="test", wait_seconds=60) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        start.join()
        cluster.stop()


def test_too_many_sessions_are_retried(postgres: Cluster, database: str) -> None:
    """A full server is no wrong configuration."""
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    with server.connect(postgres.dsn(), application="test", autocommit=True) as connection:
        connection.execute("CREATE ROLE narrow LOGIN PASSWORD 'narrow' CONNECTION LIMIT 1")
    dsn = server.dsn_for(host="127.0.0.1", port=postgres.port, database=str(name), user="narrow", password="narrow")  # noqa: S106
    with server.connect(dsn, application="test"), pytest.raises(RetryableError):
        server.connect(dsn, application="test", wait_seconds=0.3)
    with server.connect(postgres.dsn(), application="test", autocommit=True) as connection:
        connection.execute("DROP ROLE narrow")


def test_an_old_server_is_refused(postgres: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest version that is supported is named."""
    monkeypatch.setattr(server, "VERSION_MIN", 99)
    with pytest.raises(ConfigurationError, match="99"):
        server.connect(postgres.dsn(), application="test")


def test_a_pool_lends_sessions_and_commits(database: str) -> None:
    """What is done with a lent session is committed when it is given back, and undone on an error."""
    with server.pool(database, application="test", size_max=2) as pool:
        with pool.connection() as connection:
            connection.execute("CREATE TABLE kept (n int)")
        with pytest.raises(psycopg.errors.DivisionByZero), pool.connection() as connection:
            connection.execute("INSERT INTO kept VALUES (1); SELECT 1 / 0")
        with pool.connection() as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
            assert connection.execute("SELECT current_setting('TimeZone')").fetchone() == ("Asia/Shanghai",)


def test_a_pool_replaces_sessions_that_the_server_ended(postgres: Cluster, database: str) -> None:
    """A restart of the server costs its sessions, not the pool."""
    with server.pool(database, application="test", size_max=1) as pool:
        with pool.connection() as connection:
            pid = connection.info.backend_pid
        with server.connect(postgres.dsn(), application="test") as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_pool_with_a_wrong_address_fails_at_once(postgres: Cluster) -> None:
    """The refusal is ours and not a time-out of a thread."""
    with pytest.raises(ConfigurationError):
        server.pool(postgres.dsn("absent"), application="test", size_max=2)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("08006", RetryableError),
        ("40001", RetryableError),
        ("40P01", RetryableError),
        ("53100", RetryableError),
        ("53300", RetryableError),
        ("55P03", RetryableError),
        ("57014", RetryableError),
        ("57P01", RetryableError),
        ("57P03", RetryableError),
        ("25P03", RetryableError),
        ("28P01", ConfigurationError),
        ("3D000", ConfigurationError),
        ("42501", ConfigurationError),
        ("23505", OperatorError),
        ("22021", OperatorError),
        ("42P01", OperatorError),
        ("XX001", OperatorError),
    ],
)
def test_each_state_says_who_must_act(state: str, kind: type[QianzhiError]) -> None:
    """Passing troubles are retried, rights are configured, the rest is for an operator."""
    assert type(server.translate(psycopg.errors.lookup(state)("some text"), "It failed.")) is kind


def test_a_broken_connection_is_retried(postgres: Cluster) -> None:
    """The server ended the session in the middle: no SQLSTATE may be left, and it is retried."""
    with server.connect(postgres.dsn(), application="test") as connection:
        with pytest.raises(RetryableError), server.translated("The step failed"):
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(RetryableError), server.translated("The step failed"):
            connection.execute("SELECT 1")


def test_a_lock_that_somebody_holds_is_retried(database: str) -> None:
    """Waiting for a lock ends after lock_timeout."""
    with (
        server.connect(database, application="test") as holder,
        server.connect(database, application="test", lock_timeout_seconds=0.1) as waiter,
    ):
        holder.execute("CREATE TABLE taken (n int)")
        holder.commit()
        holder.execute("LOCK TABLE taken")
        with pytest.raises(RetryableError, match="55P03"), server.translated("The step failed"):
            waiter.execute("SELECT * FROM taken")


def test_an_error_names_the_constraint_and_not_the_value(database: str) -> None:
    """A duplicate key is told by its constraint; neither text nor chain of the error repeats the key."""
    with server.connect(database, application="test") as connection:
        connection.execute("CREATE TABLE people (zjhm text CONSTRAINT one_of_each UNIQUE)")
        connection.execute("INSERT INTO people VALUES ('11010119000101001X')")
        with (
            pytest.raises(OperatorError, match=r"The person was not stored \(.*one_of_each") as caught,
            server.translated("The person was not stored."),
        ):
            connection.execute("INSERT INTO people VALUES ('11010119000101001X')")
    assert "11010119" not in str(caught.value)
    assert caught.value.__suppress_context__
