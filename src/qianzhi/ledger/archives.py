"""Archives on record: which settled rows left their staging table for which file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from qianzhi.db import arrow
from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date, datetime

    import polars as pl
    import psycopg

    from qianzhi.db.arrow import Schema


_SQL = load("qianzhi.ledger", "archives.sql")


@dataclass(frozen=True, slots=True)
class Archive:
    """One file of rows of a dataset and month; `file` lies below the folder of archives."""

    archive_id: int
    regulator: str
    dataset: str
    month: date
    part: int
    edition: str
    row_count: int
    content_digest: bytes
    file: str
    file_digest: bytes
    byte_count: int
    key_id: bytes | None  # None where its personal columns are plain
    archived_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return the public form."""
        return {
            "archive": self.archive_id,
            "regulator": self.regulator,
            "dataset": self.dataset,
            "month": f"{self.month:%Y-%m}",
            "part": self.part,
            "edition": self.edition,
            "rows": self.row_count,
            "bytes": self.byte_count,
            "encrypted": self.key_id is not None,
            "archived_at": self.archived_at,
            "file": self.file,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """A staging table whose rows are archived."""

    regulator: str
    dataset: str

    @property
    def names(self) -> dict[str, str]:
        """The parameters that a query knows it by."""
        return {"regulator": self.regulator, "dataset": self.dataset}

    @property
    def identifier(self) -> sql.Identifier:
        """The table in SQL."""
        return sql.Identifier(self.regulator, self.dataset)


def due(session: psycopg.Connection, table: Table, *, before: datetime) -> str | None:
    """Return the ids (an int8multirange as text) of the rows that were settled everywhere before an instant."""
    ids: str | None = _one(session, _SQL.due, {**table.names, "before": before})
    return ids


def first_settled(session: psycopg.Connection, table: Table, ids: str) -> datetime | None:
    """Return when the first of some rows was settled."""
    settled_at: datetime | None = _one(session, _SQL.first_settled, {**table.names, "ids": ids})
    return settled_at


def next_part(session: psycopg.Connection, table: Table, month: date) -> int:
    """Return the number of the next archive of a month."""
    return int(_one(session, _SQL.next_part, {**table.names, "month": month}))


def columns(session: psycopg.Connection, table: Table) -> list[str]:
    """Return the columns of a staging table but for its id, also those that the present edition no longer knows."""
    return [name for (name,) in session.execute(_SQL.columns, table.names)]


def first_ids(session: psycopg.Connection, table: Table, ids: str, *, limit: int) -> str | None:
    """Return the first staged rows among some ids, or None where none is staged."""
    names = {"table": table.identifier, "ids": sql.Literal(ids), "limit": sql.Literal(limit)}
    row = session.execute(sql.SQL(_SQL.first_ids).format(**names)).fetchone()
    return row[0] if row else None


def rows(
    session: psycopg.Connection, table: Table, ids: str, names: Mapping[str, str], schema: Schema
) -> Iterator[pl.DataFrame]:
    """Yield staged rows ascending by id, in bounded frames; `names` says the column of the table for each of ours."""
    selected = (
        sql.SQL("staged.{}::text AS {}").format(sql.Identifier(column), sql.Identifier(name))
        for name, column in names.items()
    )
    statement = sql.SQL(_SQL.rows).format(
        table=table.identifier, ids=sql.Literal(ids), columns=sql.SQL(", ").join(selected)
    )
    return arrow.read_blocks(session, statement, schema=schema)


def drop(session: psycopg.Connection, table: Table, ids: str) -> int:
    """Delete rows from their staging table; return how many. The caller records the archive and commits."""
    return session.execute(sql.SQL(_SQL.drop).format(table=table.identifier, ids=sql.Literal(ids))).rowcount


def record(session: psycopg.Connection, archive: Archive, row_ids: str) -> int:
    """Enter an archive (its id is not asked) and return its id."""
    return int(_one(session, _SQL.record, {**_fields(archive), "row_ids": row_ids}))


def replace(session: psycopg.Connection, archive: Archive) -> None:
    """Say that an archive's rows stand in another file of the same name."""
    session.execute(_SQL.replace, _fields(archive))


def listed(session: psycopg.Connection, *, dataset: str | None = None, archive_id: int | None = None) -> list[Archive]:
    """Return the archives, or those of a dataset, or the one of an id."""
    found = session.execute(_SQL.listed, {"dataset": dataset, "archive_id": archive_id})
    return [Archive(*row) for row in found]


def vacuum(session: psycopg.Connection, table: Table) -> None:
    """Give the room of archived rows to new ones. `session` must be in autocommit."""
    session.execute(sql.SQL(_SQL.vacuum).format(table=table.identifier))


def _fields(archive: Archive) -> dict[str, object]:
    return {name: getattr(archive, name) for name in Archive.__slots__}


def _one(session: psycopg.Connection, query: Any, parameters: Mapping[str, object]) -> Any:  # noqa: ANN401 - of whatever type the query gives
    row = session.execute(query, parameters).fetchone()
    return row[0] if row else None
