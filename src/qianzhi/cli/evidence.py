"""`qianzhi gateway evidence`, `media` and `selftest`: what a regulator may ask to see."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli.terminal import (
    FAILED,
    HomeOption,
    JsonOption,
    Language,
    LanguageOption,
    opened,
    print_facts,
    print_json,
    print_rows,
    print_table,
    require_known,
)
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from qianzhi.db.server import Session
    from qianzhi.regulators.protocols import Part
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

app = typer.Typer(help="What a regulator may ask to see: keys, form, questions.", no_args_is_help=True)
media = typer.Typer(help="Files that a regulator may ask to see.", no_args_is_help=True)

RecordOption = Annotated[str | None, typer.Option("--record", help="The number of a record, such as MZH.")]
QUESTIONS_SHOWN = 50


@app.command(hidden=True)
def serve(home: HomeOption = None) -> None:
    """Be the process of `gateway run` that answers a regulator."""
    from qianzhi.gateway.evidence.service import answer

    answer(*opened(home, End.GATEWAY))


@app.command()
def key(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """Show the keys that count, the newest last; make the first one. Whoever has a key may ask."""
    from qianzhi.gateway.evidence import asking, assembly, keys
    from qianzhi.runtime import clock

    place, settings = opened(home, End.GATEWAY)
    regulator = asking.regulator_key(settings)
    file = assembly.keys_file(place, regulator)
    keys.ensure_key(file, asking.adapter(regulator).KEY_CHARACTERS, clock.now())
    valid = [each for each in keys.read_keys(file) if each.is_valid(clock.now())]
    rows = [{"key": each.key, "made_at": each.made_at, "ends_at": each.ends_at} for each in valid]
    if as_json:
        print_json(rows)
    else:
        print_table(regulator, ("key", "made at", "ends at"), [list(row.values()) for row in rows])


@app.command()
def rotate(home: HomeOption = None) -> None:
    """Make a new key; the one before it stays valid for [gateway.evidence] key_overlap_days."""
    from datetime import timedelta

    from qianzhi.gateway.evidence import asking, assembly, keys
    from qianzhi.runtime import clock

    place, settings = opened(home, End.GATEWAY)
    regulator, days = asking.regulator_key(settings), settings.gateway.evidence.key_overlap_days
    characters = asking.adapter(regulator).KEY_CHARACTERS
    keys.rotate(assembly.keys_file(place, regulator), characters, clock.now(), overlap=timedelta(days=days))
    typer.echo(f"There is a new key; the old one is valid for {days} days. Export the form and send it.")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where the form is written: .xlsx, or text for any other name.")],
    home: HomeOption = None,
    provide: Annotated[
        list[str] | None,
        typer.Option(help="A kind that can be provided; may be repeated.", show_default="as registered"),
    ] = None,
) -> None:
    """Write the form that tells the regulator key and addresses (App. 3 in Guangdong). It holds the key."""
    from qianzhi.gateway.evidence import asking, assembly, keys
    from qianzhi.ledger import evidence
    from qianzhi.runtime import clock
    from qianzhi.runtime.files import write_durably

    place, settings = opened(home, End.GATEWAY)
    regulator = asking.regulator_key(settings)
    found = asking.adapter(regulator)
    for name in provide or ():
        require_known("--provide", name, [each.name for each in found.ASKED])
    if not provide:
        with _session(place, settings) as session:
            provide = [str(row["kind"]) for row in evidence.counts(session, regulator)]
    valid = keys.ensure_key(assembly.keys_file(place, regulator), found.KEY_CHARACTERS, clock.now())
    parts = found.form(valid.key, assembly.base_url(settings), set(provide))
    write_durably(file.absolute(), _workbook(parts) if file.suffix.lower() == ".xlsx" else _text(parts).encode())
    typer.echo(f"{file} holds the key: send it to the regulator alone, and remove it then.")


@app.command()
def questions(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """List who asked last, for what, and how it ended; a record is only ever its digest."""
    from qianzhi.ledger import evidence

    place, settings = opened(home, End.GATEWAY)
    with _session(place, settings) as session:
        rows = evidence.asked(session, limit=QUESTIONS_SHOWN)
    if as_json:
        print_json(rows)
    else:
        columns = ("asked_at", "method", "outcome", "client", "record_digest", "earlier")
        print_table("Questions", columns, [list(row.values()) for row in rows])


@media.command()
def add(
    record: Annotated[str, typer.Argument(help="The number of the record that the regulator asks by.")],
    kind: Annotated[str, typer.Argument(help="What it is: prescription, doctor_video, patient_video or audio.")],
    source: Annotated[str, typer.Argument(help="The full path of a file, or an https address.")],
    home: HomeOption = None,
    number: Annotated[int, typer.Option(min=0, max=9_999, help="The order of several files of a record.")] = 0,
) -> None:
    """Register a file after looking into it."""
    from qianzhi.gateway.evidence.register import register

    place, settings = opened(home, End.GATEWAY)
    with _session(place, settings) as session:
        media_id, found = register(session, settings, record, kind, source, number=number)
    typer.echo(f"{media_id}  {found.media_type}  {', '.join(found.codecs)}")
    if found.unusual:
        typer.echo(f"Some players cannot play {', '.join(found.unusual)}.", err=True)


@media.command("list")
def list_media(home: HomeOption = None, record: RecordOption = None, *, as_json: JsonOption = False) -> None:
    """List the files of a record, or count all."""
    from qianzhi.gateway.evidence import asking
    from qianzhi.ledger import evidence

    place, settings = opened(home, End.GATEWAY)
    regulator = asking.regulator_key(settings)
    with _session(place, settings) as session:
        rows = (
            evidence.counts(session, regulator)
            if record is None
            else evidence.listed(session, regulator, record=record)
        )
    print_rows("Media", rows, as_json=as_json)


@media.command()
def remove(
    media_ids: Annotated[list[int], typer.Argument(help="The numbers that `add` and `list --record` tell.")],
    home: HomeOption = None,
) -> None:
    """Serve files no longer; the files themselves stay."""
    from qianzhi.ledger import evidence
    from qianzhi.runtime import clock

    place, settings = opened(home, End.GATEWAY)
    with _session(place, settings) as session:
        count = evidence.remove(session, media_ids, now=clock.now())
    typer.echo(f"{count} files are no longer served.")


@media.command()
def credential(home: HomeOption = None) -> None:
    """Show the credential with which systems of [gateway.evidence] registrars register files themselves."""
    from qianzhi.gateway.evidence import assembly, links

    place, _ = opened(home, End.GATEWAY)
    typer.echo(links.ensure_credential(assembly.credential_file(place)))


@media.command()
def scan(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """Look through the folders now; exit code 1 when a file that is named by the rule is refused."""
    from qianzhi.gateway.evidence import asking, assembly
    from qianzhi.gateway.evidence.scan import scan as look_through

    place, settings = opened(home, End.GATEWAY)
    regulator, shelf = asking.regulator_key(settings), assembly.shelf(settings)
    folders = [name for name, each in settings.gateway.evidence.folders.items() if each.scan]
    with _session(place, settings) as session:
        asked = asking.adapter(regulator).ASKED
        done = {name: look_through(session, regulator, asked, shelf, name) for name in folders}
    if as_json:
        print_json({name: said.as_json() for name, said in done.items()})
    else:
        for name, said in done.items():
            print_facts({"folder": name, **said.counts()})
            if said.refused:
                print_table("Refused", ("file", "why"), said.refused)
    if any(said.refused_count for said in done.values()):
        raise typer.Exit(FAILED)


def selftest(
    home: HomeOption = None,
    record: RecordOption = None,
    language: LanguageOption = Language.ZH,
    *,
    public: Annotated[bool, typer.Option("--public", help="Ask at public_base_url, through the proxy.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Play the regulator against the service that runs; exit code 1 when an answer is not as it must be."""
    from qianzhi.gateway.evidence.selftest import examine

    place, settings = opened(home, End.GATEWAY)
    with _session(place, settings) as session:
        checks = list(examine(place, settings, session, record=record, public=public, language=language.value))
    if as_json:
        print_json([check.as_json() for check in checks])
    else:
        rows = [(each.method, each.what, each.wanted, each.got, _MARKS[each.passed]) for each in checks]
        print_table("Self-test", ("method", "what", "wanted", "got", ""), rows)
    if any(check.passed is False for check in checks):
        raise typer.Exit(FAILED)


_MARKS = {True: "ok", False: "FAILED", None: "-"}


def _session(home: Home, settings: Settings) -> AbstractContextManager[Session]:
    from qianzhi.gateway.service import session

    return session(home, settings, application="qianzhi media")


def _workbook(parts: Sequence[Part]) -> bytes:
    from qianzhi.runtime import workbooks

    return workbooks.write(
        [
            workbooks.Sheet(part.title, [workbooks.Column(name, width=60) for name in part.columns], part.rows)
            for part in parts
        ]
    )


def _text(parts: Sequence[Part]) -> str:
    blocks = [[part.title, "\t".join(part.columns), *("\t".join(row) for row in part.rows), ""] for part in parts]
    return "\n".join(line for block in blocks for line in block)
