"""`qianzhi gateway results`: what the official console said of delivered rows, and what an operator found out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from qianzhi.cli.terminal import (
    FAILED,
    DatasetOption,
    HomeOption,
    JsonOption,
    actor,
    opened,
    print_facts,
    print_json,
    print_table,
    require_known,
)
from qianzhi.errors import ConfigurationError
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.gateway.official.horizon import Beyond
    from qianzhi.gateway.official.results import Imported
    from qianzhi.runtime.settings import Settings

app = typer.Typer(help="What an official front machine's console says of delivered rows.", no_args_is_help=True)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What the official console exported: .xlsx or CSV.")],
    destination: Annotated[str, typer.Option(help="The destination that the rows were delivered to.")],
    home: HomeOption = None,
    dataset: DatasetOption = None,
    exported_at: Annotated[
        datetime | None, typer.Option(help="When it was exported, where its lines do not say their time.")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be settled, and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Settle delivered rows as accepted or failed; exit code 1 when a line settles nothing."""
    from qianzhi.gateway import assembly
    from qianzhi.gateway.official import export, profile
    from qianzhi.gateway.official.lines import Reading
    from qianzhi.gateway.official.results import settle_results
    from qianzhi.gateway.service import session as session_of
    from qianzhi.runtime import clock

    place, settings = opened(home, End.GATEWAY)
    _require_front_machine(settings, destination)
    chosen = assembly.destination(place, settings, destination)
    require_known("--dataset", dataset, [each.name for each in chosen.regulator.datasets])
    reading = Reading(
        regulator=chosen.regulator,
        profile=profile.load(chosen.regulator, settings.gateway.destinations[destination].machine.results_profile),
        institution=chosen.institution,
        dataset=dataset,
        told_at=exported_at.replace(tzinfo=clock.LOCAL) if exported_at else None,
        now=clock.now(),
    )
    content = export.read_file(file)
    with session_of(place, settings, application="qianzhi results") as session:
        done = settle_results(session, chosen, content, reading, is_rehearsal=dry_run)
    _print(done, as_json=as_json, is_rehearsal=dry_run)
    if done.unmatched_count:
        raise typer.Exit(FAILED)


@app.command()
def decide(
    batch: Annotated[UUID, typer.Argument(help="The batch that `gateway status` names.")],
    home: HomeOption = None,
    *,
    is_there: Annotated[bool, typer.Option("--there/--not-there", help="Whether its rows are in the official table.")],
) -> None:
    """Say what you found out of a batch that the official machine no longer knows of."""
    from qianzhi.gateway.service import session as session_of
    from qianzhi.ledger import handovers

    place, settings = opened(home, End.GATEWAY)
    with session_of(place, settings, application="qianzhi results") as session:
        is_known = handovers.decide(session, batch, is_there=is_there)
    if not is_known:
        raise typer.BadParameter("no such batch waits for an answer.", param_hint="BATCH")
    typer.echo("Noted; the batch goes on with the next attempt, and at once with `qianzhi gateway cycle`.")


@app.command()
def reconcile(
    destination: Annotated[str, typer.Option(help="The destination that the rows were delivered to.")],
    home: HomeOption = None,
    *,
    others: Annotated[bool, typer.Option("--others", help="None of these rows came from this gateway.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell which rows they are, and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """
    Go on in front of official tables with rows that the ledger does not know, as after the restore of an old backup.

    Let hospital systems insert again first what the backup lacks. Each row that is about to go is then looked for
    among these rows: what is there already is recorded as delivered, and what is not goes.
    """
    from qianzhi import regulators
    from qianzhi.gateway import assembly
    from qianzhi.gateway.official import reconciling
    from qianzhi.gateway.service import database

    place, settings = opened(home, End.GATEWAY)
    _require_front_machine(settings, destination)
    said = settings.gateway.destinations[destination]
    machine, regulator = assembly.front_machine(said), regulators.regulator(said.regulator)
    dsn = assembly.owner_dsn(place, settings)
    with database(place, settings):
        if dry_run:
            found = list(reconciling.unknown(dsn, destination, machine, regulator))
        else:
            who = actor()
            found = list(reconciling.reconcile(dsn, destination, machine, regulator, may_be_ours=not others, actor=who))
    _print_unknown(found, as_json=as_json, is_rehearsal=dry_run)


def _require_front_machine(settings: Settings, name: str) -> None:
    from qianzhi.runtime.settings import DestinationKind

    known = [
        each
        for each, said in settings.gateway.destinations.items()
        if said.enabled and said.kind is DestinationKind.FRONT_MACHINE
    ]
    if not known:
        raise ConfigurationError(
            "No official front machine is set up as a destination.",
            remedy='Set one up with kind = "front-machine" in qianzhi.toml, and repeat `qianzhi gateway init`.',
        )
    require_known("--destination", name, known)


def _print(done: Imported, *, as_json: bool, is_rehearsal: bool) -> None:
    if as_json:
        print_json(done.as_json())
        return
    told = {name: count for name, count in done.as_json().items() if isinstance(count, int)}
    print_facts({**told, "changed": "nothing: this was a dry run"} if is_rehearsal else told)
    if done.unmatched:
        columns = ("sheet", "line", "dataset", "why")
        print_table("Lines that settle nothing", columns, [[each[name] for name in columns] for each in done.unmatched])


def _print_unknown(found: Sequence[Beyond], *, as_json: bool, is_rehearsal: bool) -> None:
    columns = ("dataset", "first", "last", "rows")
    rows = [[each.dataset, each.first, each.last, each.row_count] for each in found]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif not rows:
        typer.echo("The official tables have no row that is not known here, or decided about.")
    else:
        print_table("Rows that were not known here", columns, rows)
        if not is_rehearsal:
            typer.echo("Noted; rows go on with the next attempt, and at once with `qianzhi gateway cycle`.")
