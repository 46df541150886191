"""
The pipeline: staged rows to settled receipts, against the same rows copied from table to table.

Timed at the gateway: from opening its sessions and its door until the last receipt is settled, in a process that was
started for it. Not timed: staging (the hospital's; see arrival), the start of that process, setting up.
Timed at the floor: two psql, the one piped into the other, from their start to the end of both.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from psycopg.conninfo import conninfo_to_dict

from qianzhi.bench.figures import Report, Series, ratio
from qianzhi.bench.ground import DATASET, REGULATOR
from qianzhi.bench.memory import Peak
from qianzhi.bench.track import Track
from qianzhi.db.binaries import program
from qianzhi.errors import OperatorError
from qianzhi.runtime import clock, memory
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import SimpleQueue
    from pathlib import Path

SIZES: Final = (200_000, 2_000_000)
GOALS: Final = {"row": 0.40, "all": 0.25}
MEMORY_MIB_MAX: Final = 600.0
FLATNESS: Final = 0.8
"""Memory counts as flat where the smaller number of rows takes at least so much of what the larger one takes."""
RUN_SECONDS_MAX: Final = 1800.0
KILL_SECONDS_MAX: Final = 10.0
_GATEWAY, _HUB = "gateway peak", "hub peak"


@dataclass(slots=True)
class _Rounds:
    """What was measured for one set of rules, a value a round; each floor was copied right before its run."""

    floor: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    gateway_mib: list[float] = field(default_factory=list)
    hub_mib: list[float] = field(default_factory=list)


def run_sizes(sizes: Sequence[int], kinds: Sequence[str], rounds: int, tell: Callable[[str], None]) -> list[Report]:
    """Measure one number of rows after the other, each on processes of its own, and say whether memory is flat."""
    reports = []
    for rows in sizes:
        tell(f"pipeline: {rows:,} rows")
        reports.append(run(rows, kinds, rounds, tell))
    if len(reports) > 1:
        reports.append(_flatness(reports[0], reports[-1]))
    return reports


def run(rows: int, kinds: Sequence[str], rounds: int, tell: Callable[[str], None], **track: Any) -> Report:  # noqa: ANN401 - what a Track takes
    """Measure floor and pipeline in turn for each set of rules, `rounds` times over `rows` new rows each."""
    found = {name: _Rounds() for name in kinds}
    with Track(kinds, **track) as ground:
        for number in range(1, rounds + 1):
            for name, seen in found.items():
                _round(ground, name, rows, seen)
            tell(_line(number, rounds, found))
    series = {
        name: (Series(f"{name} floor", "rows/s", seen.floor), Series(name, "rows/s", seen.speed))
        for name, seen in found.items()
    }
    peaks = [
        Series(_GATEWAY, "MiB", [mib for seen in found.values() for mib in seen.gateway_mib]),
        Series(_HUB, "MiB", [mib for seen in found.values() for mib in seen.hub_mib]),
    ]
    return Report(
        "pipeline",
        [each for pair in series.values() for each in pair] + peaks,
        ratios={name: ratio(speed, floor) for name, (floor, speed) in series.items()},
        goals={name: GOALS[name] for name in kinds},
        bounds={_GATEWAY: MEMORY_MIB_MAX, _HUB: MEMORY_MIB_MAX},
        facts={"rows": rows, "rounds": rounds, "memory": "resident, all processes of an end, without PostgreSQL"},
    )


def _flatness(small: Report, large: Report) -> Report:
    """Compare the peaks at the smallest and at the largest number of rows."""
    before, after = ({each.name: max(each.values) for each in report.series} for report in (small, large))
    ratios = {name: before[name] / after[name] for name in (_GATEWAY, _HUB)}
    return Report(
        "pipeline memory",
        [Series(name, "MiB", [before[name], after[name]]) for name in ratios],
        ratios=ratios,
        goals=dict.fromkeys(ratios, FLATNESS),
        facts={"rows": [small.facts["rows"], large.facts["rows"]], "ratio": "peak at the first size to the second"},
    )


def _line(number: int, rounds: int, found: dict[str, _Rounds]) -> str:
    parts = [
        f"{name} {seen.speed[-1]:,.0f} of {seen.floor[-1]:,.0f} rows/s ({seen.speed[-1] / seen.floor[-1]:.2f})"
        for name, seen in found.items()
    ]
    return f"round {number}/{rounds}: " + ", ".join(parts)


def _round(track: Track, kinds: str, rows: int, seen: _Rounds) -> None:
    """Stage rows, copy them, and let them go their way; each begins with a server that owes nothing."""
    track.clear()
    track.stage(rows, kinds)
    seen.floor.append(rows / _floor_seconds(track, rows))
    track.checkpoint()
    seconds, gateway, hub = _pipeline(track, kinds, rows)
    seen.speed.append(rows / seconds)
    seen.gateway_mib.append(gateway)
    seen.hub_mib.append(hub)


def _floor_seconds(track: Track, rows: int) -> float:
    """Copy the staged rows out and into an empty table, through a pipe, as fast as PostgreSQL goes."""
    track.prepare_floor()
    track.checkpoint()
    environment = {**os.environ, **_address(track.server_dsn)}
    psql = [str(program(track.cluster.binaries, "psql")), "--no-psqlrc", "--quiet", "--command"]
    copy_out = [*psql, f"COPY {REGULATOR}.{DATASET} TO STDOUT (FORMAT binary)"]
    copy_in = [*psql, "COPY floor FROM STDIN (FORMAT binary)"]
    begun = clock.monotonic()
    with subprocess.Popen(copy_out, stdout=subprocess.PIPE, env=environment) as out:
        with subprocess.Popen(copy_in, stdin=out.stdout, env=environment) as ended:
            # A wait with a time limit looks only every twentieth of a second, which the floor would be charged for.
            guard = threading.Timer(RUN_SECONDS_MAX, ended.kill)
            guard.start()
            ended.wait()
            guard.cancel()
        out.wait()
    seconds = clock.monotonic() - begun
    copied = track.drop_floor()
    if (ended.returncode, out.returncode, copied) != (0, 0, rows):
        raise OperatorError(f"The floor copied {copied} of {rows} rows.", remedy="The figures would mean nothing.")
    return seconds


def _address(dsn: str) -> dict[str, str]:
    """Return the variables by which psql finds a server: a password must not stand in its arguments."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE", "password": "PGPASSWORD"}
    said = conninfo_to_dict(dsn)
    return {variable: str(said[name]) for name, variable in names.items()}


def _pipeline(track: Track, kinds: str, rows: int) -> tuple[float, float, float]:
    """Let a gateway of its own process take the staged rows to their receipts: seconds, and both ends' MiB."""
    spawn = multiprocessing.get_context("spawn")
    answers: SimpleQueue[tuple[float, int, int]] = spawn.SimpleQueue()
    gateway = spawn.Process(target=_advance, args=(track.home.path, kinds, answers), daemon=True)
    with Peak(lambda: track.intakes[kinds].pid) as hub, Peak(lambda: gateway.pid) as ours:
        try:
            gateway.start()
            gateway.join(RUN_SECONDS_MAX)
        finally:
            _kill(gateway)
    if gateway.exitcode != 0:
        raise OperatorError("The gateway of the bench failed.", remedy=track.last_words(End.GATEWAY))
    seconds, moved, accepted = answers.get()
    stored = track.stored_count()
    if not moved == accepted == stored == rows:
        raise OperatorError(
            f"Of {rows} rows {moved} moved, {accepted} were accepted and {stored} are stored.",
            remedy="The figures would mean nothing.",
        )
    return seconds, ours.mib, hub.mib


def _kill(process: BaseProcess) -> None:
    if process.pid is not None and process.exitcode is None:
        process.kill()
        process.join(KILL_SECONDS_MAX)


def _advance(home: Path, kinds: str, answers: SimpleQueue[tuple[float, int, int]]) -> None:
    """Be the gateway: seconds it took, rows that moved, rows that the hub accepted."""
    from qianzhi.bench.track import destination
    from qianzhi.db.server import connect
    from qianzhi.gateway import assembly, report
    from qianzhi.gateway.cycle import Dispatcher
    from qianzhi.ledger.batches import CycleKind
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.logs import configure_logs
    from qianzhi.runtime.sources import load_settings

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; our parent ends us
    place = Home(home)
    settings = load_settings(place)
    configure_logs("bench", place.end(End.GATEWAY).log, settings.log)
    site, chosen = assembly.workplace(place, settings), destination(place, kinds)
    with Dispatcher(site, chosen) as dispatcher:
        dispatcher.resume()  # a worker has its rules compiled and its doors open long before the night's rows come
        memory.calm_collector()
        begun = clock.monotonic()
        done = dispatcher.advance(CycleKind.MANUAL, clock.now(), datasets={DATASET})
        seconds = clock.monotonic() - begun
    with connect(site.dsn, application="qianzhi bench") as connection:
        accepted = report.tallies(connection, chosen)[DATASET].accepted
    answers.put((seconds, done.moved_count, accepted))
