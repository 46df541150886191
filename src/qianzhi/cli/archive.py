"""`qianzhi gateway archive`: old rows that left their staging tables for files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qianzhi.cli.terminal import (
    FAILED,
    DatasetOption,
    HomeOption,
    JsonOption,
    actor,
    complain,
    opened,
    print_facts,
    print_json,
    print_rows,
    require_known,
)
from qianzhi.errors import QianzhiError
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from qianzhi.gateway.archive import Archivist
    from qianzhi.ledger.archives import Archive
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

app = typer.Typer(help="Old settled rows, in files: make, list, verify and read archives.", no_args_is_help=True)

ArchiveArgument = Annotated[int, typer.Argument(help="The number of an archive, as `list` shows it.")]


@app.command()
def run(home: HomeOption = None, dataset: DatasetOption = None, *, as_json: JsonOption = False) -> None:
    """Archive every row that is old enough now, also outside quiet hours."""
    from qianzhi.gateway import assembly
    from qianzhi.gateway.service import database
    from qianzhi.runtime import clock

    place, settings = opened(home, End.GATEWAY)
    archivist = assembly.archivist(place, settings)
    _require_dataset(settings, dataset)
    made: list[Archive] = []
    with database(place, settings):
        while (one := archivist.step(now=clock.now(), datasets=None if dataset is None else [dataset])) is not None:
            made.append(one)
            if not as_json:
                typer.echo(f"{one.file}: {one.row_count} rows")
    if as_json:
        print_json([each.as_json() for each in made])
    else:
        typer.echo(f"{sum(each.row_count for each in made)} rows are archived in {len(made)} files.")


@app.command("list")
def list_archives(home: HomeOption = None, dataset: DatasetOption = None, *, as_json: JsonOption = False) -> None:
    """List the archives."""
    found = _listed(*opened(home, End.GATEWAY), dataset=dataset)
    print_rows("Archives", [each.as_json() for each in found], as_json=as_json)


@app.command()
def verify(home: HomeOption = None, dataset: DatasetOption = None) -> None:
    """Read every archive and compare it with the ledger; exit code 1 when one is not what it was."""
    from qianzhi.gateway import assembly

    place, settings = opened(home, End.GATEWAY)
    found = _listed(place, settings, dataset=dataset)
    archivist = assembly.archivist(place, settings)
    damaged = [each for each in found if not _is_sound(archivist, each)]
    typer.echo(f"{len(found) - len(damaged)} of {len(found)} archives are what they were.")
    if damaged:
        raise typer.Exit(FAILED)


@app.command()
def show(archive: ArchiveArgument, home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """Show what an archive holds, without any row of it."""
    from qianzhi.gateway import assembly, parquet

    place, settings = opened(home, End.GATEWAY)
    found = _one(place, settings, archive)
    path = assembly.archivist(place, settings).path(found)
    facts: dict[str, Any] = {
        **found.as_json(),
        "path": str(path),
        "sha256": found.file_digest.hex(),
        "content_sha256": found.content_digest.hex(),
        "key": None if found.key_id is None else found.key_id.hex(),
        "columns": parquet.names_of(path),
    }
    if as_json:
        print_json(facts)
    else:
        print_facts({**facts, "columns": ", ".join(facts["columns"])})


@app.command()
def restore(
    archive: ArchiveArgument,
    to: Annotated[Path, typer.Option(help="A new file that ends in .parquet or .csv.")],
    home: HomeOption = None,
) -> None:
    """Write the rows of an archive to a file for a person, in the clear; who asked is put on record."""
    from qianzhi.gateway import assembly
    from qianzhi.gateway.restore import restore as restore_rows
    from qianzhi.gateway.service import database

    place, settings = opened(home, End.GATEWAY)
    found = _one(place, settings, archive)
    with database(place, settings):
        dsn = assembly.owner_dsn(place, settings)
        count = restore_rows(assembly.archivist(place, settings), dsn, found, to.absolute(), actor=actor())
    typer.echo(f"{count} rows stand in {to}, in the clear. Remove the file when it has served its purpose.")


def _require_dataset(settings: Settings, dataset: str | None) -> None:
    from qianzhi import regulators
    from qianzhi.gateway import assembly

    known = {each.name for key in assembly.served(settings) for each in regulators.regulator(key).datasets}
    require_known("--dataset", dataset, sorted(known))


def _listed(
    home: Home, settings: Settings, *, dataset: str | None = None, archive_id: int | None = None
) -> list[Archive]:
    from qianzhi.gateway import assembly
    from qianzhi.gateway.service import database

    _require_dataset(settings, dataset)
    with database(home, settings):
        return assembly.archivist(home, settings).listed(dataset=dataset, archive_id=archive_id)


def _one(home: Home, settings: Settings, archive: int) -> Archive:
    found = _listed(home, settings, archive_id=archive)
    if not found:
        raise typer.BadParameter(f"There is no archive {archive}; `qianzhi gateway archive list` shows them.")
    return found[0]


def _is_sound(archivist: Archivist, archive: Archive) -> bool:
    try:
        archivist.verify(archive)
    except QianzhiError as error:
        complain(error)
        return False
    return True
