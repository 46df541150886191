"""/metrics: what the gateway does, in the text format of Prometheus. Numbers only, under labels that are bounded."""

from __future__ import annotations

import shutil
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

import qianzhi
from qianzhi.db.server import connect
from qianzhi.errors import QianzhiError
from qianzhi.ledger import measures, promises, tally
from qianzhi.runtime import clock
from qianzhi.runtime.home import End
from qianzhi.runtime.lives import Phase
from qianzhi.runtime.supervisor import read_states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import psycopg
    from prometheus_client import Metric

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.runtime.home import Home

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
CACHE_SECONDS: Final = 5.0  # a storm of scrapes costs PostgreSQL as much as one
DATABASE_WAIT_SECONDS: Final = 2.0
STATEMENT_SECONDS_MAX: Final = 3.0
ATTEMPTS_WINDOW: Final = timedelta(days=1)
STATES: Final = ("submitted", "accepted", "rejected", "ended_here", "delivered", "held", "on_the_way", "waiting")
OUTCOMES: Final = ("receipt", "delivered", "RetryableError", "OperatorError", "SenderError")
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Measured:
    """The numbers of one destination; seconds and instants (seconds since 1970) are None before the first."""

    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # dataset → state → rows
    open_batches: int = 0
    waiting_seconds: float | None = None
    cycle_seconds: float | None = None
    cycle_finished: float | None = None
    attempts: Mapping[str, int] = field(default_factory=dict)
    image_count: int = 0
    image_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything at one moment; no destinations while PostgreSQL does not answer."""

    free_bytes: int
    total_bytes: int
    parts: Mapping[str, bool]  # whether each is up
    is_database_up: bool = False
    destinations: Mapping[str, Measured] = field(default_factory=dict)


class Exposition:
    """The text for a scrape, made anew at most every CACHE_SECONDS, by one thread for all that ask meanwhile."""

    def __init__(self, gather: Callable[[], Measures], *, now: Callable[[], float] = clock.monotonic) -> None:
        self._gather, self._now = gather, now
        self._lock = threading.Lock()
        self._text, self._made_at = b"", float("-inf")

    def text(self) -> bytes:
        """Return what a scrape is told."""
        with self._lock:
            if self._now() - self._made_at >= CACHE_SECONDS:
                self._text = render(self._gather())
                self._made_at = self._now()
            return self._text


def gather(home: Home, workplace: Workplace, destinations: Iterable[Destination]) -> Measures:
    """Return the numbers as they are now; bounded in time, also while PostgreSQL is away."""
    usage = shutil.disk_usage(home.end(End.GATEWAY).root)
    parts = {part.name: part.phase is Phase.UP for part in read_states(home.end(End.GATEWAY).run)}
    try:
        with connect(
            workplace.dsn,
            application="qianzhi metrics",
            autocommit=True,
            wait_seconds=DATABASE_WAIT_SECONDS,
            statement_timeout_seconds=STATEMENT_SECONDS_MAX,
        ) as session:
            found = {each.name: _measured(session, each.name) for each in destinations}
    except QianzhiError:
        return Measures(usage.free, usage.total, parts)
    return Measures(usage.free, usage.total, parts, is_database_up=True, destinations=found)


def render(found: Measures) -> bytes:
    """Return the text format of numbers. Pure."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(found))
    return generate_latest(registry)


class _Collector(Collector):
    """Hands over numbers that were measured; prometheus_client's own collectors of a process are left out."""

    def __init__(self, found: Measures) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        found = self._found
        yield _gauge("qianzhi_info", "Which release this is.", ("version",), [((qianzhi.__version__,), 1)])
        yield _gauge("qianzhi_disk_free_bytes", "Free on the disk of the data directory.", (), [((), found.free_bytes)])
        yield _gauge("qianzhi_disk_bytes", "All of that disk.", (), [((), found.total_bytes)])
        yield _gauge("qianzhi_database_up", "Whether PostgreSQL answers.", (), [((), found.is_database_up)])
        parts = [((name,), is_up) for name, is_up in found.parts.items()]
        yield _gauge("qianzhi_part_up", "Whether a part of the gateway is up.", ("part",), parts)
        yield from _of_destinations(found.destinations)


def _of_destinations(found: Mapping[str, Measured]) -> Iterator[Metric]:
    def each(value: Callable[[Measured], float | None]) -> list[tuple[tuple[str, ...], float]]:
        told = ((name, value(measured)) for name, measured in found.items())
        return [((name,), number) for name, number in told if number is not None]

    at = ("destination",)
    rows = [
        ((name, dataset, state), counts[state])
        for name, measured in found.items()
        for dataset, counts in measured.rows.items()
        for state in STATES
    ]
    attempts = [
        ((name, outcome), count) for name, measured in found.items() for outcome, count in measured.attempts.items()
    ]
    yield _gauge("qianzhi_rows", "Rows of a dataset by what became of them.", (*at, "dataset", "state"), rows)
    yield _gauge("qianzhi_batches_open", "Batches on their way.", at, each(lambda one: one.open_batches))
    yield _gauge("qianzhi_images_open", "Images still to be sent.", at, each(lambda one: one.image_count))
    yield _gauge("qianzhi_images_open_bytes", "Bytes of these.", at, each(lambda one: one.image_bytes))
    yield _gauge(
        "qianzhi_waiting_seconds", "How long the oldest row has waited.", at, each(lambda one: one.waiting_seconds)
    )
    yield _gauge("qianzhi_cycle_seconds", "How long the last cycle took.", at, each(lambda one: one.cycle_seconds))
    yield _gauge(
        "qianzhi_cycle_finished_timestamp_seconds",
        "When the last cycle ended.",
        at,
        each(lambda one: one.cycle_finished),
    )
    yield _gauge("qianzhi_attempts_day", "Attempts of the last day.", (*at, "outcome"), attempts)


def _gauge(
    name: str, sentence: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    gauge = GaugeMetricFamily(name, sentence, labels=labels)
    for said, value in values:
        gauge.add_metric(said, value)
    return gauge


def _measured(session: psycopg.Connection, destination: str) -> Measured:
    now = clock.now()
    oldest_at = measures.oldest_waiting(session, destination)
    cycle = tally.last_cycle(session, destination)
    outcomes = dict.fromkeys((*OUTCOMES, OTHER), 0)
    for outcome, count in measures.attempts(session, destination, since=now - ATTEMPTS_WINDOW).items():
        outcomes[outcome if outcome in OUTCOMES else OTHER] += count
    left = promises.left(session, destination)
    return Measured(
        rows=tally.per_dataset(session, destination),
        open_batches=measures.open_batches(session, destination),
        waiting_seconds=max((now - oldest_at).total_seconds(), 0.0) if oldest_at else None,
        cycle_seconds=(cycle["finished_at"] - cycle["started_at"]).total_seconds() if cycle else None,
        cycle_finished=cycle["finished_at"].timestamp() if cycle else None,
        attempts=outcomes,
        image_count=left.image_count,
        image_bytes=left.byte_count,
    )
