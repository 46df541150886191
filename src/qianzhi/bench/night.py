"""
A night of a large internet hospital over the line of the document (2 Mb/s up), scaled down.

The night is 50,000 records and 2 GB of images; `records` says how many of them are run, and the images shrink alike.
The line is cut once on the way and mended, and the whole is timed against what was predicted before it began: records
first, then images, in pieces that a cut line does not cost again.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.bench.figures import Report, Series
from qianzhi.bench.ground import APPLICATION, REGULATOR
from qianzhi.bench.line import Line
from qianzhi.bench.memory import Peak
from qianzhi.bench.ports import LOOPBACK, free_ports
from qianzhi.bench.track import Track
from qianzhi.db.server import connect
from qianzhi.errors import OperatorError
from qianzhi.gateway import assembly
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.gateway.load import forecast
from qianzhi.ledger import promises
from qianzhi.ledger.batches import CycleKind
from qianzhi.runtime import clock
from qianzhi.runtime.sources import write_settings
from qianzhi.synthetic import play
from qianzhi.synthetic.insert import insert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qianzhi.db.server import Session
    from qianzhi.ledger.promises import Left

NIGHT_RECORDS: Final = 50_000
NIGHT_IMAGE_BYTES: Final = 2 * 10**9
RECORDS: Final = 5_000
"""A tenth of the night."""

BITS_PER_SECOND: Final = 2_000_000
STAFF: Final = 100
PEOPLE: Final = 2_000
SHARED_EVERY: Final = 10
"""Each tenth path names a picture that another row named already."""

CUT_AT: Final = 0.4
"""Of the images' bytes."""

CUT_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 0.25
TELL_SECONDS: Final = 30.0
NIGHT_SECONDS_MAX: Final = 6 * 3600.0
ERROR_MAX: Final = 0.20
RECORDS_SHARE_MAX: Final = 0.10
"""How much of the time the records may take: first means that they do not wait for images."""

SENT_RATIO_MAX: Final = 1.10
"""What goes over the line for each byte of distinct images: records, headers, and what the cut costs."""

_DESTINATION: Final = "all"
_IMAGE_FIELDS: Final = ("GRZPCFDZ", "ZGZCFDZ", "ZYZCFDZ")
_PIXEL_BYTES: Final = 3


@dataclass(frozen=True, slots=True)
class _Pictures:
    """What the night's staff rows name."""

    frame: pl.DataFrame
    named_count: int
    distinct_count: int
    distinct_bytes: int


@dataclass(frozen=True, slots=True)
class _Run:
    """What was seen."""

    records_seconds: float
    total_seconds: float
    line_bytes: int


def run(records: int, tell: Callable[[str], None], *, bits_per_second: int = BITS_PER_SECOND) -> Report:
    """Run a night of so many records once."""
    (port,) = free_ports(1)
    with Track((_DESTINATION,), people=PEOPLE) as track:
        pictures = _draw(track, round(NIGHT_IMAGE_BYTES * records / NIGHT_RECORDS))
        with Line(port, track.ports[_DESTINATION], bits_per_second=bits_per_second) as line:
            said = {f"gateway.destinations.{_DESTINATION}.url": f"https://{LOOPBACK}:{port}"}
            write_settings(track.home, said | {"gateway.link.bits_per_second": bits_per_second})
            _stage(track, records, pictures)
            predicted = _predicted_seconds(track)
            tell(f"predicted: {predicted:,.0f} s for {records:,} records and {pictures.distinct_bytes / 1e6:,.0f} MB")
            # The worker sends the images, and goes on when the line is mended.
            with track.working() as worker, Peak(lambda: worker.pid) as peak:
                seen = _send(track, line, pictures, tell)
    facts = _facts(records, pictures, seen, bits_per_second)
    return _report(predicted, seen, pictures, peak.mib, facts)


def _report(
    predicted_seconds: float, seen: _Run, pictures: _Pictures, worker_mib: float, facts: dict[str, object]
) -> Report:
    error = abs(predicted_seconds - seen.total_seconds) / seen.total_seconds
    series = [
        Series("predicted", "s", [predicted_seconds]),
        Series("whole night", "s", [seen.total_seconds]),
        Series("records settled", "s", [seen.records_seconds]),
        Series("error of the prediction", "%", [error * 100]),
        Series("records' share of the time", "%", [seen.records_seconds / seen.total_seconds * 100]),
        Series("sent over the line", "MB", [seen.line_bytes / 1e6]),
        Series("distinct images", "MB", [pictures.distinct_bytes / 1e6]),
        Series("worker", "MiB", [worker_mib]),
    ]
    bounds = {
        "error of the prediction": ERROR_MAX * 100,
        "records' share of the time": RECORDS_SHARE_MAX * 100,
        "sent over the line": pictures.distinct_bytes / 1e6 * SENT_RATIO_MAX,
    }
    return Report("night", series, bounds=bounds, facts=facts)


def _facts(records: int, pictures: _Pictures, seen: _Run, bits_per_second: int) -> dict[str, object]:
    return {
        "scale": f"1:{NIGHT_RECORDS / records:g} of {NIGHT_RECORDS:,} records and {NIGHT_IMAGE_BYTES / 1e9:g} GB",
        "line": f"{bits_per_second / 1e6:g} Mb/s each way, cut once for {CUT_SECONDS:g} s",
        "images": f"{pictures.named_count} named, {pictures.distinct_count} distinct",
        "whole night at full size": f"about {seen.total_seconds * NIGHT_RECORDS / records / 3600:.1f} h",
        "predicted": "before the first row was sealed, without knowing of the cut",
    }


def _draw(track: Track, image_bytes: int) -> _Pictures:
    """Draw the pictures of the night's staff and return the rows that name them."""
    folder = track.home.path / "images"
    folder.mkdir(exist_ok=True)
    played = play(track.plan(PEOPLE), track.regulator).days[0].frames["staff"]
    slots = STAFF * len(_IMAGE_FIELDS)
    distinct = slots - slots // SHARED_EVERY
    side = max(8, round((image_bytes / distinct / _PIXEL_BYTES) ** 0.5))
    paths = [_picture(folder / f"night-{number}.png", side) for number in range(distinct)]
    named = [paths[number % distinct] for number in range(slots)]
    rows = []
    for number in range(STAFF):
        member = played.row(number % played.height, named=True)
        own = named[number * len(_IMAGE_FIELDS) : (number + 1) * len(_IMAGE_FIELDS)]
        rows.append(member | {"YHRYGH": f"N{number}"} | {f: str(p) for f, p in zip(_IMAGE_FIELDS, own, strict=True)})
    frame = pl.DataFrame(rows, schema=played.schema)
    return _Pictures(frame, slots, distinct, sum(path.stat().st_size for path in paths))


def _picture(path: Path, side: int) -> Path:
    """Write a picture of noise, which no compression makes smaller."""
    from PIL import Image

    drawn = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * _PIXEL_BYTES)).save(drawn, "PNG", compress_level=0)
    path.write_bytes(drawn.getvalue())
    return path


def _stage(track: Track, records: int, pictures: _Pictures) -> None:
    with connect(track.sender_dsn, application=APPLICATION) as hospital:
        insert(hospital, f"{REGULATOR}.staff", pictures.frame)
        hospital.commit()
    track.stage(records - STAFF, _DESTINATION)


def _predicted_seconds(track: Track) -> float:
    site = assembly.workplace(track.home, track.settings)
    destination = assembly.destination(track.home, track.settings, _DESTINATION)
    with connect(site.dsn, application=APPLICATION, autocommit=True) as session:
        return forecast(session, site, destination, track.settings.gateway.link, now=clock.now()).seconds


def _send(track: Track, line: Line, pictures: _Pictures, tell: Callable[[str], None]) -> _Run:
    before = line.up.byte_count
    begun = clock.monotonic()
    site = assembly.workplace(track.home, track.settings)
    with Dispatcher(site, assembly.destination(track.home, track.settings, _DESTINATION)) as dispatcher:
        dispatcher.advance(CycleKind.MANUAL, clock.now())
    records_seconds = clock.monotonic() - begun
    tell(f"records: settled after {records_seconds:,.1f} s")
    with connect(site.dsn, application=APPLICATION, autocommit=True) as ledger:
        _watch(ledger, line, pictures, tell)
    return _Run(records_seconds, clock.monotonic() - begun, line.up.byte_count - before)


def _watch(ledger: Session, line: Line, pictures: _Pictures, tell: Callable[[str], None]) -> None:
    """Wait for the last image; cut the line once on the way."""
    until, told, is_cut = clock.monotonic() + NIGHT_SECONDS_MAX, clock.monotonic(), False
    while (left := promises.left(ledger, _DESTINATION)).image_count:
        if left.troubled_count or clock.monotonic() > until:
            raise OperatorError("An image of the bench was not sent.", remedy="Look at the gateway's log.")
        if not is_cut and left.byte_count <= (1 - CUT_AT) * pictures.distinct_bytes:
            is_cut = True
            tell(f"the line is cut for {CUT_SECONDS:,.0f} s")
            line.cut()
            clock.sleep(CUT_SECONDS)
            line.mend()
        if clock.monotonic() - told > TELL_SECONDS:
            told = clock.monotonic()
            tell(_left(left))
        clock.sleep(LOOK_SECONDS)
    if not is_cut:
        raise OperatorError("The images went before the line could be cut.", remedy="Run more records.")


def _left(left: Left) -> str:
    return f"{left.image_count} images, {left.byte_count / 1e6:,.0f} MB are left"
