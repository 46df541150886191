"""An official front machine as the documents tell of it: twelve typed tables, and `us_pos` that selects and inserts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from qianzhi.gateway.official.door import FrontDoor, LedgerJournal, Machine
from qianzhi.gateway.official.folder import Folder
from qianzhi.gateway.official.tables import Place
from qianzhi.specs.ddl import published_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qianzhi.specs.model import Dataset, Regulator

PREFIX = "D:\\agreed\\images"
SECRET = "correct horse"  # noqa: S105  # of a database that is thrown away


@dataclass(frozen=True, slots=True)
class Official:
    """A database that plays the official machine, and how hospitals sign in there."""

    owner_dsn: str
    dsn: str  # of the hospital's account, the password by passfile
    role: str
    passfile: Path
    images: Path

    def ask(self, statement: LiteralString | sql.Composed, *values: object) -> list[tuple[Any, ...]]:
        """Ask as its owner."""
        with psycopg.connect(self.owner_dsn, autocommit=True) as session:
            cursor = session.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def count(self, dataset: str) -> int:
        """Return how many rows a table has."""
        ((count,),) = self.ask(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("public", dataset)))
        return int(count)

    def machine(self, *, table: str = "{dataset}", images: bool = True) -> Machine:
        """Return it as settings describe it."""
        folder = Folder(self.images, PREFIX) if images else None
        return Machine(self.dsn, Place("public", table), folder)

    def opener(self, regulator: Regulator, ledger: str) -> Callable[[], FrontDoor]:
        """Return what opens a door to it."""
        return lambda: FrontDoor(self.machine(), regulator, LedgerJournal(ledger, "official"))


def make_tables(superuser_dsn: str, regulator: Regulator, role: str) -> None:
    """Make the twelve tables and the account that may select and insert."""
    with psycopg.connect(superuser_dsn, autocommit=True) as session:
        for dataset in regulator.datasets:
            session.execute(table_of(dataset))
        account = sql.Identifier(role)
        session.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(account, sql.Literal(SECRET)))
        session.execute(sql.SQL("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {}").format(account))


def sign_in(superuser_dsn: str, folder: Path, role: str) -> Official:
    """Return an official machine whose tables are made, with an agreed folder and a passfile below `folder`."""
    known = conninfo_to_dict(superuser_dsn)
    place = f"host={known['host']} port={known['port']} dbname={known['dbname']}"
    images, passfile = folder / "agreed", folder / f"passfile-{uuid4().hex}"
    images.mkdir()
    write_password(passfile, f"{known['host']}:{known['port']}:*:{role}", SECRET)
    return Official(superuser_dsn, f"{place} user={role} passfile={passfile}", role, passfile, images)


def write_password(passfile: Path, where: str, password: str) -> None:
    """Write a passfile as libpq wants it."""
    passfile.write_text(f"{where}:{password}\n", encoding="utf-8")
    passfile.chmod(0o600)


def table_of(dataset: Dataset, name: str | None = None) -> sql.Composed:
    """Return the statement that makes an official table: typed columns, and ID numbered by itself."""
    columns = [
        sql.SQL("{} {}").format(sql.Identifier(field.name.lower()), sql.SQL(published_type(field.format)))
        for field in dataset.fields
    ]
    return sql.SQL("CREATE TABLE public.{} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {})").format(
        sql.Identifier(name or dataset.name), sql.SQL(", ").join(columns)
    )
