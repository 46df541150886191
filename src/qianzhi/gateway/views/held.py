"""Held rows, what each of them waits for, and where that is: staged, failed, held itself, or never seen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field as with_
from typing import TYPE_CHECKING, Any, Final

from qianzhi import regulators
from qianzhi.db.queries import load
from qianzhi.gateway.views import records
from qianzhi.gateway.views.choice import number, pattern
from qianzhi.gateway.views.personal import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import psycopg

    from qianzhi.gateway.views.records import Place
    from qianzhi.specs.model import Dataset, Regulator

_SQL = load("qianzhi.gateway.views", "records.sql")

PAGE_ROWS_MAX: Final = 100
NEVER_STAGED: Final = "never_staged"
REVOKED: Final = "revoked"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The record that a held row waits for."""

    dataset: str
    key: Mapping[str, str] = with_(metadata=PERSONAL)  # empty where it is too long to be known whole
    state: str
    """Of ledger.views.STATES where its newest row is, REVOKED where it was withdrawn, else NEVER_STAGED."""
    row_id: int | None  # its newest staged row


@dataclass(frozen=True, slots=True)
class Held:
    """A row that waits."""

    row_id: int
    destination: str
    regulator: str
    dataset: str
    code: str
    field: str
    value: str | None = with_(metadata=PERSONAL)
    wants: str = with_(metadata=PERSONAL)  # the wanted record in words
    arrived_at: datetime
    held_at: datetime
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Page:
    """Held rows, those that wait longest first, and how many there are."""

    rows: Sequence[Held]
    total_count: int


def page(
    connection: psycopg.Connection,
    *,
    destination: str | None = None,
    dataset: str | None = None,
    wanted: str | None = None,
    text: str = "",
    offset: int = 0,
    limit: int = 50,
) -> Page:
    """
    Return a page of held rows; at most PAGE_ROWS_MAX.

    `wanted` is the dataset of the record that is waited for, `text` a part of its key or the id of the row that waits.
    """
    parameters = {
        "destination": destination,
        "dataset": dataset,
        "wanted": wanted,
        "pattern": pattern(text) if text else None,
        "number": number(text),
        "offset": max(0, offset),
        "limit": max(0, min(limit, PAGE_ROWS_MAX)),
    }
    rows = connection.execute(_SQL.held, parameters).fetchall()
    (count,) = connection.execute(_SQL.held_count, parameters).fetchone() or (0,)
    known: dict[tuple[str, str], Wanted] = {}  # several rows wait for one
    return Page([_held(connection, row, known) for row in rows], count)


def key_of(wants: str, dataset: Dataset) -> dict[str, str]:
    """Return the key that a held row's `wants` names; empty where it does not say it whole. Pure."""
    parts = ", ".join(f"{re.escape(name)}=(.*)" for name in dataset.key)
    found = re.fullmatch(rf"{re.escape(dataset.name)}\({parts}\)", wants, re.DOTALL)
    return dict(zip(dataset.key, found.groups(), strict=True)) if found else {}


def _held(connection: psycopg.Connection, row: Sequence[Any], known: dict[tuple[str, str], Wanted]) -> Held:
    row_id, destination, regulator, dataset, code, blamed, value, wants, wanted, arrived_at, held_at, live = row
    if (destination, wants) not in known:
        found = _wanted(connection, regulators.regulator(regulator), wanted, wants, destination)
        revoked = live is False and found.state == "accepted"
        known[destination, wants] = Wanted(found.dataset, found.key, REVOKED, found.row_id) if revoked else found
    told = known[destination, wants]
    return Held(row_id, destination, regulator, dataset, code, blamed, value, wants, arrived_at, held_at, told)


def _wanted(connection: psycopg.Connection, regulator: Regulator, dataset: str, wants: str, destination: str) -> Wanted:
    key = key_of(wants, regulator.dataset(dataset))
    newest = records.staged_rows(connection, regulator, regulator.dataset(dataset), key, limit=1) if key else []
    if not newest:
        return Wanted(dataset, key, NEVER_STAGED, None)
    row_id = int(newest[0][0])
    places: Sequence[Place] = records.places_of(connection, regulator, dataset, [row_id]).get(row_id, ())
    states = [place.state for place in places if place.destination == destination]
    return Wanted(dataset, key, states[0] if states else NEVER_STAGED, row_id)
