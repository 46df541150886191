"""`qianzhi gateway documents` and `qianzhi gateway form`: what is handed in on paper."""

from __future__ import annotations

import tomllib
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn
from uuid import UUID

import typer

from qianzhi.cli.terminal import (
    FAILED,
    DestinationOption,
    HomeOption,
    JsonOption,
    Language,
    LanguageOption,
    actor,
    content_of,
    opened,
    print_json,
    print_rows,
    print_table,
    require_known,
)
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.gateway.documents.dossier import Dossier
    from qianzhi.gateway.documents.forms import Filled
    from qianzhi.ledger.documents import Published, Version
    from qianzhi.runtime.papers import Objection

app = typer.Typer(help="Documents for the regulator, its files and notices.", no_args_is_help=True)

KeyArgument = Annotated[str, typer.Argument(help="The key of the document in the list.")]
DatedOption = Annotated[
    datetime | None,
    typer.Option("--dated", formats=["%Y-%m-%d"], help="The day that stands on the document; today when not given."),
]
OutputOption = Annotated[Path | None, typer.Option("--output", help="The file to write; its own name when not given.")]


@app.command("list")
def list_documents(
    home: HomeOption = None,
    destination: DestinationOption = None,
    language: LanguageOption = Language.ZH,
    *,
    as_json: JsonOption = False,
) -> None:
    """List every document that is asked for and where it stands; exit code 1 when somebody must do something."""
    from qianzhi.gateway.documents.checklist import STATES, urgent
    from qianzhi.runtime import clock

    with _dossier(home, destination) as dossier:
        lines = dossier.lines(clock.local_now().date())
    if as_json:
        print_json([line.as_json() for line in lines])
    else:
        rows = [
            (
                line.document.key,
                line.document.title.said(language),
                STATES[line.state].said(language),
                line.expires_on or "",
                "" if line.days_left is None else line.days_left,
                line.version.reason if line.version else "",
            )
            for line in lines
        ]
        print_table("Documents", ("key", "document", "state", "expires", "days", "reason"), rows)
    if urgent(lines):
        raise typer.Exit(FAILED)


@app.command()
def add(
    key: KeyArgument,
    files: Annotated[
        list[Path], typer.Argument(help="The file; several scans become one PDF.", exists=True, dir_okay=False)
    ],
    dated: DatedOption = None,
    home: HomeOption = None,
    destination: DestinationOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Keep a new version of a document; `sync`, or the running gateway, hands it in."""
    from qianzhi.gateway.documents.dossier import Upload
    from qianzhi.runtime import clock
    from qianzhi.runtime.papers import PAPER_BYTES_MAX, Objection

    now = clock.now()
    on = dated.date() if dated else clock.local(now).date()
    contents = [content_of(file, PAPER_BYTES_MAX) for file in files]
    with _dossier(home, destination) as dossier:
        added = dossier.bring(key, contents, Upload(files[0].name, b"", on, actor()), now)
    if isinstance(added, Objection):
        _refuse(added)
    if as_json:
        print_json(_version(added))
    else:
        typer.echo(f"{added.document} of {added.dated_on} is kept ({added.page_count} pages).")


@app.command()
def versions(
    key: KeyArgument, home: HomeOption = None, destination: DestinationOption = None, *, as_json: JsonOption = False
) -> None:
    """List every version of a document, the newest first."""
    with _dossier(home, destination) as dossier:
        rows = [_version(each) for each in dossier.versions(key)]
    print_rows("Versions", rows, as_json=as_json)


@app.command()
def save(
    key: KeyArgument, output: OutputOption = None, home: HomeOption = None, destination: DestinationOption = None
) -> None:
    """Write the newest version of a document into a file."""
    with _dossier(home, destination) as dossier:
        found = dossier.versions(key)
        if not found:
            raise typer.BadParameter(f"there is no version of {key}", param_hint="KEY")
        _write(output or Path(found[0].file_name), dossier.content(found[0]))


@app.command()
def sync(home: HomeOption = None, destination: DestinationOption = None, *, as_json: JsonOption = False) -> None:
    """Hand in what is new, and learn what became of the rest and what is published."""
    from dataclasses import asdict

    from qianzhi.runtime import clock

    with _dossier(home, destination) as dossier:
        done = dossier.sync(clock.now())
    if as_json:
        print_json(asdict(done))
    else:
        typer.echo(
            f"{done.submitted_count} handed in, {done.changed_count} changed, {done.publication_count} files published."
        )


@app.command()
def record(
    key: KeyArgument,
    step: Annotated[str, typer.Argument(help="submitted, reviewed or returned.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it was returned.")] = "",
    home: HomeOption = None,
    destination: DestinationOption = None,
) -> None:
    """Note what the official console said of a document, where the destination says nothing over a line."""
    from qianzhi.runtime import clock

    require_known("STEP", step, ("submitted", "reviewed", "returned"))
    with _dossier(home, destination) as dossier:
        version = dossier.record(key, step, clock.now(), reason)
    typer.echo(f"{version.document} is {version.step}.")


@app.command()
def files(home: HomeOption = None, destination: DestinationOption = None, *, as_json: JsonOption = False) -> None:
    """List the files, notices and certificates that were published for this institution, as of the last `sync`."""
    with _dossier(home, destination) as dossier:
        rows = [_published(each) for each in dossier.publications()]
    print_rows("Files", rows, as_json=as_json)
    if not rows and not as_json:
        typer.echo("`qianzhi gateway documents sync` asks the regulator now; the gateway does so every ten minutes.")


@app.command()
def fetch(
    publication: Annotated[UUID, typer.Argument(help="Its id in the list of files.")],
    output: OutputOption = None,
    home: HomeOption = None,
    destination: DestinationOption = None,
) -> None:
    """Fetch a published file; what comes is proven by its digest."""
    from qianzhi.runtime import clock

    with _dossier(home, destination) as dossier:
        published, content = dossier.fetch(publication, clock.now())
    _write(output or Path(Path(published.file_name).name), content)


def form(  # noqa: PLR0917  # every one is an option
    form: Annotated[str, typer.Argument(help="The form: app1 or statement.")],
    output: Annotated[Path, typer.Option("--output", help="The file to write: .html to print and stamp, or .xlsx.")],
    answer: Annotated[list[str] | None, typer.Option(help="An answer, item=text; may be repeated.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help='Answers in a TOML file, item = "text".', exists=True, dir_okay=False)
    ] = None,
    home: HomeOption = None,
    destination: DestinationOption = None,
    *,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Print the passwords that the form asks for, too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fill in a form of the regulator from what this installation knows and from answers."""
    from qianzhi.gateway.documents.forms import FormFile, make

    kind = output.suffix.lstrip(".").lower()
    require_known("--output", kind, list(FormFile))
    given = _answers(answers) | dict(_split(each) for each in answer or ())
    filled = _filled(home, destination, form, given, with_secrets=with_secrets)
    _write(output, make(filled, FormFile(kind)), quiet=as_json)
    if as_json:
        print_json({"form": filled.form.key, "output": str(output), "missing": list(filled.missing)})
    elif filled.missing:
        typer.echo(f"Still blank: {', '.join(filled.missing)}.")


def _filled(
    home: Path | None, destination: str | None, key: str, answers: dict[str, str], *, with_secrets: bool
) -> Filled:
    from qianzhi.gateway.documents.facts import facts
    from qianzhi.gateway.documents.forms import fill

    place, settings = opened(home, End.GATEWAY)
    with _dossier(home, destination) as dossier:
        require_known("FORM", key, [each.key for each in dossier.paperwork.forms])
        known = facts(place, settings, settings.gateway.destinations[dossier.destination].regulator)
        filled = fill(dossier.paperwork.form(key), known, answers, with_secrets=with_secrets)
        dossier.note_printed(filled, actor())
        return filled


def _answers(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} is not TOML in UTF-8", param_hint="--answers") from error
    return {key: str(value) for key, value in said.items()}


def _split(answer: str) -> tuple[str, str]:
    key, equals, text = answer.partition("=")
    if not equals:
        raise typer.BadParameter("an answer is written item=text", param_hint="--answer")
    return key.strip(), text.strip()


@contextmanager
def _dossier(home: Path | None, destination: str | None) -> Iterator[Dossier]:
    from qianzhi.gateway.documents.opening import dossier
    from qianzhi.gateway.service import database

    place, settings = opened(home, End.GATEWAY)
    with database(place, settings):
        yield dossier(place, settings, destination)


def _write(file: Path, content: bytes, *, quiet: bool = False) -> None:
    from qianzhi.runtime.files import write_durably

    write_durably(file.absolute(), content)
    if not quiet:
        typer.echo(f"Written: {file}")


def _refuse(objection: Objection) -> NoReturn:
    from qianzhi.errors import SenderError

    raise SenderError(objection.sentence, remedy=objection.advice)


def _version(version: Version) -> dict[str, object]:
    return {
        "document": version.document,
        "dated_on": version.dated_on,
        "file_name": version.file_name,
        "pages": version.page_count,
        "digest": version.digest.hex(),
        "added_at": version.added_at,
        "added_by": version.added_by,
        "step": version.step,
        "reason": version.reason,
        "happened_at": version.happened_at,
    }


def _published(published: Published) -> dict[str, object]:
    return {
        "id": str(published.publication_id),
        "kind": published.kind,
        "title": published.title,
        "file_name": published.file_name,
        "bytes": published.byte_count,
        "published_at": published.published_at,
        "fetched_at": published.fetched_at,
        "withdrawn_at": published.withdrawn_at,
    }
