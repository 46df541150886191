"""The official machine's tables: found by their names in any case, and filled by the columns that a dataset has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl
from psycopg import sql

from qianzhi.db.queries import load
from qianzhi.errors import OperatorError
from qianzhi.sealing.envelopes import blob_column
from qianzhi.sealing.notes import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qianzhi.db.server import Session
    from qianzhi.ledger.reconciliations import Reconciliation
    from qianzhi.specs.model import Dataset

SQL: Final = load("qianzhi.gateway.official", "tables.sql")
ID: Final = "id"  # SEED-000 ch. 1 二: the official side numbers rows itself and never uses a number again
BLOCK_ROWS: Final = 2_000  # of one statement


@dataclass(frozen=True, slots=True)
class Place:
    """Where the official tables stand, and how they are named."""

    schema: str
    table: str  # {dataset} stands for the dataset's name

    def name_of(self, dataset: Dataset) -> str:
        """Return the name of a dataset's table."""
        return self.table.replace("{dataset}", dataset.name)


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is spelt over there; `type` is null where it takes texts as they are."""

    field: str
    name: str
    type: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """An official table as a dataset fills it."""

    identifier: sql.Identifier
    id: sql.Identifier
    columns: tuple[Column, ...]

    def insert(self, session: Session, rows: pl.DataFrame) -> list[int]:
        """Insert rows (one String a field, null where nothing is said) in their order; return their numbers."""
        statement = sql.SQL(SQL.insert).format(
            table=self.identifier,
            id=self.id,
            columns=_listed([sql.Identifier(column.name) for column in self.columns]),
            values=_listed([_value(place, column) for place, column in enumerate(self.columns)]),
            arrays=_listed([sql.SQL("%s::text[]")] * len(self.columns)),
            names=_listed(_names(len(self.columns))),
        )
        found: list[int] = []
        for block in rows.iter_slices(BLOCK_ROWS):
            given = [block[column.field].to_list() for column in self.columns]
            found += [int(str(row[0])) for row in session.execute(statement, given)]
        return found

    def found(self, session: Session, rows: pl.DataFrame, remote_ids: Sequence[int]) -> tuple[int, int]:
        """Return how many of these numbers stand over rows that say the same, and over any rows at all."""
        equal = [
            sql.SQL("t.{} IS NOT DISTINCT FROM {}").format(sql.Identifier(column.name), _value(place, column))
            for place, column in enumerate(self.columns)
        ]
        statement = sql.SQL(SQL.found).format(
            table=self.identifier,
            id=self.id,
            equal=sql.SQL(" AND ").join(equal),
            arrays=_listed([*[sql.SQL("%s::text[]")] * len(self.columns), sql.SQL("%s::bigint[]")]),
            names=_listed([*_names(len(self.columns)), sql.SQL("remote_id")]),
        )
        given = [*(rows[column.field].to_list() for column in self.columns), list(remote_ids)]
        row = session.execute(statement, given).fetchone()
        return (int(str(row[0])), int(str(row[1]))) if row else (0, 0)

    def same(
        self,
        session: Session,
        rows: pl.DataFrame,
        spans: Sequence[Reconciliation],
        *,
        but_for: Sequence[int],
        leave: str | None,
    ) -> pl.DataFrame:
        """
        Return which rows (row_id) stand within some spans of numbers, and under which (remote_id).

        They say the same in every column but `leave`; the numbers `but_for` stand for other rows already.
        """
        chosen = [(place, column) for place, column in enumerate(self.columns) if column.field != leave]
        statement = sql.SQL(SQL.same).format(
            table=self.identifier,
            id=self.id,
            columns=_listed([_plainly(sql.SQL("t.{}").format(sql.Identifier(each.name)), each) for _, each in chosen]),
            values=_listed([_plainly(_value(place, each), each) for place, each in chosen]),
            arrays=_listed([sql.SQL("%s::text[]")] * len(self.columns)),
            names=_listed(_names(len(self.columns))),
        )
        given = [rows[column.field].to_list() for column in self.columns]
        firsts, lasts = [span.first for span in spans], [span.last for span in spans]
        within = [min(firsts), max(lasts), list(but_for), firsts, lasts]
        found = session.execute(statement, [*given, *within]).fetchall()
        return pl.DataFrame(
            [(rows["row_id"][int(str(place)) - 1], int(str(remote_id))) for place, remote_id in found],
            schema=ROWS,
            orient="row",
        )

    def beyond(self, session: Session, newest: int, last: int, spans: Sequence[Reconciliation]) -> tuple[int, int, int]:
        """Return how many rows stand behind a number, up to another, and outside of spans; the first and the last."""
        statement = sql.SQL(SQL.beyond).format(table=self.identifier, id=self.id)
        firsts, lasts = [span.first for span in spans], [span.last for span in spans]
        given = {"newest": newest, "last": last, "firsts": firsts, "lasts": lasts}
        count, first, found = session.execute(statement, given).fetchone() or (0, 0, 0)
        return int(str(count)), int(str(first)), int(str(found))

    def last_id(self, session: Session) -> int:
        """Return the newest number of the table, or 0."""
        row = session.execute(sql.SQL(SQL.last_id).format(table=self.identifier, id=self.id)).fetchone()
        return int(str(row[0])) if row else 0


def find(session: Session, place: Place, dataset: Dataset) -> Table:
    """Return a dataset's table. Raises OperatorError where it is missing, or its columns are not the edition's."""
    name = place.name_of(dataset)
    rows = session.execute(SQL.columns, {"schema": place.schema, "table": name}).fetchall()
    spelt = {str(row[0]) for row in rows}
    chosen = name if name in spelt else next(iter(spelt), None)
    if chosen is None or (len(spelt) > 1 and name not in spelt):
        found = "there is none" if chosen is None else "there are several"
        raise OperatorError(
            f"The official table {place.schema}.{name} was not found: {found}.",
            remedy="Correct machine.table_schema or machine.table in qianzhi.toml, or ask the machine's operator.",
        )
    columns = {
        str(column).lower(): (str(column), None if is_text else str(type_), bool(must))
        for table, column, type_, is_text, must in rows
        if table == chosen
    }
    _require(columns, dataset, f"{place.schema}.{chosen}")
    wanted = [field.name for field in dataset.fields]
    return Table(
        identifier=sql.Identifier(place.schema, chosen),
        id=sql.Identifier(columns[ID][0]),
        columns=tuple(Column(field, *columns[field.lower()][:2]) for field in wanted),
    )


def _require(columns: Mapping[str, tuple[str, str | None, bool]], dataset: Dataset, table: str) -> None:
    known = {field.name.lower() for field in dataset.fields}
    missing = [name for name in (ID, *known) if name not in columns]
    if missing:
        raise OperatorError(
            f"The official table {table} lacks the columns {', '.join(sorted(missing)).upper()}.",
            remedy="The official machine has another edition: import that edition here, or ask its operator to bring "
            "it up to date. Rows wait meanwhile and nothing is lost.",
        )
    more = [spelt for name, (spelt, _, must) in columns.items() if must and name not in known and name != ID]
    if more:
        raise OperatorError(
            f"The official table {table} wants columns that the edition does not know: {', '.join(more)}.",
            remedy="The official machine has another edition: import that edition here.",
        )


def texts_of(rows: pl.DataFrame, dataset: Dataset, images: Mapping[str, str]) -> pl.DataFrame:
    """
    Return what is written over there: texts without blanks around them, null where nothing is said.

    `images` says by the hexadecimal digest of an image where the official side finds it.
    """
    return rows.select("row_id", *(_text(field.name, images if field.image else None) for field in dataset.fields))


def _text(name: str, images: Mapping[str, str] | None) -> pl.Expr:
    text = pl.col(name).str.strip_chars().replace("", None)
    if not images:
        return text
    carried = pl.col(blob_column(name)).replace_strict(images, default=None, return_dtype=pl.String)
    return pl.coalesce(carried, text).alias(name)


def _value(place: int, column: Column) -> sql.Composable:
    given = sql.SQL("given.c{}").format(sql.SQL(str(place)))  # a number of ours
    if column.type is None:
        return given
    return sql.SQL("CAST({} AS {})").format(given, sql.SQL(column.type))  # of the catalogue


def _plainly(value: sql.Composable, column: Column) -> sql.Composable:
    """Return a value as it compares by its text: without the blanks that a type of fixed length adds."""
    return sql.SQL("{}::text").format(value) if column.type is None else value


def _names(count: int) -> list[sql.Composable]:
    return [sql.SQL(f"c{place}") for place in range(count)]  # numbers of ours


def _listed(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
