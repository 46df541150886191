"""Sessions of a PostgreSQL server, whichever it is: addresses, settings, waiting, and what an error asks of whom."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import psycopg
from psycopg import Connection, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from qianzhi.db.pool import Pool
from qianzhi.errors import ConfigurationError, OperatorError, QianzhiError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

VERSION_MIN = 14
VERSION_ELSEWHERE_MIN = 10  # of a server that is not ours: what the driver speaks
TIME_ZONE = "Asia/Shanghai"
LOCK_TIMEOUT_SECONDS = 30.0
WAIT_SECONDS = 60.0
_CONNECT_SECONDS = 10
_PAUSE_SECONDS_MIN, _PAUSE_SECONDS_MAX, _PAUSE_GROWTH = 0.1, 3.0, 1.5
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_BUSY = ("too many", "remaining connection slots", "太多", "过多")  # of a server that otherwise answers

# What of an address is true for every role; the rest (passfile, a client's certificate, options, …) is one role's own.
_OF_THE_SERVER = ("hostaddr", "service", "sslmode", "sslrootcert", "channel_binding", "target_session_attrs")

Session = Connection[tuple[object, ...]]

# Whom an error concerns, by SQLSTATE or its class; the longest match counts. Anything else is for an operator.
_CONCERNS: Mapping[str, type[QianzhiError]] = {
    "08": RetryableError,  # the connection broke
    "40": RetryableError,  # deadlock, serialization
    "53": RetryableError,  # disk full, out of memory, too many connections
    "55P03": RetryableError,  # lock_timeout
    "55006": RetryableError,  # object in use
    "57": RetryableError,  # statement_timeout, shutdown, crash, recovery
    "58": OperatorError,  # input or output of the server's files fails
    "25P03": RetryableError,  # idle_in_transaction_session_timeout
    "25006": RetryableError,  # read-only: a standby, soon to be promoted or left
    "28": ConfigurationError,  # role or password
    "3D000": ConfigurationError,  # no such database
    "42501": ConfigurationError,  # missing right
}
_REMEDIES: Mapping[type[QianzhiError], str] = {
    RetryableError: "The same step is taken again.",
    ConfigurationError: "Check the address, the role, its password and its rights.",
    OperatorError: "Look at the server's log and at the state of the step, then take it again.",
}


def dsn_for(
    *,
    host: str,
    port: int | None,
    database: str,
    user: str,
    password: str | None = None,
    options: Mapping[str, str] | None = None,
) -> str:
    """Write a libpq URI, every part percent-encoded; `options` are further libpq parameters."""
    name = quote(user, safe="") + (f":{quote(password, safe='')}" if password is not None else "")
    place = f"[{host}]" if ":" in host else quote(host, safe="")
    place += f":{port}" if port is not None else ""
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    return f"postgresql://{name}@{place}/{quote(database, safe='')}{query}"


def dsn_of_role(dsn: str, user: str, password: str) -> str:
    """Write the libpq URI by which another role reaches the same database; nothing of the first one's stands in it."""
    given = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    options = {name: given[name] for name in _OF_THE_SERVER if name in given}
    host = given.get("host", "")
    if "," in host or "," in given.get("port", ""):  # several servers, which a URI names among its options
        options |= {name: given[name] for name in ("host", "port") if name in given}
        host = ""
    port = given.get("port")
    return dsn_for(
        host=host,
        port=int(port) if port and "port" not in options else None,
        database=given.get("dbname") or ("" if "service" in given else given.get("user", user)),
        user=user,
        password=password,
        options=options,
    )


def connect(
    dsn: str,
    *,
    application: str,
    autocommit: bool = False,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    statement_timeout_seconds: float | None = None,
    wait_seconds: float = WAIT_SECONDS,
    is_ours: bool = True,
) -> Session:
    """
    Open a session, waiting up to `wait_seconds` for a server that starts, recovers or cannot be reached.

    Raises RetryableError when the wait was in vain; ConfigurationError when the server answers but lets us not in,
    or is older than PostgreSQL 14 (10 where it `is_ours` not: then nothing is asked of its planner either).
    """
    complete = _with_settings(dsn, application, lock_timeout_seconds, statement_timeout_seconds, is_ours=is_ours)
    version_min = VERSION_MIN if is_ours else VERSION_ELSEWHERE_MIN
    deadline = time.monotonic() + wait_seconds
    pause = _PAUSE_SECONDS_MIN
    while True:
        try:
            return _require_version(psycopg.connect(complete, autocommit=autocommit), version_min)
        except psycopg.OperationalError as error:
            judged = _judge_refusal(dsn, error)
        if not isinstance(judged, RetryableError) or time.monotonic() + pause > deadline:
            raise judged
        time.sleep(pause)
        pause = min(pause * _PAUSE_GROWTH, _PAUSE_SECONDS_MAX)


def pool(
    dsn: str,
    *,
    application: str,
    size_max: int,
    size_min: int = 1,
    autocommit: bool = False,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    statement_timeout_seconds: float | None = None,
    wait_seconds: float = WAIT_SECONDS,
) -> Pool:
    """
    Open a pool of sessions; use it as a context, or close it.

    `pool.connection()` commits or rolls back like a psycopg connection's own context. The first session is opened
    by `connect`, so a wrong address fails here and not in a thread of the pool.
    """
    connect(dsn, application=application, wait_seconds=wait_seconds).close()
    return Pool(
        _with_settings(dsn, application, lock_timeout_seconds, statement_timeout_seconds),
        name=application,
        size_min=size_min,
        size_max=size_max,
        autocommit=autocommit,
        wait_seconds=wait_seconds,
    )


@contextmanager
def translated(what: str) -> Generator[None]:
    """
    Raise errors of psycopg as the product's own, without their texts: those may quote personal values.

    `what` says which step failed ("The batch was not stored").
    """
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, what) from None


def translate(error: psycopg.Error, what: str) -> QianzhiError:
    """Turn an error of psycopg into ours, which says SQLSTATE and the names of table, column and constraint only."""
    state = error.sqlstate or ("08000" if isinstance(error, psycopg.OperationalError) else "")
    kind = next((_CONCERNS[state[:n]] for n in (5, 2) if state[:n] in _CONCERNS), OperatorError)
    diag = error.diag
    names = ("schema", diag.schema_name), ("table", diag.table_name), ("column", diag.column_name)
    parts = [type(error).__name__, f"SQLSTATE {state}" if state else "no SQLSTATE"]
    parts += [f"{word} {name}" for word, name in (*names, ("constraint", diag.constraint_name)) if name]
    return kind(f"{what.rstrip('.')} ({', '.join(parts)}).", remedy=_REMEDIES[kind])


def _with_settings(
    dsn: str,
    application: str,
    lock_timeout_seconds: float,
    statement_timeout_seconds: float | None,
    *,
    is_ours: bool = True,
) -> str:
    settings = {
        "TimeZone": TIME_ZONE,
        "DateStyle": "ISO",
        "lock_timeout": f"{lock_timeout_seconds * 1000:.0f}",
    }
    if is_ours:
        # Looking up ten thousand keys seems so dear to the planner that it would start workers or compile for it.
        settings |= {"max_parallel_workers_per_gather": "0", "jit": "off"}
    if statement_timeout_seconds is not None:
        settings["statement_timeout"] = f"{statement_timeout_seconds * 1000:.0f}"
    given = conninfo_to_dict(dsn)
    options = [str(given["options"])] if given.get("options") else []
    options += [f"-c {name}={value}" for name, value in settings.items()]
    defaults: dict[str, object] = {"connect_timeout": _CONNECT_SECONDS, **_KEEPALIVE}
    wanted = {name: value for name, value in defaults.items() if name not in given}
    wanted |= {"application_name": application, "client_encoding": "utf8", "options": " ".join(options)}
    return make_conninfo(dsn, **wanted)  # type: ignore[arg-type]


def _judge_refusal(dsn: str, error: psycopg.OperationalError) -> QianzhiError:
    """
    Say what a failed connection means.

    libpq gives no SQLSTATE here and the text is in the server's language, so the server is asked whether it takes
    sessions at all: if it does, it is us whom it refuses.
    """
    given = conninfo_to_dict(dsn)
    place = f"{given.get('host') or given.get('hostaddr') or 'localhost'}:{given.get('port') or 5432}"
    ping = pq.PGconn.ping(make_conninfo(dsn, connect_timeout=_CONNECT_SECONDS).encode())
    said = str(error).lower()
    if ping == pq.Ping.OK and not any(word in said for word in _BUSY):
        who = f"role {given.get('user')!r} and database {given.get('dbname')!r}"
        return ConfigurationError(f"PostgreSQL at {place} refuses {who}.", remedy=_REMEDIES[ConfigurationError])
    if ping == pq.Ping.NO_ATTEMPT:
        return ConfigurationError("The address of PostgreSQL is malformed.", remedy=_REMEDIES[ConfigurationError])
    state = "takes no further sessions now" if ping == pq.Ping.OK else "does not take sessions now"
    return RetryableError(f"PostgreSQL at {place} {state}.", remedy="It is tried again; see that it runs.")


def _require_version(connection: Session, version_min: int) -> Session:
    major = connection.info.server_version // 10_000
    if major < version_min:
        connection.close()
        raise ConfigurationError(
            f"The server is PostgreSQL {major}.", remedy=f"Use PostgreSQL {version_min} or newer, or the embedded one."
        )
    return connection
