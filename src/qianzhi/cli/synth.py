"""`qianzhi synth`: a hospital that does not exist, put into the staging tables through the hospital's own door."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from qianzhi.cli.terminal import HomeOption, JsonOption, opened, print_json, print_table, require_known
from qianzhi.runtime.home import End


def synth(  # noqa: PLR0917  (every one is an option)
    home: HomeOption = None,
    regulator: Annotated[str, typer.Option(help="Whose staging tables are filled.")] = "guangdong",
    people: Annotated[int, typer.Option(help="How many people the hospital knows.")] = 200,
    days: Annotated[int, typer.Option(help="How many days are played, the last one being yesterday.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed plays the same hospital.")] = 1,
    faults: Annotated[float, typer.Option(help="Faulty rows for every good one.")] = 0.0,
    last_on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last day played.", show_default="yesterday")
    ] = None,
    dsn: Annotated[str | None, typer.Option(help="Where the staging tables are.", show_default="of --home")] = None,
    expected: Annotated[
        Path | None, typer.Option(help="Where to write the findings that must come.", show_default="in --home")
    ] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Play a synthetic hospital into the staging tables, and write down which findings must come of it."""
    from qianzhi import regulators
    from qianzhi.gateway import assembly
    from qianzhi.gateway.service import database
    from qianzhi.runtime import clock
    from qianzhi.synthetic import Plan, SynthPlan, run

    require_known("--regulator", regulator, regulators.keys())
    place, settings = opened(home, End.GATEWAY)
    found = regulators.regulator(regulator)
    plan = Plan(
        people=people,
        days=days,
        seed=seed,
        last_on=last_on.date() if last_on else clock.local_now().date() - timedelta(days=1),
        institution=settings.gateway.institution,
        images=place.end(End.GATEWAY).root / "images",
        fault_rate=faults,
    )
    with database(place, settings):
        address = dsn or assembly.role_dsn(place, settings, found.sender)
        result = run(SynthPlan(plan, found, address, expected or place.end(End.GATEWAY).root / "expected.json"))
    if as_json:
        print_json({"rows": result.rows, "faults": result.faults, "expected": str(result.expected)})
        return
    print_table("Staged", ("dataset", "rows"), list(result.rows.items()))
    typer.echo(f"{result.faults} faults are planted; the findings they must give are in {result.expected}.")
