"""`qianzhi demo`: a gateway, a hub and a hospital that does not exist, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli.terminal import FAILED, HomeOption, complain, print_table

if TYPE_CHECKING:
    from qianzhi.ledger.tally import Tally


def demo(  # noqa: PLR0917  (every one is an option)
    home: HomeOption = None,
    once: Annotated[bool, typer.Option("--once", help="Play the day and end, instead of staying up.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write where the rows are as JSON.")] = None,
    people: Annotated[int, typer.Option(help="How many people the hospital knows.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed plays the same day.")] = 1,
    faults: Annotated[float, typer.Option(help="Faulty rows for every good one.")] = 0.05,
) -> None:
    """Play a synthetic hospital's day from its staging tables to the regulator's receipts, once in a home."""
    from platformdirs import user_data_path

    from qianzhi.cli.stage import Stage
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.stopping import StopRequests

    place = Home((home or user_data_path("qianzhi-demo", appauthor=False)).expanduser().absolute())
    with StopRequests() as stop, Stage(place, typer.echo) as stage:
        if stage.is_new:
            stage.play(people=people, seed=seed, faults=faults)
        else:
            typer.echo(f"A day was played in {place.path} before: nothing new is. Name another --home for a new one.")
        tallies = stage.deliver()
        _show(tallies)
        if json_file is not None:
            _write(json_file, stage.regulator, tallies)
        for line in stage.where_to_look():
            typer.echo(line)
        if not all(tally.is_accounted_for for tally in tallies.values()):
            complain(stage.unaccounted())
            raise typer.Exit(FAILED)
        if not once and stage.runs_ends:
            typer.echo("Everything stays up until Ctrl-C.")
            while not stop.wait(60.0):
                stage.require_running()


def _show(tallies: dict[str, Tally]) -> None:
    rows = [{"dataset": dataset, **tally.as_json()} for dataset, tally in tallies.items()]
    print_table("A synthetic hospital's day", list(rows[0]), [list(row.values()) for row in rows])


def _write(file: Path, regulator: str, tallies: dict[str, Tally]) -> None:
    import json

    said = {"regulators": {regulator: {dataset: tally.as_json() for dataset, tally in tallies.items()}}}
    file.write_text(json.dumps(said, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
