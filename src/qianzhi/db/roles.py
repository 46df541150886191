"""
Who may do what in the databases: an owner for each end, and senders, who put rows into staging tables.

Everything is safe to repeat. Passwords go to the server as SCRAM verifiers only, made here, so that none can stand in
its log. The session belongs to a superuser, or to a role with CREATEROLE that owns the database and its schemas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import sql

from qianzhi.db.queries import load
from qianzhi.db.server import translated
from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qianzhi.db.server import Session

LARGE_OBJECTS = "large objects"
_QUERIES = load("qianzhi.db", "roles.sql")
_MILLISECONDS = 1000
_UNLIMITED = -1
# Errors of our roles stay out of the server's log: their primary message may quote a value ('invalid input syntax …').
_QUIET = {"log_min_messages": "log", "log_min_error_statement": "panic"}


@dataclass(frozen=True, slots=True)
class SenderLimits:
    """What one sender may take of the server. The timeouts are defaults that a session may change; the rest is firm."""

    connections_max: int = 20
    idle_in_transaction_seconds: float = 300
    statement_seconds: float = 600
    lock_seconds: float = 30
    temporary_files: str = "1GB"


def ensure_owner(connection: Session, role: str, password: str | None) -> list[str]:
    """
    Create the role that owns an end's database, or give it a new password; None leaves the password.

    Gives the names of settings that this session was not permitted to make (on a server that is not ours).
    """
    with translated(f"The role {role} was not set up"), connection.transaction():
        _ensure_login(connection, role, password, _UNLIMITED)
        return _set(connection, _QUERIES.set_for_role, role, _QUIET)


def ensure_database(connection: Session, database: str, owner: str) -> bool:
    """Create a database for its owner alone, and tell whether it was created; `connection` must be in autocommit."""
    with translated(f"The database {database} was not set up"):
        created = not connection.execute(_QUERIES.database_exists, {"database": database}).fetchone()
        if created:
            try:
                connection.execute(_named(_QUERIES.create_database, database=database, owner=owner))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):  # another process was faster
                created = False
        connection.execute(_named(_QUERIES.close_database, database=database))
        return created


def ensure_sender(
    connection: Session,
    role: str,
    password: str | None,
    *,
    schema: str,
    tables: Iterable[str],
    views: Iterable[str] = (),
    keep: Iterable[str] = ("id",),
    limits: SenderLimits | None = None,
) -> list[str]:
    """
    Create a sender, or bring it to exactly these rights, in the database of the session.

    It may sign in, read these tables and views of the schema, and insert into all columns of the tables but `keep`;
    nothing else.
    Call it again when tables or columns were added. Gives the names of settings that were not permitted, and
    LARGE_OBJECTS where the functions of these are not ours to close.
    """
    limits = limits or SenderLimits()
    with translated(f"The role {role} was not set up"), connection.transaction():
        _ensure_login(connection, role, password, limits.connections_max)
        _close(connection, role, schema)
        for table in tables:
            _grant_table(connection, role, schema, table, frozenset(keep))
        for view in views:
            grant = sql.SQL(_QUERIES.grant_view).format(view=sql.Identifier(schema, view), role=sql.Identifier(role))
            connection.execute(grant)
        path = _set(connection, _QUERIES.set_for_role_here, role, {"search_path": schema})
        refused = path + _set(connection, _QUERIES.set_for_role, role, _settings(limits))
        return [*refused, LARGE_OBJECTS] if large_objects(connection, role) else refused


def set_own_password(connection: Session, role: str, password: str) -> None:
    """Give the role of the session another password; every role may do that for itself."""
    _set_password(connection, role, password)


def large_objects(connection: Session, role: str) -> str:
    """Return the functions of large objects that a role may call, as a REVOKE lists them; empty when there are none."""
    row = connection.execute(_QUERIES.large_objects, {"role": role}).fetchone()
    return str(row[0] or "") if row is not None else ""


def deviations(connection: Session, role: str, schema: str) -> str:
    """Return where a sender's rights on the tables of its schema are not what it was given: `+UPDATE x, -INSERT y`."""
    row = connection.execute(_QUERIES.deviations, {"role": role, "schema": schema}).fetchone()
    return str(row[0] or "") if row is not None else ""


def ensure_login_only(connection: Session, role: str) -> None:
    """Raise ConfigurationError when a role has powers beyond signing in, given by somebody else."""
    row = connection.execute(_QUERIES.powers, {"role": role}).fetchone()
    if row is not None and row[0]:
        raise ConfigurationError(
            f"The role {role} has powers that it must not have: {row[0]}.",
            remedy="Take them away (ALTER ROLE …, REVOKE …), or name another role.",
        )


def _ensure_login(connection: Session, role: str, password: str | None, connections_max: int) -> None:
    if not connection.execute(_QUERIES.role_exists, {"role": role}).fetchone():
        try:
            with connection.transaction():
                connection.execute(_named(_QUERIES.create_role, role=role))
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):  # another process was faster
            pass
    ensure_login_only(connection, role)
    limit = sql.SQL(_QUERIES.limit_connections).format(role=sql.Identifier(role), limit=sql.Literal(connections_max))
    connection.execute(limit)
    if password is not None:
        _set_password(connection, role, password)


def _set_password(connection: Session, role: str, password: str) -> None:
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL(_QUERIES.set_password).format(role=sql.Identifier(role), verifier=sql.Literal(verifier))
    connection.execute(statement)


def _close(connection: Session, role: str, schema: str) -> None:
    """Take from everybody what PostgreSQL gives everybody, and give the sender the way to its schema."""
    database = connection.info.dbname
    connection.execute(_named(_QUERIES.close_database, database=database))
    connection.execute(_named(_QUERIES.close_public_schema))
    connection.execute(_QUERIES.close_large_objects)
    connection.execute(_named(_QUERIES.open_database, database=database, role=role))
    connection.execute(_named(_QUERIES.close_schema, schema=schema, role=role))
    connection.execute(_named(_QUERIES.open_schema, schema=schema, role=role))


def _grant_table(connection: Session, role: str, schema: str, table: str, keep: frozenset[str]) -> None:
    names = [str(name) for (name,) in connection.execute(_QUERIES.columns, {"schema": schema, "table": table})]
    columns = [sql.Identifier(name) for name in names if name not in keep]
    if not columns:
        raise ConfigurationError(
            f"There is no table {schema}.{table} to grant.", remedy="Create the staging tables before the sender."
        )
    statement = sql.SQL(_QUERIES.grant_table).format(
        table=sql.Identifier(schema, table), role=sql.Identifier(role), columns=sql.SQL(", ").join(columns)
    )
    connection.execute(statement)


def _settings(limits: SenderLimits) -> Mapping[str, str]:
    timeouts = {
        "idle_in_transaction_session_timeout": limits.idle_in_transaction_seconds,
        "statement_timeout": limits.statement_seconds,
        "lock_timeout": limits.lock_seconds,
    }
    milliseconds = {name: f"{seconds * _MILLISECONDS:.0f}" for name, seconds in timeouts.items()}
    return {**milliseconds, "temp_file_limit": limits.temporary_files, **_QUIET}


def _set(connection: Session, query: LiteralString, role: str, settings: Mapping[str, str]) -> list[str]:
    """Make settings for a role's sessions; some need a superuser, who may not be at hand."""
    refused = []
    for name, value in settings.items():
        statement = sql.SQL(query).format(
            role=sql.Identifier(role),
            database=sql.Identifier(connection.info.dbname),
            name=sql.Identifier(name),
            value=sql.Literal(value),
        )
        try:
            with connection.transaction():
                connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege:
            refused.append(name)
    return refused


def _named(query: LiteralString, **names: str) -> sql.Composed:
    return sql.SQL(query).format(**{word: sql.Identifier(name) for word, name in names.items()})
