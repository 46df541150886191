"""What a destination has still to be sent, and how earlier runs went: the facts that a forecast is made of."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from qianzhi.errors import QianzhiError
from qianzhi.gateway.forecast import ROUND_TRIP_SECONDS, Experience, Forecast, Line, Waiting, predict, throughput
from qianzhi.gateway.schedule import following
from qianzhi.gateway.seal import blobs_of
from qianzhi.ledger import backlog, promises, tally
from qianzhi.runtime import clock
from qianzhi.sealing.envelopes import open_envelope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    import psycopg

    from qianzhi.gateway.destination import Destination, Workplace
    from qianzhi.runtime.settings import Link

EXPERIENCE_DAYS: Final = 30
HASHED_BYTES_MAX: Final = 4 * 2**30  # of images that are compared by content; beyond, each path is an image


def forecast(
    connection: psycopg.Connection,
    workplace: Workplace,
    destination: Destination,
    link: Link,
    *,
    now: datetime,
    round_trip_seconds: float = ROUND_TRIP_SECONDS,
) -> Forecast:
    """Return how the run that is under way, or the next one, will go with what waits now."""
    line = Line(link.bits_per_second, round_trip_seconds, workplace.chunk_rows)
    running = tally.running_cycle(connection, destination.name)
    begins_at = now if running else following(clock.local(now), destination.schedule.cycle).replace(tzinfo=clock.LOCAL)
    told = waiting(connection, workplace, destination)
    return predict(now, told, experience(connection, destination, now=now), line, begins_at=begins_at)


def waiting(connection: psycopg.Connection, workplace: Workplace, destination: Destination) -> Waiting:
    """Return what has still to go. An image that the destination may hold already counts while it is not certain."""
    sealed = backlog.sealed(connection, destination.name)
    files: list[Path] = []
    for dataset in destination.regulator.datasets:
        if dataset.image_fields:
            paths = backlog.image_paths(connection, destination.name, destination.regulator.key, dataset)
            files += [workplace.paths.resolve(path) for path in paths]
    fresh = list(_new_images(files, workplace))
    named = _named_images(sealed, workplace, destination)
    promised = promises.left(connection, destination.name)
    return Waiting(
        rows=backlog.waiting(connection, destination.name),
        sealed_bytes=sum(each.byte_count for each in sealed),
        sealed_count=len(sealed),
        image_count=len(fresh) + len(named) + promised.image_count,
        image_bytes=sum(fresh) + sum(named) + promised.byte_count,
    )


def experience(connection: psycopg.Connection, destination: Destination, *, now: datetime) -> Experience:
    """Return what earlier runs taught. Datasets with images say nothing of the line: their attempts carry these too."""
    plain = [dataset.name for dataset in destination.regulator.datasets if not dataset.image_fields]
    return Experience(
        row_bytes=backlog.row_bytes(connection, destination.name, since=now - timedelta(days=EXPERIENCE_DAYS)),
        bytes_per_second=throughput(backlog.sent(connection, destination.name, plain)),
    )


def _new_images(files: list[Path], workplace: Workplace) -> Iterator[int]:
    """Yield the size of each image that no record before it has, and that no batch has brought here."""
    seen: set[bytes] = set()
    hashed_bytes = 0
    for file in dict.fromkeys(files):
        if not file.is_absolute() or str(file).startswith("\\\\"):
            continue
        try:
            size = file.stat().st_size if file.is_file() else 0
            if not size:
                continue
            hashed_bytes += size
            if hashed_bytes <= HASHED_BYTES_MAX:
                with file.open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").digest()
                if digest in seen or workplace.blobs.holds(digest):
                    continue
                seen.add(digest)
        except (OSError, ValueError):  # the check of the row says so
            continue
        yield size


def _named_images(sealed: list[backlog.SealedBatch], workplace: Workplace, destination: Destination) -> list[int]:
    """Return the sizes of the images that batches on their way name; with their receipts they are promised."""
    named: set[bytes] = set()
    for batch in sealed:
        dataset = destination.regulator.dataset(batch.dataset)
        if not dataset.image_fields:
            continue
        try:
            named.update(blobs_of(open_envelope(workplace.spool.read(batch.batch_id, batch.digest)).rows, dataset))
        except QianzhiError:  # lost or settled in between
            continue
    return [workplace.blobs.byte_count(digest) for digest in named if workplace.blobs.holds(digest)]
