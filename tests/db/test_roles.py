"""What a sender may do, and what it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors, sql

from qianzhi.db import roles, server
from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.embedded import Cluster
    from qianzhi.db.server import Session

SENDER, OWNER, PASSWORD = "us_pos_test", "owner_test", "an 'awkward' 密码\\"
PERSON = "王小明 440101190001010011"


@pytest.fixture
def owner(postgres: Cluster, database: str) -> Iterator[Session]:
    """The superuser's session in a database with two staging tables of two columns, and the sender set up."""
    with server.connect(database, application="test", autocommit=True) as connection:
        connection.execute("CREATE SCHEMA guangdong")
        for table in ("person", "visit"):
            connection.execute(
                f"CREATE TABLE guangdong.{table} (jgdm text, xm text, id bigint GENERATED ALWAYS AS IDENTITY)"
            )
        connection.execute("CREATE TABLE guangdong.internal (n int)")
        roles.ensure_sender(connection, SENDER, PASSWORD, schema="guangdong", tables=["person", "visit"])
        yield connection
    with server.connect(postgres.dsn(), application="test", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {psycopg.conninfo.conninfo_to_dict(database)['dbname']} WITH (FORCE)")
        connection.execute(f"DROP ROLE {SENDER}")
        connection.execute(f"CREATE DATABASE {psycopg.conninfo.conninfo_to_dict(database)['dbname']}")


@pytest.fixture
def sender_dsn(postgres: Cluster, database: str, owner: Session) -> str:
    """The sender's address."""
    name = str(psycopg.conninfo.conninfo_to_dict(database)["dbname"])
    return server.dsn_for(host="127.0.0.1", port=postgres.port, database=name, user=SENDER, password=PASSWORD)


@pytest.fixture
def sender(sender_dsn: str) -> Iterator[Session]:
    """The sender's session, in autocommit."""
    with server.connect(sender_dsn, application="test", autocommit=True) as connection:
        yield connection


def test_a_sender_inserts_and_reads_without_naming_the_schema(sender: Session) -> None:
    """Upper-case and unqualified names work, as the document's programmes write them; the id comes by itself."""
    sender.execute("INSERT INTO person (JGDM, XM) VALUES ('1', '甲'), ('1', NULL)")
    assert sender.execute("SELECT JGDM, XM, ID FROM person ORDER BY id").fetchall() == [("1", "甲", 1), ("1", None, 2)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE person SET xm = 'x'",
        "DELETE FROM person",
        "TRUNCATE person",
        "INSERT INTO person (jgdm, id) OVERRIDING SYSTEM VALUE VALUES ('1', 7)",
        "INSERT INTO internal VALUES (1)",
        "SELECT * FROM internal",
        "CREATE TABLE mine (n int)",
        "CREATE TABLE public.mine (n int)",
        "CREATE TEMP TABLE mine (n int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE person ADD COLUMN mine text",
        "DROP TABLE person",
        "CREATE INDEX ON person (xm)",
        "SELECT nextval(pg_get_serial_sequence('guangdong.person', 'id'))",
        "COPY person TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT rolpassword FROM pg_authid",
        "SET temp_file_limit = -1",
        "SET log_min_messages = debug5",
        "CREATE ROLE mine",
        f"ALTER ROLE {SENDER} CONNECTION LIMIT 1000",
    ],
)
def test_a_sender_may_do_nothing_else(sender: Session, statement: str) -> None:
    """No change, no deletion, no id of its own, no table, temporary or not, no file, no setting that bounds it."""
    with pytest.raises(errors.InsufficientPrivilege):
        sender.execute(statement)


def test_a_sender_cannot_choose_an_id(sender: Session) -> None:
    """An id is refused before any right is looked at."""
    with pytest.raises(errors.GeneratedAlways):
        sender.execute("INSERT INTO person (jgdm, id) VALUES ('1', 7)")


def test_a_sender_s_sessions_begin_with_limits(sender_dsn: str) -> None:
    """An abandoned transaction ends, large sorts end, and sessions are counted."""
    with psycopg.connect(sender_dsn) as connection:
        names = "idle_in_transaction_session_timeout", "statement_timeout", "lock_timeout", "temp_file_limit"
        values = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in names]
        limit = connection.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user").fetchone()
    assert values == [("5min",), ("10min",), ("30s",), ("1GB",)]
    assert limit == (20,)


def test_setting_up_a_sender_again_changes_nothing(owner: Session, sender_dsn: str) -> None:
    """A repeat without a password keeps the password and the rights."""
    rights = "SELECT relacl::text, attacl::text FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
    rights += " WHERE relnamespace = 'guangdong'::regnamespace ORDER BY 1, 2"
    before = owner.execute(rights).fetchall()
    assert roles.ensure_sender(owner, SENDER, None, schema="guangdong", tables=["person", "visit"]) == []
    assert owner.execute(rights).fetchall() == before
    psycopg.connect(sender_dsn).close()


def test_a_repeat_grants_new_columns_and_takes_back_what_was_added(owner: Session, sender: Session) -> None:
    """The rights are exactly what is asked for, whatever somebody granted in between."""
    owner.execute("ALTER TABLE guangdong.person ADD COLUMN zjhm text")
    owner.execute(f"GRANT DELETE ON guangdong.person TO {SENDER}")
    with pytest.raises(errors.InsufficientPrivilege):
        sender.execute("INSERT INTO person (zjhm) VALUES ('1')")
    roles.ensure_sender(owner, SENDER, None, schema="guangdong", tables=["person"])
    sender.execute("INSERT INTO person (zjhm) VALUES ('1')")
    for statement in ("DELETE FROM person", "SELECT * FROM visit"):
        with pytest.raises(errors.InsufficientPrivilege):
            sender.execute(statement)


def test_a_powerful_role_is_not_taken_for_a_sender(owner: Session) -> None:
    """A role that somebody made a superuser, or a member of another role, is refused."""
    owner.execute(f"GRANT pg_write_all_data TO {SENDER}")
    with pytest.raises(ConfigurationError, match="pg_write_all_data"):
        roles.ensure_sender(owner, SENDER, None, schema="guangdong", tables=["person"])


def test_a_missing_table_is_named(owner: Session) -> None:
    """The sender is set up after its tables."""
    with pytest.raises(ConfigurationError, match=r"guangdong\.absent"):
        roles.ensure_sender(owner, SENDER, None, schema="guangdong", tables=["absent"])


def test_the_server_keeps_a_verifier_only(owner: Session) -> None:
    """The password is stored, and was sent, as a SCRAM verifier."""
    stored = owner.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [SENDER]).fetchone()
    assert stored is not None
    assert str(stored[0]).startswith("SCRAM-SHA-256$4096:")


def test_neither_password_nor_values_reach_the_log(postgres: Cluster, owner: Session, sender: Session) -> None:
    """Errors that quote a value, statements and parameters stay out of the server's log."""
    for statement in ("SELECT {}::int", "SELECT 1 {}", "INSERT INTO person (id) VALUES ({})"):
        with pytest.raises(psycopg.Error):
            sender.execute(sql.SQL(statement).format(sql.Literal(PERSON)))
    with pytest.raises(psycopg.Error):
        sender.execute("SELECT %s::text::int", [PERSON])
    owner.execute("CREATE UNIQUE INDEX ON guangdong.person (xm)")
    sender.execute("INSERT INTO person (xm) VALUES (%s)", [PERSON])
    with pytest.raises(errors.UniqueViolation):
        sender.execute("INSERT INTO person (xm) VALUES (%s)", [PERSON])
    logged = "".join(path.read_text(encoding="utf-8") for path in postgres.logs.glob("*.log"))
    assert "database system is ready" in logged
    assert PERSON[:3] not in logged
    assert PASSWORD not in logged


def test_an_owner_owns_its_database_and_nothing_else(postgres: Cluster) -> None:
    """The owner makes schemas there; other roles cannot even connect; a repeat changes nothing."""
    name = "owned_test"
    with server.connect(postgres.dsn(), application="test", autocommit=True) as superuser:
        try:
            assert roles.ensure_owner(superuser, OWNER, PASSWORD) == []
            roles.ensure_owner(superuser, "other_test", PASSWORD)
            assert roles.ensure_database(superuser, name, OWNER)
            assert not roles.ensure_database(superuser, name, OWNER)
            place = {"host": "127.0.0.1", "port": postgres.port, "database": name, "password": PASSWORD}
            with server.connect(server.dsn_for(user=OWNER, **place), application="test") as connection:  # type: ignore[arg-type]
                connection.execute("CREATE SCHEMA ledger")
                connection.execute("CREATE TEMP TABLE scratch (n int)")
            with pytest.raises(ConfigurationError):
                server.connect(server.dsn_for(user="other_test", **place), application="test")  # type: ignore[arg-type]
        finally:
            superuser.execute(f"DROP DATABASE IF EXISTS {name}")
            superuser.execute(f"DROP ROLE IF EXISTS {OWNER}")
            superuser.execute("DROP ROLE IF EXISTS other_test")


def test_on_a_foreign_server_missing_powers_are_told(postgres: Cluster) -> None:
    """An administrator who is no superuser sets up a sender; what the server forbids is named, not fatal."""
    with server.connect(postgres.dsn(), application="test", autocommit=True) as superuser:
        superuser.execute("CREATE ROLE administrator LOGIN CREATEROLE CREATEDB PASSWORD 'x'")
        superuser.execute("CREATE DATABASE foreign_test OWNER administrator")
        place = {"host": "127.0.0.1", "port": postgres.port, "user": "administrator", "password": "x"}
        try:
            dsn = server.dsn_for(database="foreign_test", **place)  # type: ignore[arg-type]
            with server.connect(dsn, application="test", autocommit=True) as connection:
                connection.execute("CREATE SCHEMA guangdong")
                connection.execute("CREATE TABLE guangdong.person (xm text, id bigint GENERATED ALWAYS AS IDENTITY)")
                refused = roles.ensure_sender(connection, SENDER, PASSWORD, schema="guangdong", tables=["person"])
                named = roles.large_objects(connection, SENDER)
            assert refused == ["temp_file_limit", "log_min_messages", "log_min_error_statement", roles.LARGE_OBJECTS]
            with server.connect(postgres.dsn("foreign_test"), application="test") as helpful:
                helpful.execute(f"REVOKE EXECUTE ON FUNCTION {named} FROM PUBLIC".encode())
                assert roles.large_objects(helpful, SENDER) == ""
        finally:
            superuser.execute("DROP DATABASE foreign_test WITH (FORCE)")
            superuser.execute(f"DROP ROLE IF EXISTS {SENDER}")
            superuser.execute("DROP ROLE administrator")
