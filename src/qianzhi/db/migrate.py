"""
The product's own tables, brought up to date by numbered SQL scripts.

A script is `<package>/migrations/<end>/0001_what_it_does.sql`. Each runs in a transaction of its own together with the
row that records it, so that a killed upgrade is continued by the next; a lock of the database lets one run at a time.
A shipped script is never edited: its checksum is recorded and compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources

from psycopg import sql

from qianzhi.db import locks
from qianzhi.db.queries import load
from qianzhi.db.server import Session, connect, translated
from qianzhi.errors import ConfigurationError, OperatorError, SpecError

SCHEMA = "qianzhi"
_QUERIES = load("qianzhi.db", "migrate.sql")
_FOLDER = "migrations"
_FILE = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")
_OWN_TRANSACTION = re.compile(r"^\s*(BEGIN|COMMIT|ROLLBACK|START\s+TRANSACTION)\s*;", re.IGNORECASE | re.MULTILINE)
_OTHER_UPGRADE_SECONDS_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Script:
    """One step; numbers run from 1 without a gap."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return sha256(self.text.encode()).hexdigest()


def scripts(package: str, end: str) -> list[Script]:
    """Read the scripts of one end of the product in their order; SpecError when a name or a number is wrong."""
    folder = resources.files(package).joinpath(_FOLDER, end)
    if not folder.is_dir():
        raise SpecError(f"{package}/{_FOLDER} has no folder {end!r}.", remedy="Name an end that has scripts.")
    found: list[Script] = []
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        match = _FILE.fullmatch(file.name)
        if match is None or int(match["number"]) != len(found) + 1:
            raise SpecError(
                f"{package}/{_FOLDER}/{end}/{file.name} is not script number {len(found) + 1}.",
                remedy="Name the scripts 0001_what_it_does.sql, 0002_… without a gap, and keep no other file there.",
            )
        text = file.read_text(encoding="utf-8")
        if _OWN_TRANSACTION.search(text):
            raise SpecError(
                f"{package}/{_FOLDER}/{end}/{file.name} begins or ends a transaction.",
                remedy="Leave that out: each script runs in one transaction, together with its record.",
            )
        found.append(Script(len(found) + 1, file.name, text))
    return found


def upgrade(dsn: str, package: str, end: str, *, schema: str = SCHEMA) -> list[str]:
    """
    Run the scripts that the database has not seen, and give their names; none when it is up to date.

    Raises ConfigurationError when a newer release has upgraded the database, OperatorError when a script that ran
    has changed since or a script fails (its transaction is undone), RetryableError when another upgrade takes long.
    """
    shipped = scripts(package, end)
    with connect(dsn, application="qianzhi upgrade", lock_timeout_seconds=_OTHER_UPGRADE_SECONDS_MAX) as connection:
        return [script.name for script in shipped if _run_once(connection, script, shipped, end, schema)]


def pending(dsn: str, package: str, end: str, *, schema: str = SCHEMA) -> list[str]:
    """Name the scripts that `upgrade` would run, changing nothing; raises what it would raise."""
    shipped = scripts(package, end)
    with connect(dsn, application="qianzhi upgrade") as connection, translated("The version was not read"):
        recorded = _recorded(connection, end, schema) if _is_prepared(connection, schema) else {}
    _compare(recorded, shipped, end)
    return [script.name for script in shipped if script.number not in recorded]


def _run_once(connection: Session, script: Script, shipped: list[Script], end: str, schema: str) -> bool:
    with translated(f"The upgrade script {script.name} failed"), connection.transaction():
        locks.hold(connection, f"upgrade {schema}")
        if not _is_prepared(connection, schema):
            connection.execute(_in(schema, _QUERIES.create_schema))
            connection.execute(_in(schema, _QUERIES.create_table))
        recorded = _recorded(connection, end, schema)
        _compare(recorded, shipped, end)
        if script.number in recorded:
            return False
        connection.execute(_in(schema, _QUERIES.look_here_first))
        connection.execute(sql.SQL(script.text))
        values = {"end": end, "number": script.number, "name": script.name, "checksum": script.checksum}
        connection.execute(_in(schema, _QUERIES.record), values)
        return True


def _is_prepared(connection: Session, schema: str) -> bool:
    row = connection.execute(_QUERIES.table_exists, {"schema": schema}).fetchone()
    return row is not None and row[0] is True


def _recorded(connection: Session, end: str, schema: str) -> dict[int, str]:
    rows = connection.execute(_in(schema, _QUERIES.recorded), {"end": end})
    return {int(str(number)): str(checksum) for number, checksum in rows}


def _compare(recorded: dict[int, str], shipped: list[Script], end: str) -> None:
    if len(recorded) > len(shipped):
        raise ConfigurationError(
            f"The database of the {end} is at version {len(recorded)}, this release knows {len(shipped)}.",
            remedy="Install the newer release that upgraded the database, or restore the backup made before it.",
        )
    for script in shipped:
        if recorded.get(script.number, script.checksum) != script.checksum:
            raise OperatorError(
                f"The upgrade script {script.name} is not the one that the database was upgraded with.",
                remedy="Install the published release again; if the file is the published one, report a defect.",
            )


def _in(schema: str, query: str) -> sql.Composed:
    return sql.SQL(query).format(schema=sql.Identifier(schema))
