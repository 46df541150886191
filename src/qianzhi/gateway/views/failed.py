"""Failed rows: findings, chosen, counted and shown a page at a time, at any number of them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from dataclasses import field as with_
from functools import cache
from typing import TYPE_CHECKING, Any, Final, LiteralString

import polars as pl
from psycopg import sql
from psycopg.pq import TransactionStatus

from qianzhi import regulators
from qianzhi.checks.catalogue import catalogue
from qianzhi.db.queries import load
from qianzhi.gateway.views import choice as choices
from qianzhi.gateway.views.choice import Choice, Order
from qianzhi.gateway.views.personal import PERSONAL, is_personal
from qianzhi.ledger.views import key_shown
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    import psycopg

    from qianzhi.checks.catalogue import Catalogue

_SQL = load("qianzhi.gateway.views", "failed.sql")

PAGE_ROWS_MAX: Final = 500
SORTED_ROWS_MAX: Final = 5_000
"""A text is looked for, and another order than by time is made, among so many of the newest findings chosen."""

EXPORT_ROWS_MAX: Final = 100_000
EXPORT_CHUNK_ROWS: Final = 2_000
SELDOM_ROWS_MAX: Final = 20_000
"""So many findings of the kinds chosen are read by their kinds, more by time."""

_TIMED: Final = (Order.NEWEST, Order.OLDEST)
_ORDERS: Final[Mapping[Order, tuple[str, ...]]] = {
    Order.ROW: ("dataset", "row_id", "finding_id"),
    Order.CODE: ("code", "dataset", "finding_id"),
    Order.FIELD: ("field", "dataset", "finding_id"),
}
_BRIEF: Final = pl.Schema(
    {
        "finding_id": pl.Int64(),
        "lane_id": pl.Int64(),
        "row_id": pl.Int64(),
        "code": pl.String(),
        "class": pl.String(),
        "field": pl.String(),
        "severity": pl.String(),
        "origin": pl.String(),
        "found_at": pl.Datetime("us", "UTC"),
    }
)


@dataclass(frozen=True, slots=True)
class Failed:
    """One finding as a page shows it."""

    finding_id: int
    destination: str
    dataset: str
    row_id: int
    key: str | None = with_(metadata=PERSONAL)  # None where the row is staged no more
    code: str
    class_: str
    field: str | None
    value: str | None = with_(metadata=PERSONAL)
    reason: str = with_(metadata=PERSONAL)  # may name the key of another record
    remedy: str
    severity: str
    origin: str
    found_at: datetime
    closed_at: datetime | None
    batch_id: UUID | None
    is_personal: bool  # whether the field blamed says something about a person


@dataclass(frozen=True, slots=True)
class Page:
    """A page of findings, how many there are, and what the lists to choose from offer."""

    rows: Sequence[Failed]
    total_count: int
    is_bounded: bool
    """Whether there are more than could be looked through: `total_count` and the order are of the newest ones."""
    facets: Mapping[str, Mapping[str, int]]  # by facet: value and number, the most first


@dataclass(frozen=True, slots=True)
class _Lane:
    destination: str
    regulator: str
    dataset: str


def page(
    connection: psycopg.Connection,
    choice: Choice,
    *,
    institutions: Iterable[str] = (),
    order: Order = Order.NEWEST,
    offset: int = 0,
    limit: int = 50,
    language: str = "zh",
) -> Page:
    """
    Return a page of the findings chosen.

    `institutions` are the codes by which keys begin: with them a record is found by the last value of its key.
    Total and facets come from counts that are kept as findings are written; with a text, from what it finds.
    """
    with _one_moment(connection):
        reading = _Reading(connection, choice, institutions, language)
        return reading.page(order, max(0, offset), max(0, min(limit, PAGE_ROWS_MAX)))


def export(
    connection: psycopg.Connection,
    choice: Choice,
    *,
    institutions: Iterable[str] = (),
    limit: int = EXPORT_ROWS_MAX,
    language: str = "zh",
) -> Iterator[Sequence[Failed]]:
    """Yield the findings chosen, newest first, in chunks; at most EXPORT_ROWS_MAX. What comes meanwhile is left out."""
    reading = _Reading(connection, choice, institutions, language)
    left = min(limit, EXPORT_ROWS_MAX)
    behind: dict[str, Any] = {}
    while left > 0:
        found = reading.brief(limit=min(left, EXPORT_CHUNK_ROWS), **behind)
        if found.is_empty():
            return
        yield reading.shown.whole(found["finding_id"].to_list())
        behind = {"last_at": found["found_at"][-1], "last_id": found["finding_id"][-1]}
        left -= found.height


def by_number(connection: psycopg.Connection, finding_ids: Sequence[int], *, language: str = "zh") -> list[Failed]:
    """Return findings by their numbers, in that order; those that are gone are left out."""
    return _Shown(connection, language).whole(finding_ids)


@contextmanager
def _one_moment(connection: psycopg.Connection) -> Iterator[None]:
    """Let the counts and the rows of a page be of one moment, unless the caller is in a transaction of its own."""
    is_ours = connection.info.transaction_status is TransactionStatus.IDLE
    with connection.transaction():
        if is_ours:
            connection.execute(_SQL.begin_reading)
        yield


class _Shown:
    """Findings as a page shows them, by their numbers."""

    def __init__(self, connection: psycopg.Connection, language: str) -> None:
        self._connection = connection
        self._language = language
        self.lanes = {lane_id: _Lane(*said) for lane_id, *said in connection.execute(_SQL.lanes)}

    def whole(self, finding_ids: Sequence[int]) -> list[Failed]:
        """Return findings by their numbers, in their order, as a page shows them."""
        if not finding_ids:
            return []
        rows = self._connection.execute(_SQL.whole, {"finding_ids": list(finding_ids)}).fetchall()
        by_lane: dict[int, list[tuple[Any, ...]]] = {}
        for finding_id, lane_id, *said in rows:
            by_lane.setdefault(lane_id, []).append((finding_id, *said))
        shown = {each.finding_id: each for lane_id, found in by_lane.items() for each in self._shown(lane_id, found)}
        return [shown[finding_id] for finding_id in finding_ids if finding_id in shown]

    def _shown(self, lane_id: int, found: list[tuple[Any, ...]]) -> Iterator[Failed]:
        lane = self.lanes[lane_id]
        keys = self._keys(lane, [row_id for _, row_id, *_ in found])
        regulator, texts = regulators.regulator(lane.regulator), _texts(lane.regulator)
        for finding_id, row_id, code, class_, blamed, value, detail, severity, origin, *ends in found:
            found_at, closed_at, batch_id = ends
            said = texts.explain(lane.dataset, code, class_, blamed, detail)
            yield Failed(
                finding_id,
                lane.destination,
                lane.dataset,
                row_id,
                keys.get(row_id),
                code,
                class_,
                blamed,
                value,
                said.reason.said(self._language),
                said.remedy.said(self._language),
                severity,
                origin,
                found_at,
                closed_at,
                batch_id,
                is_personal(regulator, lane.dataset, blamed),
            )

    def _keys(self, lane: _Lane, row_ids: Sequence[int]) -> dict[int, str]:
        try:
            dataset = regulators.regulator(lane.regulator).dataset(lane.dataset)
        except KeyError:  # a dataset of an older edition
            return {}
        table = sql.Identifier(lane.regulator, lane.dataset)
        statement = sql.SQL(_SQL.keys).format(table=table, key=key_shown(dataset))
        return dict(self._connection.execute(statement, {"row_ids": list(row_ids)}).fetchall())


class _Reading:
    """One choice, being read."""

    def __init__(
        self, connection: psycopg.Connection, choice: Choice, institutions: Iterable[str], language: str
    ) -> None:
        self._connection = connection
        self._choice = choice
        self.shown = _Shown(connection, language)
        self._lanes = self.shown.lanes
        self._text = choice.text.strip()
        self._asked = self._parameters(list(institutions))
        self._kinds = self._counted()
        self._seldom = self._by_kind()
        self._search = self._looked_for() if self._text else "true"

    def page(self, order: Order, offset: int, limit: int) -> Page:
        """Return a page, its total and its facets."""
        if self._text:
            return self._searched(order, offset, limit)
        kinds = self._kinds
        count = choices.total(kinds, self._choice)
        is_timed = order in _TIMED
        if is_timed:
            found = self._timed(order, offset, limit)
        else:
            found = self._ordered(self.brief(limit=SORTED_ROWS_MAX), order)[offset : offset + limit]
        is_bounded = not is_timed and count > SORTED_ROWS_MAX
        return Page(self.shown.whole(found), count, is_bounded, choices.facets(kinds, self._choice))

    def brief(self, *, order: Order = Order.NEWEST, limit: int, **more: Any) -> pl.DataFrame:  # noqa: ANN401 - SQL's
        """Return findings chosen, columns of _BRIEF; `more` are parameters of the query."""
        source = _SQL.frequent if self._seldom is None else _SQL.seldom
        statement = sql.SQL(_SQL.chosen).format(
            source=sql.SQL(source),
            search=sql.SQL(self._search),
            behind=sql.SQL(_SQL.behind_newest if "last_id" in more else "true"),
            direction=sql.SQL("ASC" if order is Order.OLDEST else "DESC"),
        )
        parameters = {**self._asked, **(self._seldom or {}), "offset": 0, **more, "limit": limit}
        # Never prepared: a plan for any choice would be a bad plan for most.
        rows = self._connection.execute(statement, parameters, prepare=False).fetchall()
        return pl.DataFrame(rows, schema=_BRIEF, orient="row")

    def _parameters(self, institutions: list[str]) -> dict[str, Any]:
        choice = self._choice
        since, until = choices.instants(choice.since_on, choice.until_on, clock.LOCAL)
        known = sorted({lane.regulator for lane in self._lanes.values()}) if self._text else []
        return {
            "lane_ids": [
                lane_id
                for lane_id, lane in self._lanes.items()
                if choice.destination in {None, lane.destination} and choice.dataset in {None, lane.dataset}
            ],
            "every_lane": choice.destination is None and choice.dataset is None,
            "code": choice.code,
            "class": choice.class_,
            "field": choice.field,
            "severity": choice.severity,
            "origin": choice.origin,
            "since_on": choice.since_on,
            "until_on": choice.until_on,
            "since": since,
            "until": until,
            "open_only": choice.open_only,
            "pattern": choices.pattern(self._text),
            "number": choices.number(self._text),
            "key_hashes": [
                key
                for regulator in known
                for key in choices.key_hashes(self._text, regulators.regulator(regulator), institutions)
            ],
        }

    def _counted(self) -> pl.DataFrame:
        """Return the kinds of all findings of the days chosen; what else is chosen is for the facets to say."""
        rows = self._connection.execute(_SQL.kinds, self._asked, prepare=False).fetchall()
        return self._named(pl.DataFrame(rows, schema=choices.KINDS, orient="row"))

    def _by_kind(self) -> dict[str, list[Any]] | None:
        """Return the parameters by which seldom findings are read; None where those chosen are frequent."""
        kinds = choices.seldom(self._kinds, self._choice, SELDOM_ROWS_MAX)
        if kinds is None:
            return None
        names = {"kind_lanes": "lane_id", "kind_codes": "code", "kind_fields": "field"}
        return {parameter: kinds[name].to_list() for parameter, name in names.items()}

    def _looked_for(self) -> LiteralString:
        """Return the condition by which the text is looked for; note the findings that are known to have it."""
        bounded = {**self._asked, "limit": SORTED_ROWS_MAX + 1}
        known = [finding_id for (finding_id,) in self._connection.execute(_SQL.exact, bounded, prepare=False)]
        self._asked["known"] = known
        if self._seldom is not None:
            return _SQL.search_value
        valued = [finding_id for (finding_id,) in self._connection.execute(_SQL.valued, bounded, prepare=False)]
        if len(valued) > SORTED_ROWS_MAX:
            return _SQL.search_value
        known += valued
        return _SQL.search_known

    def _named(self, frame: pl.DataFrame) -> pl.DataFrame:
        schema = {"lane_id": pl.Int64, "destination": pl.String, "dataset": pl.String}
        said = [(lane_id, lane.destination, lane.dataset) for lane_id, lane in self._lanes.items()]
        return frame.join(pl.DataFrame(said, schema=schema, orient="row"), on="lane_id", how="left")

    def _timed(self, order: Order, offset: int, limit: int) -> list[int]:
        days = self._connection.execute(_SQL.days, self._asked, prepare=False).fetchall()
        span = choices.span_of(days, offset, limit, newest=order is Order.NEWEST)
        if span is None:
            return []
        since, until = choices.instants(span.first_on, span.last_on, clock.LOCAL)
        found = self.brief(order=order, limit=limit, since=since, until=until, offset=span.skipped_count)
        return list(found["finding_id"])

    def _searched(self, order: Order, offset: int, limit: int) -> Page:
        """Return a page of what a text finds; total and facets are of that."""
        found = self.brief(limit=SORTED_ROWS_MAX + 1)
        is_bounded = found.height > SORTED_ROWS_MAX
        found = self._named(found.head(SORTED_ROWS_MAX))
        kinds = found.with_columns(total=pl.lit(1, pl.Int64), open=pl.lit(1, pl.Int64))
        rows = self.shown.whole(self._ordered(found, order)[offset : offset + limit])
        return Page(rows, found.height, is_bounded, choices.facets(kinds, replace(self._choice, open_only=False)))

    def _ordered(self, found: pl.DataFrame, order: Order) -> list[int]:
        if order is Order.OLDEST:
            found = found.reverse()
        elif order is not Order.NEWEST:
            named = found if "dataset" in found.columns else self._named(found)
            found = named.sort(_ORDERS[order], nulls_last=True)
        return list(found["finding_id"])


@cache
def _texts(regulator: str) -> Catalogue:
    return catalogue(regulators.regulator(regulator))
