"""`qianzhi gateway resources`: institution, departments, staff and whatever else no hospital system holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli.terminal import (
    FAILED,
    DatasetOption,
    DestinationOption,
    HomeOption,
    JsonOption,
    Language,
    LanguageOption,
    actor,
    complain,
    content_of,
    opened,
    print_facts,
    print_json,
    print_table,
    require_known,
)
from qianzhi.errors import SenderError
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.gateway.resources.plan import Plan
    from qianzhi.gateway.resources.records import Record
    from qianzhi.gateway.resources.registry import Registry

app = typer.Typer(help="Keep institution, staff and other data that no hospital system holds.", no_args_is_help=True)

WorkbookArgument = Annotated[Path, typer.Argument(help="The workbook (.xlsx).", exists=True, dir_okay=False)]
PicturesOption = Annotated[
    list[Path] | None,
    typer.Option("--pictures", help="A picture, a zip archive or a folder of pictures; may be repeated.", exists=True),
]


@app.command()
def template(
    output: Annotated[Path, typer.Argument(help="The workbook that is written (.xlsx).", dir_okay=False)],
    home: HomeOption = None,
    destination: DestinationOption = None,
    dataset: DatasetOption = None,
    *,
    filled: Annotated[bool, typer.Option("--filled", help="Fill it with the current records.")] = False,
) -> None:
    """Write the workbook to be filled in, of all datasets or of one."""
    from qianzhi.runtime.files import write_durably

    kept = _registry(home, destination)
    require_known("--dataset", dataset, list(kept.forms))
    write_durably(output, kept.template([dataset] if dataset else list(kept.forms), filled=filled))
    typer.echo(f"{output} is written.")


@app.command()
def preview(
    workbook: WorkbookArgument,
    pictures: PicturesOption = None,
    home: HomeOption = None,
    destination: DestinationOption = None,
    language: LanguageOption = Language.ZH,
    *,
    as_json: JsonOption = False,
) -> None:
    """Tell what a workbook would change and what is wrong with it; saves nothing, exit code 1 on an error."""
    plan = _plan(_registry(home, destination), workbook, pictures)
    _print_plan(plan, language, as_json=as_json)
    if plan.errors:
        raise typer.Exit(FAILED)


@app.command(name="import")
def import_(
    workbook: WorkbookArgument,
    pictures: PicturesOption = None,
    home: HomeOption = None,
    destination: DestinationOption = None,
    language: LanguageOption = Language.ZH,
    *,
    as_json: JsonOption = False,
) -> None:
    """Save what a workbook changes, all of it or, with an error in it, nothing."""
    kept = _registry(home, destination)
    plan = _plan(kept, workbook, pictures)
    _print_plan(plan, language, as_json=as_json)
    try:
        kept.save(plan, actor=actor())
    except SenderError as error:
        complain(error)
        raise typer.Exit(FAILED) from error


@app.command(name="list")
def list_(
    home: HomeOption = None,
    destination: DestinationOption = None,
    dataset: DatasetOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List the current records by key, with what became of each."""
    kept = _registry(home, destination)
    require_known("--dataset", dataset, list(kept.forms))
    listed = [
        {
            "dataset": name,
            "key": " ".join(record.values.get(field, "") for field in kept.forms[name].dataset.key),
            "row_id": record.row_id,
            "state": record.state.value,
            "live": record.is_live,
        }
        for name in ([dataset] if dataset else kept.forms)
        for record in kept.records(name)
    ]
    if as_json:
        print_json(listed)
    else:
        columns = ("dataset", "key", "row_id", "state", "live")
        print_table(f"{len(listed)} records", columns, [list(each.values()) for each in listed])


@app.command()
def show(
    dataset: Annotated[str, typer.Argument(help="The dataset.")],
    key: Annotated[list[str] | None, typer.Argument(help="The key without the institution.")] = None,
    home: HomeOption = None,
    destination: DestinationOption = None,
    language: LanguageOption = Language.ZH,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show a current record: its values, what became of it, and what was found."""
    kept = _registry(home, destination)
    require_known("DATASET", dataset, list(kept.forms))
    record = _record(kept, dataset, tuple(key or ()))
    found = kept.findings(dataset, [record], language.value)
    form = kept.forms[dataset]
    if as_json:
        print_json(
            {"row_id": record.row_id, "state": record.state.value, "values": dict(record.values), "findings": found}
        )
        return
    print_facts({"state": record.state.value, "row_id": record.row_id})
    fields = [(each.name, each.field.title, each.shown(record.values.get(each.name))) for each in form.inputs]
    print_table(form.title, ("field", "title", "value"), fields)
    columns = ("code", "field", "reason", "remedy", "severity")
    print_table(f"{len(found)} findings", columns, [[each[name] for name in columns] for each in found])


def _registry(home: Path | None, destination: str | None) -> Registry:
    from qianzhi.gateway.resources.registry import registry

    place, settings = opened(home, End.GATEWAY)
    return registry(place, settings, destination)


def _plan(kept: Registry, workbook: Path, pictures: list[Path] | None) -> Plan:
    from qianzhi.gateway.resources.attachments import attached
    from qianzhi.runtime.workbooks import FILE_BYTES_MAX

    return kept.plan(content_of(workbook, FILE_BYTES_MAX), attached(_files(pictures or [])))


def _files(places: list[Path]) -> Iterator[tuple[str, bytes]]:
    from qianzhi.gateway.resources.attachments import ARCHIVE_BYTES_MAX

    for place in places:
        for file in sorted(place.iterdir()) if place.is_dir() else [place]:
            if file.is_file():
                yield file.name, content_of(file, ARCHIVE_BYTES_MAX)


def _record(kept: Registry, dataset: str, key: tuple[str, ...]) -> Record:
    names = kept.forms[dataset].key
    for record in kept.records(dataset):
        if tuple(record.values.get(name, "").strip() for name in names) == key:
            return record
    raise SenderError(
        f"There is no such record of {dataset}.", remedy=f"Name it by {', '.join(names) or 'nothing more'}; see `list`."
    )


def _print_plan(plan: Plan, language: Language, *, as_json: bool) -> None:
    told = plan.as_json(language.value)
    if as_json:
        print_json(told)
        return
    counts = [(name, *each.values()) for name, each in told["datasets"].items()]
    print_table("Records", ("dataset", "new", "modify", "revoke", "unchanged"), counts)
    columns = ("sheet", "row", "column", "code", "field", "value", "reason", "remedy", "severity")
    rows = [[each[name] for name in columns] for each in told["findings"]]
    print_table(f"{told['findings_count']} findings", columns, rows)
