"""
The tables that hold what institutions submitted, made from the dataset files.

`<regulator>.<dataset>` has one partition a month of receipt; the view `<regulator>.current_<dataset>` shows what holds.
Changes only ever add: a column that an edition drops stays, empty.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from psycopg import sql

from qianzhi.db import differ, locks
from qianzhi.db.queries import load
from qianzhi.specs.ddl import column_comment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qianzhi.db.server import Session
    from qianzhi.specs.model import Dataset, Regulator

MONTHS_AHEAD: Final = 1
CURRENT_PREFIX: Final = "current_"

_OWN: Final = (
    differ.Column("batch_seq", "bigint", constraint="NOT NULL"),
    differ.Column("row_id", "bigint", constraint="NOT NULL"),
    differ.Column("received_on", "date", constraint="NOT NULL"),
    differ.Column("accepted", "boolean", constraint="NOT NULL"),
)
_CHANGING: Final = (differ.Kind.CREATE_TABLE, differ.Kind.ADD_COLUMN)
_QUERIES = load("qianzhi.hub", "tables.sql")


def prepare(session: Session, regulator: Regulator, today: date) -> None:
    """Create or extend every table, partition and view of a regulator's edition. Safe to repeat and from anywhere."""
    locks.hold(session, f"hub tables {regulator.key}")
    for dataset in regulator.datasets:
        session.execute(_QUERIES.number_dataset, {"regulator": regulator.key, "dataset": dataset.name})
    numbers = dataset_numbers(session)
    for dataset in regulator.datasets:
        changes = differ.apply(session, [_wanted(regulator.key, dataset)])
        if any(change.kind in _CHANGING for change in changes):
            _index(session, regulator.key, dataset)
            _view(session, regulator.key, dataset, numbers[regulator.key, dataset.name])
    open_months(session, regulator, today)


def open_months(session: Session, regulator: Regulator, today: date) -> None:
    """Create the partitions of this month and of those ahead; they are there before the first row needs them."""
    months = [month_of(today)]
    for _ in range(MONTHS_AHEAD):
        months.append(_after(months[-1]))
    for dataset in regulator.datasets:
        for month in months:
            open_month(session, regulator.key, dataset.name, month)


def open_month(session: Session, schema: str, dataset: str, month: date) -> None:
    """Create the partition of a month, named by its first day, unless it is there."""
    session.execute(
        sql.SQL(_QUERIES.create_partition).format(
            partition=sql.Identifier(schema, partition(dataset, month)),
            table=table(schema, dataset),
            first=sql.Literal(month),
            after=sql.Literal(_after(month)),
        )
    )


def table(schema: str, dataset: str) -> sql.Identifier:
    """Return the table of a dataset's submitted rows."""
    return sql.Identifier(schema, dataset.lower())


def partition(dataset: str, month: date) -> str:
    """Return the name of the partition that holds a month's rows."""
    return f"{dataset.lower()}_{month:%Y%m}"


def month_of(day: date) -> date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def dataset_numbers(session: Session) -> dict[tuple[str, str], int]:
    """Return the short number of each dataset by (regulator, dataset)."""
    return {(str(key), str(name)): int(str(number)) for key, name, number in session.execute(_QUERIES.dataset_numbers)}


def _wanted(schema: str, dataset: Dataset) -> differ.Table:
    fields = tuple(differ.Column(field.name.lower(), comment=column_comment(field)) for field in dataset.fields)
    return differ.Table(schema, dataset.name.lower(), (*_OWN, *fields), dataset.title, partition_key="received_on")


def _index(session: Session, schema: str, dataset: Dataset) -> None:
    name = sql.Identifier(f"{dataset.name.lower()}_batch")
    session.execute(sql.SQL(_QUERIES.create_index).format(index=name, table=table(schema, dataset.name)))


def _view(session: Session, schema: str, dataset: Dataset, number: int) -> None:
    view = sql.Identifier(schema, CURRENT_PREFIX + dataset.name.lower())
    session.execute(sql.SQL(_QUERIES.drop_view).format(view=view))
    session.execute(
        sql.SQL(_QUERIES.create_view).format(
            view=view,
            table=table(schema, dataset.name),
            columns=_columns(field.name.lower() for field in dataset.fields),
            number=sql.Literal(number),
        )
    )


def _columns(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier("s", name) for name in names)


def _after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
