"""The two files of settings of the embedded PostgreSQL, as texts. No I/O."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LOOPBACK = "127.0.0.1"
_IP_VERSION = 4

INITDB = ("--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--data-checksums", "--no-instructions")
_BUILTIN_LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_BUILTIN_LOCALE_SINCE = 17  # before that there is C everywhere: the same order, and case only of ASCII letters

# Nothing here needs much memory: a gateway often shares a small machine. `extra` of a cluster replaces any of it.
SETTINGS: Mapping[str, str] = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "temp_file_limit": "20GB",
    "fsync": "on",
    "full_page_writes": "on",
    "track_commit_timestamp": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "Asia/Shanghai",
    "log_timezone": "Asia/Shanghai",
    "lc_messages": "C",  # the product reads some of the messages
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",  # one a weekday, each overwritten after a week
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_file_mode": "0600",
    # No personal value in a log: no statement, no parameter, no DETAIL ("Key (…)=(…)"), no CONTEXT ("COPY …, line …").
    # The primary message may quote a value too ('invalid input syntax …'); roles.py therefore keeps errors of the
    # product's roles out of the log altogether.
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_min_duration_statement": "-1",
}


def initdb(major: int) -> tuple[str, ...]:
    """Return the arguments by which a cluster of a major version is created."""
    return (*INITDB, *_BUILTIN_LOCALE) if major >= _BUILTIN_LOCALE_SINCE else INITDB


def settings(*, port: int, listen: str, logs: Path, extra: Mapping[str, str]) -> str:
    """Write the text of postgresql.conf."""
    addresses = listen if _includes_loopback(listen) else f"{_LOOPBACK},{listen}"
    fixed = {
        "port": str(port),
        "listen_addresses": addresses,
        "unix_socket_directories": "",
        "log_directory": logs.as_posix(),
    }
    lines = [f"{name} = {_quote(value)}" for name, value in ({**SETTINGS, **extra, **fixed}).items()]
    return "\n".join(["# Written by qianzhi at every start: change the product's settings instead.", *lines, ""])


def access(superuser: str, clients: Sequence[str], client_roles: Sequence[str]) -> str:
    """
    Write the text of pg_hba.conf: passwords from loopback; elsewhere only from `clients`, only as `client_roles`.

    Raises ConfigurationError for what is no network, and for clients without roles.
    """
    if clients and not client_roles:
        raise ConfigurationError(
            "Client networks are set, but no role that may sign in from them.", remedy="Name the roles, or no networks."
        )
    lines = ["# Written by qianzhi at every start: change the product's settings instead."]
    for network in ("127.0.0.1/32", "::1/128"):
        lines.append(f"host all all {network} scram-sha-256")
        lines.append(f"host replication {_quote_name(superuser)} {network} scram-sha-256")
    for client in clients:
        network = _network(client)
        lines += [f"host all {_quote_name(role)} {network} scram-sha-256" for role in client_roles]
    return "\n".join([*lines, ""])


def _includes_loopback(listen: str) -> bool:
    if listen in {"*", "localhost"}:
        return True
    try:
        address = ip_address(listen)
    except ValueError:  # a host name, or several addresses
        return False
    return address.version == _IP_VERSION and (address.is_unspecified or listen == _LOOPBACK)


def _network(client: str) -> str:
    try:
        return str(ip_network(client))
    except ValueError as error:
        raise ConfigurationError(
            f"{client!r} is no network address: {error}.", remedy="Write it as 192.0.2.0/24 or 192.0.2.7."
        ) from error


def _quote(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
