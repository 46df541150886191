"""`qianzhi hub`: the regulator's end."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli import hub_documents
from qianzhi.cli.hub_scope import CodeArgument, RegulatorOption, regulator_of, session_of
from qianzhi.cli.terminal import (
    FAILED,
    DatasetOption,
    HomeOption,
    JsonOption,
    Language,
    LanguageOption,
    actor,
    keep_logs,
    opened,
    print_facts,
    print_json,
    print_rows,
    print_table,
    require_known,
)
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from qianzhi.db.server import Session
    from qianzhi.hub.onboarding import Institution, InstitutionState
    from qianzhi.runtime.settings import Settings

app = typer.Typer(help="The regulator's end: intake, checks, receipts, the validation log.", no_args_is_help=True)
institutions = typer.Typer(help="Who may send, and with which credentials.", no_args_is_help=True)
app.add_typer(institutions, name="institutions")
app.add_typer(hub_documents.documents, name="documents")
app.add_typer(hub_documents.publications, name="publications")
app.add_typer(hub_documents.certificate, name="certificate")
app.command()(hub_documents.publish)

InstitutionOption = Annotated[str | None, typer.Option("--institution", help="One institution only, by its code.")]
SinceOption = Annotated[datetime | None, typer.Option("--since", help="Nothing older than this local time.")]
CredentialFileOption = Annotated[
    Path | None, typer.Option("--credential-file", help="Write the credential there instead of printing it.")
]


@app.command()
def init(  # noqa: PLR0917  # every one is an option
    home: HomeOption = None,
    regulator: Annotated[list[str] | None, typer.Option(help="A regulator to serve; may be repeated.")] = None,
    port: Annotated[int | None, typer.Option(help="The port that institutions reach.")] = None,
    listen: Annotated[str | None, typer.Option(help="The address of this machine that institutions reach.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="A host name or address to put into the certificate.")] = None,
    database_port: Annotated[int | None, typer.Option(help="Where the embedded PostgreSQL listens.")] = None,
    dsn: Annotated[str | None, typer.Option(help="A PostgreSQL of the site instead of the embedded one.")] = None,
) -> None:
    """Set the hub up, or bring it to this release and edition. Safe to repeat."""
    from qianzhi import regulators
    from qianzhi.hub.install import install
    from qianzhi.runtime.home import find_home
    from qianzhi.runtime.sources import load_settings, write_settings

    for key in regulator or ():
        require_known("--regulator", key, regulators.keys())
    place = find_home(home)
    keep_logs(place.create(End.HUB), load_settings(place))
    served = regulator or list(load_settings(place).hub.regulators) or ["guangdong"]
    wanted = {
        "hub.regulators": tuple(served),
        "hub.intake.port": port,
        "hub.intake.listen": listen,
        "hub.tls.names": tuple(name) if name else None,
        "hub.database.port": database_port,
        "hub.database.dsn": dsn,
    }
    settings = write_settings(place, {key: value for key, value in wanted.items() if value is not None})
    identity = install(place, settings)
    typer.echo(f"The hub in {place.path} is ready for {', '.join(served)}.")
    print_facts(
        {
            "address": f"https://{settings.hub.intake.listen}:{settings.hub.intake.port}",
            "authority": identity.authority or "a public one",
            "fingerprint": identity.fingerprint,
        }
    )


@app.command()
def run(home: HomeOption = None) -> None:
    """Run the hub until Ctrl-C."""
    from qianzhi.hub.service import supervise

    supervise(*opened(home, End.HUB))


@app.command(hidden=True)
def intake(home: HomeOption = None) -> None:
    """Be the intake process of `hub run`."""
    from qianzhi.hub.service import take_in

    take_in(*opened(home, End.HUB))


@app.command(hidden=True)
def watch(home: HomeOption = None) -> None:
    """Be the watch process of `hub run`."""
    from qianzhi.hub.service import keep_watch

    keep_watch(*opened(home, End.HUB))


@app.command()
def status(home: HomeOption = None, since: SinceOption = None, *, as_json: JsonOption = False) -> None:
    """Show what runs, what was received and who is silent; exit code 1 when somebody is."""
    from dataclasses import asdict

    from qianzhi.hub.status import status as status_of
    from qianzhi.runtime import clock
    from qianzhi.runtime.supervisor import read_states

    place, settings = opened(home, End.HUB)
    parts = {part.name: part.phase.value for part in read_states(place.end(End.HUB).run)}
    with session_of(place, settings) as session:
        found = status_of(session, now=clock.now(), since=since)
    if as_json:
        print_json({"parts": parts, **asdict(found)})
    else:
        print_facts({**(parts or {"parts": "nothing runs"}), **found.counts})
        print_rows("Received", found.datasets)
        if found.silent:
            print_rows("Silent institutions", found.silent)
        if found.overdue_images:
            print_rows("Institutions that owe images", found.overdue_images)
    if found.silent:
        raise typer.Exit(FAILED)


@app.command()
def findings(  # noqa: PLR0917  # every one is an option
    home: HomeOption = None,
    institution: InstitutionOption = None,
    dataset: DatasetOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest first.")] = 1000,
    language: LanguageOption = Language.ZH,
    *,
    as_json: JsonOption = False,
) -> None:
    """List what was found in the records received, with reason and remedy."""
    from qianzhi.hub import feedback

    place, settings = opened(home, End.HUB)
    _require_dataset(settings, dataset)
    with session_of(place, settings) as session:
        _require_institution(session, institution)
        found = feedback.findings(
            session, institution=institution, dataset=dataset, since=since, count=limit, language=language
        )
    if as_json:
        print_json(found)
        return
    columns = ("institution", "dataset", "row_id", "code", "class", "field", "value", "reason", "remedy", "severity")
    print_table(f"{len(found)} findings", columns, [[finding[name] for name in columns] for finding in found])


@app.command()
def log(
    home: HomeOption = None,
    institution: InstitutionOption = None,
    dataset: DatasetOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest first.")] = 100,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show the validation log: each batch with its date, time, dataset and counts."""
    from qianzhi.hub import feedback

    place, settings = opened(home, End.HUB)
    _require_dataset(settings, dataset)
    with session_of(place, settings) as session:
        _require_institution(session, institution)
        print_rows("Validation log", feedback.log_of_all(session, institution, dataset, limit), as_json=as_json)


@institutions.command()
def add(
    code: CodeArgument,
    name: Annotated[str, typer.Argument(help="The institution's name.")],
    home: HomeOption = None,
    regulator: RegulatorOption = None,
    credential_file: CredentialFileOption = None,
) -> None:
    """Register an institution and issue its first credential, which is told once."""
    from qianzhi.hub import onboarding

    place, settings = opened(home, End.HUB)
    with session_of(place, settings) as session:
        added = onboarding.register(session, regulator_of(settings, regulator), code, name, actor=actor())
        _tell(onboarding.issue(session, added, actor=actor()), credential_file)


@institutions.command("list")
def list_(home: HomeOption = None, regulator: RegulatorOption = None, *, as_json: JsonOption = False) -> None:
    """List every institution with its state, its valid credentials and its last batch."""
    from dataclasses import asdict

    from qianzhi.hub import onboarding

    place, settings = opened(home, End.HUB)
    require_known("--regulator", regulator, settings.hub.regulators)
    with session_of(place, settings) as session:
        rows = [asdict(each) for each in onboarding.institutions(session, regulator)]
    print_rows("Institutions", rows, as_json=as_json)


@institutions.command()
def show(
    code: CodeArgument, home: HomeOption = None, regulator: RegulatorOption = None, *, as_json: JsonOption = False
) -> None:
    """Show one institution and its credentials."""
    from dataclasses import asdict

    from qianzhi.hub import onboarding

    place, settings = opened(home, End.HUB)
    with session_of(place, settings) as session:
        found = onboarding.find(session, regulator_of(settings, regulator), code)
        credentials = [asdict(each) for each in onboarding.credentials(session, found)]
    if as_json:
        print_json({**asdict(found), "credentials": credentials})
        return
    print_facts(asdict(found))
    print_rows("Credentials", credentials)


@institutions.command()
def rotate(
    code: CodeArgument,
    home: HomeOption = None,
    regulator: RegulatorOption = None,
    overlap_hours: Annotated[float, typer.Option(min=0, help="How long the one before stays valid.")] = 24.0,
    credential_file: CredentialFileOption = None,
) -> None:
    """Issue a new credential, which is told once; those before it end after the overlap."""
    from qianzhi.hub import onboarding

    place, settings = opened(home, End.HUB)
    with session_of(place, settings) as session:
        found = onboarding.find(session, regulator_of(settings, regulator), code)
        _tell(onboarding.rotate(session, found, overlap_hours=overlap_hours, actor=actor()), credential_file)


@institutions.command()
def revoke(
    credential_id: Annotated[str, typer.Argument(help="What stands before the point in the credential.")],
    home: HomeOption = None,
) -> None:
    """End a credential at once."""
    from qianzhi.hub import onboarding

    with session_of(*opened(home, End.HUB)) as session:
        onboarding.revoke(session, credential_id, actor=actor())
    typer.echo(f"The credential {credential_id} is revoked.")


@institutions.command()
def suspend(code: CodeArgument, home: HomeOption = None, regulator: RegulatorOption = None) -> None:
    """Refuse what an institution sends until it is resumed."""
    from qianzhi.hub.onboarding import InstitutionState

    _set_state(code, home, regulator, InstitutionState.SUSPENDED)


@institutions.command()
def resume(
    code: CodeArgument,
    home: HomeOption = None,
    regulator: RegulatorOption = None,
    *,
    production: Annotated[bool, typer.Option("--production", help="Into production and not into testing.")] = False,
) -> None:
    """Take what an institution sends again."""
    from qianzhi.hub.onboarding import InstitutionState

    _set_state(code, home, regulator, InstitutionState.PRODUCTION if production else InstitutionState.TESTING)


def _set_state(code: str, home: Path | None, regulator: str | None, state: InstitutionState) -> None:
    from qianzhi.hub import onboarding

    place, settings = opened(home, End.HUB)
    with session_of(place, settings) as session:
        found: Institution = onboarding.find(session, regulator_of(settings, regulator), code)
        onboarding.set_state(session, found, state, actor=actor())
    typer.echo(f"The institution {code} is {state.value}.")


def _require_dataset(settings: Settings, dataset: str | None) -> None:
    from qianzhi import regulators
    from qianzhi.hub import assembly

    if dataset is None:
        return
    served = [regulators.regulator(key) for key in assembly.regulators(settings)]
    require_known("--dataset", dataset, list(dict.fromkeys(each.name for one in served for each in one.datasets)))


def _require_institution(session: Session, code: str | None) -> None:
    from qianzhi.hub import onboarding

    if code is not None:
        require_known("--institution", code, [each.code for each in onboarding.institutions(session)])


def _tell(credential: str, file: Path | None) -> None:
    from qianzhi.runtime.files import write_durably

    if file is None:
        typer.echo(credential)
        return
    write_durably(file.absolute(), credential.encode())
    typer.echo(f"The credential {credential.partition('.')[0]} stands in {file}.")
