"""What waits and what went, in rows and bytes: from which the length of a night and the need of disk follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from psycopg import sql

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from uuid import UUID

    import psycopg

    from qianzhi.specs.model import Dataset

_SQL = load("qianzhi.ledger", "backlog.sql")

SEALED_MAX = 10_000  # batches on their way that are looked at
ATTEMPTS_MAX = 2000  # that a line is measured by
IMAGES_MAX = 200_000  # paths of one field that are looked at


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A batch on its way."""

    dataset: str
    batch_id: UUID
    digest: bytes
    byte_count: int


@dataclass(frozen=True, slots=True)
class Volume:
    """What went since an instant."""

    row_count: int
    first_at: datetime | None
    days: int  # on which anything went


def waiting(connection: psycopg.Connection, destination: str) -> dict[str, int]:
    """Return how many rows of each dataset no batch has yet."""
    return {
        str(dataset): int(count) for dataset, count in connection.execute(_SQL.waiting, {"destination": destination})
    }


def sealed(connection: psycopg.Connection, destination: str) -> list[SealedBatch]:
    """Return the batches on their way, oldest first, at most SEALED_MAX."""
    rows = connection.execute(_SQL.sealed, {"destination": destination, "limit": SEALED_MAX})
    return [SealedBatch(*row) for row in rows]


def row_bytes(connection: psycopg.Connection, destination: str, *, since: datetime) -> dict[str, float]:
    """Return how many bytes a row of each dataset took on its way; datasets that sent nothing are left out."""
    rows = connection.execute(_SQL.row_bytes, {"destination": destination, "since": since})
    return {str(dataset): float(size) for dataset, size in rows}


def sent(
    connection: psycopg.Connection, destination: str, datasets: Collection[str]
) -> list[tuple[datetime, float, int]]:
    """Return of the newest attempts with a receipt when each began, its seconds, and its bytes."""
    said = {"destination": destination, "datasets": list(datasets), "limit": ATTEMPTS_MAX}
    return cast("list[tuple[datetime, float, int]]", connection.execute(_SQL.sent, said).fetchall())


def image_paths(connection: psycopg.Connection, destination: str, regulator: str, dataset: Dataset) -> list[str]:
    """Return the images, as records spell their paths, of the rows of a dataset that no batch has yet."""
    found: set[str] = set()
    for field in dataset.image_fields:
        statement = sql.SQL(_SQL.image_paths).format(
            column=sql.Identifier("staged", field.name.lower()),
            table=sql.Identifier(regulator, dataset.name),
            destination=sql.Literal(destination),
            dataset=sql.Literal(dataset.name),
            limit=sql.Literal(IMAGES_MAX),
        )
        found.update(str(path) for (path,) in connection.execute(statement))
    return sorted(found)


def volume(connection: psycopg.Connection, *, since: datetime) -> Volume:
    """Return what went to all destinations since an instant."""
    row = connection.execute(_SQL.volume, {"since": since}).fetchone()
    return Volume(*row) if row else Volume(0, None, 0)


def sizes(connection: psycopg.Connection, schemas: Collection[str]) -> tuple[int, int]:
    """Return the bytes that the tables of schemas take, and about how many rows are staged in them."""
    row = connection.execute(_SQL.sizes, {"schemas": list(schemas)}).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)
