"""`qianzhi bench`: what the product does on this machine, next to what the machine can do."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qianzhi.cli.terminal import FAILED, JsonOption, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.bench.figures import Report

INTERRUPTED = 130  # as a shell says of a program that Ctrl-C ended
ROWS_MAX = 10_000_000
ROUNDS_MAX = 100


class Bench(StrEnum):
    """What can be measured."""

    PIPELINE = "pipeline"
    CHECK = "check"
    LATENCY = "latency"
    ARRIVAL = "arrival"
    EVIDENCE = "evidence"
    CONSOLE = "console"
    PAGES = "pages"
    NIGHT = "night"
    ALL = "all"


class Rules(StrEnum):
    """Which rules both ends judge in the pipeline."""

    ROW = "row"
    ALL = "all"


def bench(
    name: Annotated[Bench, typer.Argument(help="What is measured.")],
    rows: Annotated[
        int | None, typer.Option(min=2, max=ROWS_MAX, help="How many rows.", show_default="each bench's own")
    ] = None,
    rules: Annotated[
        list[Rules] | None, typer.Option(help="Which rules the pipeline judges; may be repeated.", show_default="both")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=ROUNDS_MAX, help="How often; fewer than 5 claim nothing.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Write the JSON into this file as well.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Measure on an installation of its own, which is gone afterwards; exit code 1 when a goal is not reached."""
    from qianzhi.bench.interruption import Interrupted, interruptible

    try:
        with interruptible():
            reports = _measured(name, rows, [rule.value for rule in rules or Rules], rounds)
    except Interrupted as error:
        _tell("Interrupted; everything is taken down.")
        raise typer.Exit(INTERRUPTED) from error
    said = _as_json(reports)
    if out is not None:
        _write(out, said)
    if as_json:
        print_json(said)
    else:
        for report in reports:
            _show(report)
    missed = [sentence for report in reports for sentence in report.missed]
    for sentence in missed:
        _tell(sentence)
    if missed:
        raise typer.Exit(FAILED)


def _measured(name: Bench, rows: int | None, kinds: Sequence[str], rounds: int) -> list[Report]:
    import os
    import tempfile

    from qianzhi.bench.figures import ROUNDS_MIN
    from qianzhi.runtime.logs import configure_logs
    from qianzhi.runtime.settings import Log

    if rounds < ROUNDS_MIN:
        _tell(f"A median of {rounds} says little; {ROUNDS_MIN} rounds are the least for a claim.")
    # The logs of this process lie apart: each bench's own folder goes before the last entry is written.
    with tempfile.TemporaryDirectory(prefix="qianzhi-bench-log-", ignore_cleanup_errors=os.name == "nt") as logs:
        configure_logs("bench", Path(logs), Log())
        chosen = [each for each in Bench if each is not Bench.ALL] if name is Bench.ALL else [name]
        return [report for each in chosen for report in _run(each, rows, kinds, rounds)]


def _run(name: Bench, rows: int | None, kinds: Sequence[str], rounds: int) -> list[Report]:
    from qianzhi.bench import arrival, check, console, evidence, latency, night, pages, pipeline

    _tell(f"{name.value} …")
    if name is Bench.PIPELINE:
        return pipeline.run_sizes(pipeline.SIZES if rows is None else (rows,), kinds, rounds, _tell)
    if name is Bench.LATENCY:
        return [latency.run(min(rows or latency.ROWS, latency.ROWS_MAX), _tell)]
    if name is Bench.NIGHT:
        return [night.run(rows or night.RECORDS, _tell)]
    benches = {
        Bench.CHECK: check,
        Bench.ARRIVAL: arrival,
        Bench.CONSOLE: console,
        Bench.PAGES: pages,
        Bench.EVIDENCE: evidence,
    }
    chosen = benches[name]
    return [chosen.run(rows or chosen.ROWS, rounds, _tell)]


def _as_json(reports: Sequence[Report]) -> dict[str, Any]:
    import os
    import platform

    from qianzhi import __version__

    return {
        "version": __version__,
        "machine": {"processors": os.cpu_count(), "system": platform.system(), "architecture": platform.machine()},
        "reports": [report.as_json() for report in reports],
        "missed": [sentence for report in reports for sentence in report.missed],
    }


def _write(file: Path, said: dict[str, Any]) -> None:
    import json

    file.write_text(json.dumps(said, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _show(report: Report) -> None:
    figures = [
        (each.name, each.unit, *map(_rounded, (each.middle, min(each.values), max(each.values))))
        for each in report.series
    ]
    print_table(report.name, ("figure", "unit", "median", "least", "most"), figures)
    if report.ratios:
        ratios = [(name, round(value, 3), report.goals.get(name)) for name, value in report.ratios.items()]
        print_table(f"{report.name}: ratios", ("ratio", "median", "goal"), ratios)
    for name, value in report.facts.items():
        typer.echo(f"  {name}: {value}")


def _rounded(value: float) -> float:
    """Return three digits behind the point where they say something."""
    return round(value, 3) if value < 100 else round(value)  # noqa: PLR2004  (above, nobody reads them)


def _tell(line: str) -> None:
    typer.echo(line, err=True)
