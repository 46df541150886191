"""
Tables made from dataset files, brought to what an edition wants by adding only.

It creates tables, adds columns and writes comments; it never drops or retypes, because a new edition must not lose
what an old one collected. A column added to an existing table stands physically after `id`; nothing may depend on
the order of the columns, and the columns of an INSERT are always named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from psycopg import sql

from qianzhi.db import locks
from qianzhi.db.queries import load
from qianzhi.db.server import translated
from qianzhi.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qianzhi.db.server import Session

_QUERIES = load("qianzhi.db", "differ.sql")
_TYPE = re.compile(r"[a-z][a-z0-9 ]*(\(\d+(,\d+)?\))?(\[\])?")
_CONSTRAINTS = ("", "GENERATED ALWAYS AS IDENTITY", "GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "NOT NULL")


@dataclass(frozen=True, slots=True)
class Column:
    """A wanted column; `type` as PostgreSQL prints it ("text", "bigint", "timestamp with time zone")."""

    name: str
    type: str = "text"
    comment: str | None = None
    constraint: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A wanted table with its columns in the order of creation; `partition_key` makes it partitioned by range."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    comment: str | None = None
    partition_key: str | None = None


class Kind(StrEnum):
    """What a change does, or why there is none."""

    CREATE_TABLE = "create table"
    ADD_COLUMN = "add column"
    COMMENT = "comment"
    LEFT_UNWANTED = "left: the edition no longer wants it"
    LEFT_RETYPED = "left: the edition wants another type"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between a table and what is wanted; `column` is None for the table itself."""

    kind: Kind
    schema: str
    table: str
    column: str | None = None
    statement: sql.Composed | None = None


def plan(connection: Session, tables: Iterable[Table]) -> list[Change]:
    """Compare wanted tables with what is there, changing nothing."""
    with translated("The tables were not compared"):
        return [change for table in tables for change in _changes(connection, table)]


def apply(connection: Session, tables: Iterable[Table]) -> list[Change]:
    """
    Make the tables what is wanted, and give what was done and what was left.

    Each table is one transaction (or savepoint) under the lock of its schema, so a killed run is continued by the next
    and no table stays locked for the others' sake. Raises RetryableError when sessions keep a table from being altered.
    """
    done = []
    for table in tables:
        with translated(f"The table {table.schema}.{table.name} was not extended"), connection.transaction():
            locks.hold(connection, f"differ {table.schema}")
            changes = list(_changes(connection, table))
            for change in changes:
                if change.statement is not None:
                    connection.execute(change.statement)
        done += changes
    return done


def _changes(connection: Session, table: Table) -> Iterator[Change]:
    where = {"schema": table.schema, "table": table.name}
    found = connection.execute(_QUERIES.table, where).fetchone()
    if found is None:
        yield Change(Kind.CREATE_TABLE, table.schema, table.name, None, _create(table))
        present: dict[str, tuple[str, str | None]] = {}
    else:
        rows = connection.execute(_QUERIES.columns, where)
        present = {str(name): (str(kind), None if comment is None else str(comment)) for name, kind, comment in rows}
        yield from _column_changes(table, present)
    comments = {name: comment for name, (_, comment) in present.items()}
    yield from _comment_changes(table, str(found[0]) if found and found[0] else None, comments)


def _column_changes(table: Table, present: dict[str, tuple[str, str | None]]) -> Iterator[Change]:
    for column in table.columns:
        if column.name not in present:
            statement = sql.SQL("ALTER TABLE {} ADD COLUMN {}").format(_name(table), _define(column))
            yield Change(Kind.ADD_COLUMN, table.schema, table.name, column.name, statement)
        elif present[column.name][0] != column.type:
            yield Change(Kind.LEFT_RETYPED, table.schema, table.name, column.name)
    for name in present.keys() - {column.name for column in table.columns}:
        yield Change(Kind.LEFT_UNWANTED, table.schema, table.name, name)


def _comment_changes(table: Table, comment: str | None, present: dict[str, str | None]) -> Iterator[Change]:
    """Write what is wanted and differs; a comment that nobody wants is somebody's own and stays."""
    if table.comment is not None and table.comment != comment:
        statement = sql.SQL("COMMENT ON TABLE {} IS {}").format(_name(table), sql.Literal(table.comment))
        yield Change(Kind.COMMENT, table.schema, table.name, None, statement)
    for column in table.columns:
        if column.comment is not None and column.comment != present.get(column.name):
            name = sql.Identifier(table.schema, table.name, column.name)
            statement = sql.SQL("COMMENT ON COLUMN {} IS {}").format(name, sql.Literal(column.comment))
            yield Change(Kind.COMMENT, table.schema, table.name, column.name, statement)


def _create(table: Table) -> sql.Composed:
    columns = sql.SQL(", ").join(map(_define, table.columns))
    schema = sql.SQL("CREATE SCHEMA IF NOT EXISTS {}; ").format(sql.Identifier(table.schema))
    statement = schema + sql.SQL("CREATE TABLE {} ({})").format(_name(table), columns)
    if table.partition_key is None:
        return statement
    return statement + sql.SQL(" PARTITION BY RANGE ({})").format(sql.Identifier(table.partition_key))


def _define(column: Column) -> sql.Composed:
    if _TYPE.fullmatch(column.type) is None or column.constraint not in _CONSTRAINTS:
        raise SpecError(
            f"The column {column.name!r} has the type {column.type!r} {column.constraint!r}.",
            remedy="Write the type as PostgreSQL prints it, and a constraint that the differ knows.",
        )
    return sql.SQL(" ").join((sql.Identifier(column.name), sql.SQL(column.type), sql.SQL(column.constraint)))


def _name(table: Table) -> sql.Identifier:
    return sql.Identifier(table.schema, table.name)
