"""When a run of the cycle will be over. Pure: from what waits and what the line lets through."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BITS: Final = 8
WIRE_OVERHEAD: Final = 1.055  # headers of full TCP packets are 4.6 %, TLS records and requests the rest
ROUND_TRIP_SECONDS: Final = 0.05  # where nobody measured
REQUEST_BYTES: Final = 700  # of a request, and of acknowledging its answer
REQUESTS_PER_IMAGE: Final = 2  # whether it is held already, and the image
ROW_BYTES: Final = 200.0  # of a row as it travels, before the first was sent
MEASURED_BYTES_MIN: Final = 2**20  # of less nothing is learnt about a line
MEASURED_BATCH_BYTES_MIN: Final = 2**16  # a smaller batch tells of the destination's pace and not of the line's


@dataclass(frozen=True, slots=True)
class Waiting:
    """What has still to go: rows by dataset, bytes that are sealed already, and images that are not held yet."""

    rows: Mapping[str, int] = field(default_factory=dict)
    sealed_bytes: int = 0
    sealed_count: int = 0  # batches
    image_count: int = 0
    image_bytes: int = 0

    @property
    def row_count(self) -> int:
        """How many rows no batch has yet."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class Experience:
    """What earlier runs taught: bytes of a row as it travels by dataset, and of all that was sent in how long."""

    row_bytes: Mapping[str, float] = field(default_factory=dict)
    bytes_per_second: float | None = None  # of content; None: too little was sent to tell


@dataclass(frozen=True, slots=True)
class Line:
    """The way to a destination; `chunk_rows` is how many rows a batch holds at most."""

    bits_per_second: int
    round_trip_seconds: float = ROUND_TRIP_SECONDS
    chunk_rows: int = 20_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a run will go; all instants aware."""

    begins_at: datetime
    records_done_at: datetime
    ends_at: datetime
    record_bytes: int
    image_bytes: int
    bits_per_second: float  # of content and overhead together
    is_measured: bool

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return (self.ends_at - self.begins_at).total_seconds()


def predict(now: datetime, waiting: Waiting, experience: Experience, line: Line, *, begins_at: datetime) -> Forecast:
    """
    Return how a run goes that begins at an instant, or now where that is over: records first, then images.

    A line that was measured carries what it carried then; one that was not, its bits less what headers take. An image
    that another record names too, or that is held already, is to be left out of `waiting`. Checking and storing go on
    while the line is busy and are not counted: a line of some Mb/s is slower than both ends by far.
    """
    begins_at = max(now, begins_at)
    rate = experience.bytes_per_second or line.bits_per_second / BITS / WIRE_OVERHEAD
    fresh = sum(count * experience.row_bytes.get(name, ROW_BYTES) for name, count in waiting.rows.items())
    batches = waiting.sealed_count + sum(-(-count // line.chunk_rows) for count in waiting.rows.values() if count)
    record_bytes = round(fresh) + waiting.sealed_bytes
    records = _seconds(record_bytes, batches, rate, line)
    images = _seconds(waiting.image_bytes, waiting.image_count * REQUESTS_PER_IMAGE, rate, line)
    return Forecast(
        begins_at=begins_at,
        records_done_at=begins_at + timedelta(seconds=records),
        ends_at=begins_at + timedelta(seconds=records + images),
        record_bytes=record_bytes,
        image_bytes=waiting.image_bytes,
        bits_per_second=rate * BITS * WIRE_OVERHEAD,
        is_measured=experience.bytes_per_second is not None,
    )


def throughput(sent: Iterable[tuple[datetime, float, int]]) -> float | None:
    """
    Return the bytes a second of attempts that had a receipt: when each began, its seconds, its bytes.

    The time in which any was under way counts once, for several share a line. None where too little was sent.
    """
    told = sorted((at, seconds, size) for at, seconds, size in sent if size >= MEASURED_BATCH_BYTES_MIN)
    total = sum(size for _, _, size in told)
    if total < MEASURED_BYTES_MIN:
        return None
    busy, until = 0.0, told[0][0]
    for at, seconds, _ in told:
        end = at + timedelta(seconds=seconds)
        busy += max((end - max(at, until)).total_seconds(), 0.0)
        until = max(until, end)
    return total / busy if busy > 0 else None


def _seconds(content_bytes: int, requests: int, rate: float, line: Line) -> float:
    return (content_bytes + requests * REQUEST_BYTES) / rate + requests * line.round_trip_seconds
