"""
Evidence: questions a second with their token checked and their record looked up, and how fast a file is sent.

Timed of the questions: from before the first connection until the last answer, handshakes included; of each one, from
writing the request until its whole answer is there, seen by the client. Client, service and PostgreSQL are processes
that share the processors. Each question asks for another record, and each answer is a signed address.
The file is fetched by one client, from the service and from nginx in turn: the same file, certificate and key, one
worker each, nginx with `sendfile` and else its defaults.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from qianzhi.bench.figures import Report, Series, percentiles, ratio
from qianzhi.bench.scene import CONNECTIONS, MEBIBYTE, RECORDS, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS: Final = 20_000
ROWS_MAX: Final = 200_000
GOAL_A_SECOND: Final = 2_000
P99_MILLISECONDS_MAX: Final = 50.0
MEDIA_RATIO_MIN: Final = 0.5
FILE_BYTES: Final = 256 * 2**20
FETCHES: Final = 3
"""Of each server in each round, in turn."""


def run(rows: int, rounds: int, tell: Callable[[str], None], *, file_bytes: int = FILE_BYTES) -> Report:
    """Ask `rows` questions and fetch a file, `rounds` times."""
    rows = min(rows, ROWS_MAX)
    with ExitStack() as stack:
        scene = Scene(stack, file_bytes)
        asked, slowest, ours, theirs = [], list[float](), list[float](), list[float]()
        for number in range(1, rounds + 1):
            speed, took = scene.ask(rows)
            asked.append(speed)
            slowest.append(percentiles(took)["p99"])
            for _ in range(FETCHES):
                ours.append(scene.fetch(scene.media_url()))
                if scene.nginx_url is not None:
                    theirs.append(scene.fetch(scene.nginx_url))
            tell(f"round {number}/{rounds}: {speed:,.0f} questions/s, p99 {slowest[-1]:,.1f} ms, {ours[-1]:,.0f} MiB/s")
        facts = {
            "rows": rows,
            "connections": CONNECTIONS,
            "records": RECORDS,
            "workers": 1,
            "file": f"{file_bytes // MEBIBYTE} MiB",
            "fetched by": scene.fetcher,
            "nginx": "1 worker, sendfile" if theirs else "not installed: nothing to compare with",
        }
    return _report(asked, slowest, ours, theirs, facts)


def _report(
    asked: list[float], slowest: list[float], ours: list[float], theirs: list[float], facts: dict[str, object]
) -> Report:
    goal = Series("goal", "questions/s", [float(GOAL_A_SECOND)] * len(asked))
    series = [Series("questions", "questions/s", asked), Series("p99", "ms", slowest), Series("file", "MiB/s", ours)]
    ratios = {f"questions to {GOAL_A_SECOND}/s": ratio(series[0], goal)}
    goals = dict.fromkeys(ratios, 1.0)
    if theirs:
        series.append(Series("file by nginx", "MiB/s", theirs))
        ratios["file to nginx"] = ratio(series[2], series[3])
        goals["file to nginx"] = MEDIA_RATIO_MIN
    return Report("evidence", series, ratios=ratios, goals=goals, bounds={"p99": P99_MILLISECONDS_MAX}, facts=facts)
