"""One record across its versions: every staged row of a key, where each is, what was found, what changed."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as with_
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from qianzhi.db.queries import load
from qianzhi.gateway.views import failed
from qianzhi.gateway.views.personal import PERSONAL
from qianzhi.ledger.views import ROW_STATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import psycopg

    from qianzhi.gateway.views.failed import Failed
    from qianzhi.specs.model import Dataset, Field, Regulator

_SQL = load("qianzhi.gateway.views", "records.sql")

VERSIONS_MAX: Final = 100
FINDINGS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row is towards one destination."""

    destination: str
    state: str  # of ledger.views.STATES
    state_at: datetime | None
    wants: str | None = with_(metadata=PERSONAL)
    batch_id: UUID | None
    received_at: datetime | None  # the receipt of its batch


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that says something else than the version before."""

    field: str
    title: str
    before: str | None = with_(metadata=PERSONAL)
    after: str | None = with_(metadata=PERSONAL)
    is_personal: bool


@dataclass(frozen=True, slots=True)
class Version:
    """One staged row of the record."""

    row_id: int
    change: str | None  # new, modify or revoke; None where the row does not say
    occurred: str | None  # when it happened, as the row writes it
    arrived_at: datetime | None  # known until it has a batch
    values: Mapping[str, str | None] = with_(metadata=PERSONAL)
    places: Sequence[Place]
    findings: Sequence[Failed] = with_(metadata=PERSONAL)
    differences: Sequence[Difference] = with_(metadata=PERSONAL)  # from the version before; all it says for the first


@dataclass(frozen=True, slots=True)
class History:
    """A record: its versions in the order in which they were staged."""

    dataset: str
    key: Mapping[str, str | None] = with_(metadata=PERSONAL)
    versions: Sequence[Version]
    is_bounded: bool  # whether there are older versions than these


def history_of_row(
    connection: psycopg.Connection, regulator: Regulator, dataset: str, row_id: int, *, language: str = "zh"
) -> History | None:
    """Return the history of the record that a staged row belongs to; None where the row is not staged."""
    known = regulator.dataset(dataset)
    statement = sql.SQL(_SQL.staged_row).format(row_id=sql.Literal(row_id), **_names(regulator, known))
    row = connection.execute(statement).fetchone()
    if row is None:
        return None
    key = {name: value for name, value in _values(known, row).items() if name in known.key}
    return history(connection, regulator, dataset, key, language=language)


def archive_of_row(
    connection: psycopg.Connection, regulator: Regulator, dataset: str, row_id: int
) -> tuple[int, str] | None:
    """Return the number and the file of the archive that a row left its staging table for; None where it did not."""
    names = {"regulator": regulator.key, "dataset": dataset, "row_id": row_id}
    return connection.execute(_SQL.archive, names).fetchone()


def history(
    connection: psycopg.Connection,
    regulator: Regulator,
    dataset: str,
    key: Mapping[str, str | None],
    *,
    language: str = "zh",
) -> History:
    """Return the history of the record that has a key: every field of it, blanks around a value do not count."""
    known = regulator.dataset(dataset)
    rows = staged_rows(connection, regulator, known, key, limit=VERSIONS_MAX + 1)
    versions = rows[:VERSIONS_MAX][::-1]
    row_ids = [row[0] for row in versions]
    names = {"regulator": regulator.key, "dataset": dataset, "row_ids": row_ids}
    arrived: dict[int, datetime] = dict(connection.execute(_SQL.arrivals, names).fetchall())
    places = places_of(connection, regulator, dataset, row_ids)
    found = _findings(connection, names, language)
    values = [_values(known, row) for row in versions]
    return History(
        dataset,
        {name: key.get(name) for name in known.key},
        [
            Version(
                row_id,
                _change(known, said),
                said[known.occurred_at],
                arrived.get(row_id),
                said,
                places.get(row_id, ()),
                found.get(row_id, ()),
                tuple(_differences(known, before, said)),
            )
            for row_id, before, said in zip(row_ids, [{}, *values], values, strict=False)
        ],
        is_bounded=len(rows) > VERSIONS_MAX,
    )


def staged_rows(
    connection: psycopg.Connection,
    regulator: Regulator,
    dataset: Dataset,
    key: Mapping[str, str | None],
    *,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Return the staged rows of a key: id and every field, the newest first."""
    conditions = sql.SQL(" AND ").join(_is(name, key.get(name)) for name in dataset.key)
    statement = sql.SQL(_SQL.staged).format(key=conditions, limit=sql.Literal(limit), **_names(regulator, dataset))
    return connection.execute(statement).fetchall()


def places_of(
    connection: psycopg.Connection, regulator: Regulator, dataset: str, row_ids: Sequence[int]
) -> dict[int, list[Place]]:
    """Return where rows are, for each destination."""
    view = sql.Identifier(regulator.key, ROW_STATES)
    statement = sql.SQL(_SQL.states).format(view=view, dataset=sql.Literal(dataset))
    found: dict[int, list[Place]] = {}
    for row_id, *said in connection.execute(statement, {"row_ids": list(row_ids)}):
        found.setdefault(row_id, []).append(Place(*said))
    return found


def _names(regulator: Regulator, dataset: Dataset) -> dict[str, sql.Composable]:
    columns = sql.SQL(", ").join(sql.Identifier(field.name.lower()) for field in dataset.fields)
    return {"table": sql.Identifier(regulator.key, dataset.name), "columns": columns}


def _is(name: str, value: str | None) -> sql.Composed:
    column = sql.SQL("btrim({})").format(sql.Identifier(name.lower()))
    if value is None or not value.strip():
        return sql.SQL("coalesce({}, '') = ''").format(column)
    return sql.SQL("{} = {}").format(column, sql.Literal(value.strip()))


def _values(dataset: Dataset, row: Sequence[Any]) -> dict[str, str | None]:
    return dict(zip((field.name for field in dataset.fields), row[1:], strict=True))


def _change(dataset: Dataset, values: Mapping[str, str | None]) -> str | None:
    change = dataset.change
    said = (values[change.field] or "").strip()
    return {change.new: "new", change.modify: "modify", change.revoke: "revoke"}.get(said)


def _differences(
    dataset: Dataset, before: Mapping[str, str | None], after: Mapping[str, str | None]
) -> Iterator[Difference]:
    for field in dataset.fields:
        if (was := before.get(field.name)) != (now := after[field.name]):
            yield _difference(field, was, now)


def _difference(field: Field, before: str | None, after: str | None) -> Difference:
    return Difference(field.name, field.title, before, after, is_personal=field.personal)


def _findings(connection: psycopg.Connection, names: Mapping[str, Any], language: str) -> dict[int, list[Failed]]:
    rows = connection.execute(_SQL.findings, {**names, "limit": FINDINGS_MAX})
    found: dict[int, list[Failed]] = {}
    for each in failed.by_number(connection, [finding_id for (finding_id,) in rows], language=language):
        found.setdefault(each.row_id, []).append(each)
    return found
