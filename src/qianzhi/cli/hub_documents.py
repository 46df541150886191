"""`qianzhi hub documents`, `publications` and `certificate`: what goes between the hub's operators and institutions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from qianzhi.cli.hub_scope import CodeArgument, RegulatorOption, regulator_of, session_of
from qianzhi.cli.terminal import (
    FAILED,
    HomeOption,
    JsonOption,
    actor,
    content_of,
    opened,
    print_json,
    print_rows,
    require_known,
)
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from qianzhi.db.server import Session
    from qianzhi.hub.documents import Verdict, Version
    from qianzhi.hub.onboarding import Institution
    from qianzhi.hub.publications import Publication

documents = typer.Typer(help="Documents that institutions handed in, and their review.", no_args_is_help=True)
publications = typer.Typer(help="Files and notices for institutions.", no_args_is_help=True)
certificate = typer.Typer(help="The certificate of connection (接入证明).", no_args_is_help=True)

ALL = "all"
STATES = ("submitted", "reviewed", "returned")

IdArgument = Annotated[int, typer.Argument(help="The number of the document in the list.")]
OutputOption = Annotated[Path, typer.Option("--output", help="The file to write.")]


@documents.command("list")
def list_documents(
    home: HomeOption = None,
    state: Annotated[str | None, typer.Option(help=f"Only those of a state: {', '.join(STATES)}.")] = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """List every version that was handed in, the newest first."""
    from qianzhi.hub import documents as held

    require_known("--state", state, STATES)
    with session_of(*opened(home, End.HUB)) as session:
        rows = [each.as_row() for each in held.versions(session, state=state)]
    print_rows("Documents", rows, as_json=as_json)


@documents.command()
def accept(number: IdArgument, home: HomeOption = None) -> None:
    """Say that a document is as it should be (审核通过)."""
    from qianzhi.hub.documents import Verdict

    _review(number, Verdict.REVIEWED, "", home)


@documents.command("return")
def send_back(
    number: IdArgument,
    reason: Annotated[str, typer.Option("--reason", help="What the institution must change.")],
    home: HomeOption = None,
) -> None:
    """Ask for a document again, with a reason that the institution reads (退回)."""
    from qianzhi.hub.documents import Verdict

    _review(number, Verdict.RETURNED, reason, home)


@documents.command()
def save(number: IdArgument, output: OutputOption, home: HomeOption = None) -> None:
    """Write a document that was handed in into a file."""
    from qianzhi.hub import assembly
    from qianzhi.hub import documents as held
    from qianzhi.runtime.files import write_durably

    place, settings = opened(home, End.HUB)
    with session_of(place, settings) as session:
        version = held.find(session, number)
    write_durably(output.absolute(), assembly.blobs(place).get(version.digest))
    typer.echo(f"{version.document} of {version.institution} stands in {output}.")


def publish(
    file: Annotated[Path, typer.Argument(help="The file.", exists=True, dir_okay=False)],
    title: Annotated[str, typer.Option("--title", help="What institutions read in their list.")],
    audience: Annotated[
        list[str] | None, typer.Option("--audience", help="The code of an institution, or all; may be repeated.")
    ] = None,
    regulator: RegulatorOption = None,
    home: HomeOption = None,
    *,
    notice: Annotated[bool, typer.Option("--notice", help="It is a notice, and no file to keep.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish a file for every institution of a regulator, or for those that --audience names."""
    from qianzhi.hub import assembly
    from qianzhi.hub.publications import FILE_BYTES_MAX, Draft, PublicationKind
    from qianzhi.hub.publications import publish as publish_draft
    from qianzhi.runtime import clock

    place, settings = opened(home, End.HUB)
    key = regulator_of(settings, regulator)
    kind = PublicationKind.NOTICE if notice else PublicationKind.FILE
    draft = Draft(kind, title, file.name, content_of(file, FILE_BYTES_MAX))
    with session_of(place, settings) as session:
        named = _audience(session, key, audience or [ALL])
        made = publish_draft(session, assembly.blobs(place), key, draft, named, actor(), clock.now())
    _tell(made, as_json=as_json)


@publications.command("list")
def list_publications(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """List what was published, withdrawn files too, the newest first."""
    from qianzhi.hub import publications as held

    with session_of(*opened(home, End.HUB)) as session:
        found = held.listed(session)
    rows = [
        each.as_json() | {"for_all": each.for_all, "published_by": each.published_by, "withdrawn_at": each.withdrawn_at}
        for each in found
    ]
    print_rows("Publications", rows, as_json=as_json)


@publications.command()
def withdraw(publication: Annotated[UUID, typer.Argument(help="Its id in the list.")], home: HomeOption = None) -> None:
    """Let nobody fetch a publication any more; copies that were fetched stay where they are."""
    from qianzhi.hub import publications as held
    from qianzhi.runtime import clock

    with session_of(*opened(home, End.HUB)) as session:
        held.withdraw(session, publication, actor=actor(), now=clock.now())
    typer.echo(f"The publication {publication} is withdrawn.")


@certificate.command()
def issue(
    code: CodeArgument,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="A PDF made elsewhere, stamped for example.", exists=True, dir_okay=False),
    ] = None,
    regulator: RegulatorOption = None,
    home: HomeOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Issue the certificate of an institution, for it alone: a page made here, or a PDF that is given."""
    from qianzhi.hub import assembly, certificates, onboarding
    from qianzhi.hub.publications import FILE_BYTES_MAX
    from qianzhi.runtime import clock

    place, settings = opened(home, End.HUB)
    seal = certificates.open_seal(place.existing(End.HUB).credentials)
    given = content_of(file, FILE_BYTES_MAX) if file is not None else None
    with session_of(place, settings) as session:
        found = onboarding.find(session, regulator_of(settings, regulator), code)
        made = certificates.issue(
            session, assembly.blobs(place), seal, found, given=given, actor=actor(), now=clock.now()
        )
    _tell(made, as_json=as_json)


@certificate.command()
def check(
    file: Annotated[Path, typer.Argument(help="A certificate that was made here.", exists=True, dir_okay=False)],
    home: HomeOption = None,
) -> None:
    """Tell whether a certificate is one of this hub, and what it says; exit code 1 when it is not."""
    from qianzhi.hub import certificates
    from qianzhi.hub.publications import FILE_BYTES_MAX

    place, settings = opened(home, End.HUB)
    seal, content = certificates.open_seal(place.existing(End.HUB).credentials), content_of(file, FILE_BYTES_MAX)
    with session_of(place, settings) as session:
        record = certificates.read(session, content, seal)
    if record is None:
        typer.echo("This is no certificate of this hub, or it was changed.")
        raise typer.Exit(FAILED)
    print_json(record)


def _review(number: int, verdict: Verdict, reason: str, home: Path | None) -> None:
    from qianzhi.hub import documents as held
    from qianzhi.runtime import clock

    with session_of(*opened(home, End.HUB)) as session:
        version: Version = held.review(session, number, verdict, reason=reason, actor=actor(), now=clock.now())
    typer.echo(f"{version.document} of {version.institution} is {version.state}.")


def _audience(session: Session, regulator: str, named: list[str]) -> list[Institution] | None:
    from qianzhi.hub import onboarding

    if ALL in named:
        return None
    return [onboarding.find(session, regulator, code) for code in dict.fromkeys(named)]


def _tell(made: Publication, *, as_json: bool) -> None:
    if as_json:
        print_json(made.as_json())
    else:
        typer.echo(f"{made.publication_id} {made.title} ({made.file_name})")
