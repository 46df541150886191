"""
The console's slowest page: failed rows, filtered in every way among a million findings.

Timed: one call of the data layer for a page of fifty with its total and its lists to choose from, on an open session;
what a browser does with it is measured elsewhere. Every filter is asked once per round and page; p95 is told of each.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from qianzhi.bench.figures import Report, Series, percentiles
from qianzhi.bench.ground import APPLICATION, INSTITUTION, Ground
from qianzhi.db.queries import load
from qianzhi.db.server import Session, connect
from qianzhi.gateway import assembly
from qianzhi.gateway.views import failed
from qianzhi.gateway.views.choice import Choice, Order
from qianzhi.ledger import counts
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROWS: Final = 1_000_000
DAYS: Final = 60
ASKED_PER_ROUND: Final = 4
PAGE_ROWS: Final = 50
MILLISECONDS_MAX: Final = 500.0
_SQL = load("qianzhi.bench", "console.sql")
_MILLISECONDS = 1000.0


def run(rows: int, rounds: int, tell: Callable[[str], None]) -> Report:
    """Measure every filter among `rows` findings; twice at least."""
    with (
        Ground() as ground,
        connect(assembly.owner_dsn(ground.home, ground.settings), application=APPLICATION) as session,
    ):
        took = _fill(session, rows)
        tell(f"{rows} findings are there after {took:,.0f} s")
        chosen = _choices(session, rows)
        times: dict[str, list[float]] = {name: [] for name in chosen}
        for number in range(max(2, rounds * ASKED_PER_ROUND)):
            for name, (choice, order) in chosen.items():
                times[name].append(_ask(session, choice, order, number))
        session.rollback()
    series = [Series(name, "ms", [percentiles(values)["p95"]]) for name, values in times.items()]
    for each in series:
        tell(f"{each.name}: {each.middle:,.0f} ms")
    bounds = {each.name: MILLISECONDS_MAX for each in series}
    facts = {"findings": rows, "days": DAYS, "asked": len(next(iter(times.values()))), "page": PAGE_ROWS, "told": "p95"}
    return Report("console", series, bounds=bounds, facts=facts)


def _fill(session: Session, rows: int) -> float:
    begun = clock.monotonic()
    until = datetime.combine(clock.local_now().date(), time(3), clock.LOCAL)
    session.execute(_SQL.fill, {"rows": rows, "days": min(DAYS, rows), "until": until})
    counts.fold(session)
    session.commit()
    session.autocommit = True
    session.execute(_SQL.settle_down)
    return clock.monotonic() - begun


def _choices(session: Session, rows: int) -> Mapping[str, tuple[Choice, Order]]:
    codes = [str(code) for code, _ in session.execute(_SQL.seldom)]
    ((row_id,),) = session.execute(_SQL.middle, {"rows": rows}).fetchall()
    today = clock.local_now().date()
    newest = {
        "everything": Choice(),
        "open": Choice(open_only=True),
        "destination": Choice(destination="hub"),
        "dataset, frequent": Choice(dataset="treatment_record"),
        "dataset, seldom": Choice(dataset="contacts"),
        "code, frequent": Choice(code=codes[-1]),
        "code, seldom": Choice(code=codes[0]),
        "class": Choice(class_="E06"),
        "field": Choice(field="TBRQSJ"),
        "severity": Choice(severity="error"),
        "origin": Choice(origin="hub"),
        "days": Choice(since_on=today - timedelta(days=20), until_on=today - timedelta(days=10)),
        "all at once": Choice(
            "hub", "person", codes[-1], severity="error", since_on=today - timedelta(days=40), open_only=True
        ),
        "text in the value": Choice(text="value 4711"),
        "text in no value": Choice(text="nowhere"),
        "text in every value": Choice(text="value"),
        "row": Choice(text=str(row_id)),
        "key": Choice(text="MZ0000004711"),
    }
    ordered = {
        "everything, oldest": (Choice(), Order.OLDEST),
        "open, by row": (Choice(open_only=True), Order.ROW),
        "dataset, by code": (Choice(dataset="treatment_record"), Order.CODE),
    }
    return {name: (choice, Order.NEWEST) for name, choice in newest.items()} | ordered


def _ask(session: Session, choice: Choice, order: Order, number: int) -> float:
    """Return how long a page takes; another page each time, the deep ones too."""
    offset = PAGE_ROWS * (0, 1, 20, 2_000)[number % 4]
    begun = clock.monotonic()
    failed.page(session, choice, institutions=[INSTITUTION], order=order, offset=offset, limit=PAGE_ROWS)
    return (clock.monotonic() - begun) * _MILLISECONDS
