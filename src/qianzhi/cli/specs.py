"""`qianzhi specs`: what the regulators ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli.terminal import FAILED, JsonOption, print_json, print_table, require_known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

app = typer.Typer(help="What the regulators ask for: datasets, fields, codes, rules.", no_args_is_help=True)

RegulatorArgument = Annotated[str, typer.Argument(help="The key of a regulator.")]


@app.command("list")
def list_regulators(*, as_json: JsonOption = False) -> None:
    """List the regulators and their editions."""
    from qianzhi import regulators
    from qianzhi.specs.listing import regulator_row

    rows = [regulator_row(regulators.regulator(key)) for key in regulators.discover()]
    _print(rows, "Regulators", as_json=as_json)


@app.command()
def show(
    regulator: RegulatorArgument,
    dataset: Annotated[str | None, typer.Argument(help="One dataset, with its fields.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show a regulator's datasets, or the fields of one of them."""
    from qianzhi import regulators
    from qianzhi.specs.listing import dataset_rows, field_rows

    found = regulators.regulator(regulator)
    if dataset is None:
        _print(dataset_rows(found), found.name.en, as_json=as_json)
        return
    if dataset not in {each.name for each in found.datasets}:
        names = ", ".join(each.name for each in found.datasets)
        raise typer.BadParameter(f"{regulator} has no dataset {dataset!r}; it has {names}.")
    _print(field_rows(found.dataset(dataset)), found.dataset(dataset).title, as_json=as_json)


@app.command()
def export(
    regulator: RegulatorArgument,
    output: Annotated[Path, typer.Option("--output", help="The file to write.")],
    form: Annotated[str, typer.Option("--format", help="The kind of file: xlsx.")] = "xlsx",
) -> None:
    """Write the interface specification as a workbook: datasets, fields, rules, code systems, edition and digest."""
    from qianzhi import regulators
    from qianzhi.runtime.files import write_durably
    from qianzhi.runtime.specbook import workbook

    require_known("REGULATOR", regulator, regulators.keys())
    require_known("--format", form, ("xlsx",))
    write_durably(output.absolute(), workbook(regulators.regulator(regulator)))
    typer.echo(f"Written: {output}")


@app.command()
def ddl(
    regulator: RegulatorArgument,
    schema: Annotated[str | None, typer.Option(help="The schema of the tables.", show_default="the regulator")] = None,
) -> None:
    """Print the statements that create a regulator's staging tables."""
    from qianzhi import regulators
    from qianzhi.specs.ddl import staging_ddl

    found = regulators.regulator(regulator)
    for dataset in found.datasets:
        for statement in staging_ddl(dataset, schema or found.key):
            typer.echo(f"{statement.rstrip(';')};")


@app.command()
def lint(regulator: Annotated[str | None, typer.Argument(help="One regulator, or all.")] = None) -> None:
    """Load every file, compile every rule, and remark on what could be better."""
    from qianzhi import regulators
    from qianzhi.checks.checker import checker
    from qianzhi.specs.lint import lint as remarks_of

    for key in [regulator] if regulator else regulators.discover():
        found = regulators.regulator(key)
        for dataset in found.datasets:
            checker(found, dataset)
        for remark in remarks_of(found):
            typer.echo(f"{key}: {remark}")


def _print(rows: Sequence[Mapping[str, object]], title: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif rows:
        print_table(title, list(rows[0]), [list(row.values()) for row in rows])
    else:
        raise typer.Exit(FAILED)
