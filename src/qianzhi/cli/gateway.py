"""`qianzhi gateway`: the hospital's end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli import account, archive, documents, evidence, key, resources, results
from qianzhi.cli.terminal import (
    FAILED,
    DatasetOption,
    DestinationOption,
    HomeOption,
    JsonOption,
    Language,
    LanguageOption,
    complain,
    keep_logs,
    opened,
    print_facts,
    print_json,
    print_table,
    require_known,
)
from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.gateway.destination import Destination
    from qianzhi.gateway.standing import Standing
    from qianzhi.ledger.tally import Tally
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

app = typer.Typer(help="The hospital's end: staging tables, checks, upload, receipts.", no_args_is_help=True)
app.add_typer(account.app, name="account")
app.add_typer(archive.app, name="archive")
app.add_typer(documents.app, name="documents")
app.add_typer(evidence.app, name="evidence")
app.add_typer(evidence.media, name="media")
app.add_typer(key.app, name="key")
app.add_typer(resources.app, name="resources")
app.add_typer(results.app, name="results")
app.command()(documents.form)
app.command()(evidence.selftest)

_INSTANT = "%Y-%m-%d %H:%M:%S"
LOOPBACK_HUB = "https://127.0.0.1:8443"  # where `qianzhi hub run` on this machine answers


@app.command()
def init(  # noqa: PLR0917  (every one is an option)
    home: HomeOption = None,
    regulator: Annotated[str, typer.Option(help="The regulator whose datasets are staged.")] = "guangdong",
    institution: Annotated[str | None, typer.Option(help="The identity the platform issued (机构标识).")] = None,
    port: Annotated[int | None, typer.Option(help="Where the embedded PostgreSQL listens.")] = None,
    dsn: Annotated[str | None, typer.Option(help="A PostgreSQL of the site instead of the embedded one.")] = None,
    hub: Annotated[str | None, typer.Option(help="The hub's https address; this machine's when not given.")] = None,
    credential_file: Annotated[Path | None, typer.Option(help="The file with the regulator's credential.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="The certificate authority of the hub.")] = None,
    destination: Annotated[str, typer.Option(help="The name of the destination.")] = "hub",
    machine_dsn: Annotated[str | None, typer.Option(help="An official front machine's PostgreSQL, not a hub.")] = None,
    images_folder: Annotated[Path | None, typer.Option(help="Its image folder, as this machine sees it.")] = None,
    images_prefix: Annotated[str | None, typer.Option(help="Its image folder, as that machine sees it.")] = None,
) -> None:
    """Set the gateway up, or bring it to this release and edition. Safe to repeat."""
    from qianzhi import regulators
    from qianzhi.gateway.install import install
    from qianzhi.runtime.home import find_home
    from qianzhi.runtime.sources import load_settings, write_settings

    require_known("--regulator", regulator, regulators.keys())
    place = find_home(home)
    keep_logs(place.create(End.GATEWAY), load_settings(place))
    if hub is None and machine_dsn is None and destination not in load_settings(place).gateway.destinations:
        hub = LOOPBACK_HUB
    at = f"gateway.destinations.{destination}"
    wanted = {
        "gateway.institution": institution,
        "gateway.database.port": port,
        "gateway.database.dsn": dsn,
        f"{at}.regulator": regulator if hub or machine_dsn else None,
        f"{at}.kind": "front-machine" if machine_dsn else None,
        f"{at}.machine.dsn": machine_dsn,
        f"{at}.machine.images_folder": images_folder,
        f"{at}.machine.images_prefix": images_prefix,
        f"{at}.url": hub,
        f"{at}.credential_file": credential_file,
        f"{at}.ca_file": ca_file,
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    settings = write_settings(place, changes) if changes else load_settings(place)
    install(place, settings)
    typer.echo(f"The gateway in {place.path} is ready.")


@app.command()
def run(home: HomeOption = None) -> None:
    """Run the gateway until Ctrl-C."""
    from qianzhi.gateway.service import supervise

    supervise(*opened(home, End.GATEWAY))


@app.command(hidden=True)
def worker(home: HomeOption = None) -> None:
    """Be the worker process of `gateway run`."""
    from qianzhi.gateway.service import work

    work(*opened(home, End.GATEWAY))


@app.command(hidden=True)
def health(home: HomeOption = None) -> None:
    """Be the process of `gateway run` that answers /healthz."""
    from qianzhi.gateway.service import watch_health

    watch_health(*opened(home, End.GATEWAY))


@app.command(hidden=True)
def console(home: HomeOption = None) -> None:
    """Be the process of `gateway run` that people see."""
    from qianzhi.gateway.console import serve_console

    serve_console(*opened(home, End.GATEWAY))


@app.command()
def cycle(home: HomeOption = None, destination: DestinationOption = None, *, as_json: JsonOption = False) -> None:
    """Take every row that is committed now as far as it goes; exit code 1 when rows have no outcome yet."""
    from qianzhi.db.server import connect
    from qianzhi.gateway import assembly, report
    from qianzhi.gateway.cycle import PATIENCE_SECONDS, Dispatcher
    from qianzhi.gateway.porter import opened_porter
    from qianzhi.gateway.service import database
    from qianzhi.ledger import promises
    from qianzhi.ledger.batches import CycleKind
    from qianzhi.runtime import clock, memory

    place, settings = opened(home, End.GATEWAY)
    chosen = _chosen(place, settings, destination)
    memory.calm_collector()
    with database(place, settings):
        with Dispatcher(assembly.workplace(place, settings), chosen) as dispatcher:
            dispatcher.backstop(patience_seconds=PATIENCE_SECONDS)
            dispatcher.advance(CycleKind.MANUAL, clock.now(), patience_seconds=PATIENCE_SECONDS)
            submitted = [lane.dataset for lane in dispatcher.lanes]
        with opened_porter(assembly.workplace(place, settings), chosen) as porter:
            porter.carry(lambda: True)
        with connect(assembly.owner_dsn(place, settings), application="qianzhi cycle") as connection:
            tallies, images = report.tallies(connection, chosen), promises.left(connection, chosen.name)
    if as_json:
        print_json({"regulators": {chosen.regulator.key: _as_json(tallies)}})
    else:
        _print_tallies(chosen.regulator.key, tallies)
    if waiting := [dataset for dataset in submitted if tallies[dataset].open]:
        complain(_unfinished(waiting))
        raise typer.Exit(FAILED)
    if images.image_count:
        complain(_unsent(images.image_count))
        raise typer.Exit(FAILED)


@app.command()
def backfill(
    home: HomeOption = None,
    destination: DestinationOption = None,
    rows_per_second: Annotated[float, typer.Option(help="How fast history is taken at most.")] = 2_000.0,
    dataset: DatasetOption = None,
) -> None:
    """Send staged history that no cycle has taken, throttled; break it off and call it again as you like."""
    from qianzhi.gateway import assembly
    from qianzhi.gateway.backfill import backfill as send_history
    from qianzhi.gateway.service import database

    place, settings = opened(home, End.GATEWAY)
    chosen = _chosen(place, settings, destination, dataset)
    with database(place, settings):
        moved = send_history(assembly.workplace(place, settings), chosen, rows_per_second, dataset, typer.echo)
    typer.echo(f"{moved} rows of history are settled.")


@app.command()
def check(
    home: HomeOption = None,
    destination: DestinationOption = None,
    language: LanguageOption = Language.ZH,
    *,
    as_json: JsonOption = False,
) -> None:
    """Check what is staged now without submitting it; exit code 1 when the regulator would reject a row."""
    from qianzhi.db.server import connect
    from qianzhi.gateway import assembly
    from qianzhi.gateway.preview import preview
    from qianzhi.gateway.report import explained, with_dataset
    from qianzhi.gateway.service import database
    from qianzhi.runtime import clock

    place, settings = opened(home, End.GATEWAY)
    chosen = _chosen(place, settings, destination)
    with database(place, settings):
        site = assembly.workplace(place, settings)
        with connect(site.dsn, application="qianzhi check", autocommit=True) as connection:
            seen = list(preview(connection, site, chosen, as_of=clock.local_now()))
    found = explained(with_dataset((dataset, frame) for dataset, _, frame in seen), chosen, language)
    _print_findings(found, as_json=as_json)
    if any(finding["severity"] == "error" for finding in found):
        raise typer.Exit(FAILED)


@app.command()
def status(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """Show where the rows of every dataset are, the last cycle, and what waits, per destination."""
    from qianzhi.gateway import assembly
    from qianzhi.gateway.service import session as session_of
    from qianzhi.gateway.standing import standing

    place, settings = opened(home, End.GATEWAY)
    destinations = assembly.destinations(place, settings)
    with session_of(place, settings, application="qianzhi status") as session:
        standings = {each.name: standing(session, each) for each in destinations}
    if as_json:
        print_json({"destinations": {name: each.as_json() for name, each in standings.items()}})
    else:
        for name, each in standings.items():
            _print_standing(name, each)
    if not standings:
        complain(_no_destination())
        raise typer.Exit(FAILED)


@app.command()
def findings(
    home: HomeOption = None,
    destination: DestinationOption = None,
    dataset: DatasetOption = None,
    language: LanguageOption = Language.ZH,
    *,
    open_only: Annotated[
        bool, typer.Option("--open", help="Leave out what was put right: a later row of the record is accepted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List what is wrong with which field of which row, and what to do about it."""
    from qianzhi.gateway import report
    from qianzhi.gateway.service import session as session_of

    place, settings = opened(home, End.GATEWAY)
    chosen = _chosen(place, settings, destination, dataset)
    with session_of(place, settings, application="qianzhi findings") as session:
        found = report.findings_of(session, chosen, dataset=dataset, language=language, open_only=open_only)
    _print_findings(found, as_json=as_json)


@app.command()
def doctor(home: HomeOption = None, language: LanguageOption = Language.ZH, *, as_json: JsonOption = False) -> None:
    """Look at everything the gateway needs; exit code 1 when something must be put right."""
    from qianzhi.gateway.doctor import Health, examine

    diagnoses = list(examine(*opened(home, End.GATEWAY)))
    if as_json:
        print_json([diagnosis.as_json(language) for diagnosis in diagnoses])
    else:
        rows = [(each.title(language), *list(each.as_json(language).values())[1:]) for each in diagnoses]
        print_table("Doctor", ("thing", "health", "what", "remedy"), rows)
    if any(diagnosis.health is Health.ILL for diagnosis in diagnoses):
        raise typer.Exit(FAILED)


@app.command()
def diagnose(
    output: Annotated[Path, typer.Option(help="The file to write: a ZIP archive.")], home: HomeOption = None
) -> None:
    """Collect what somebody needs who helps from afar: versions, settings, states, tallies, logs; nobody's data."""
    from qianzhi.gateway.diagnostics import packed
    from qianzhi.runtime.files import write_durably

    write_durably(output.absolute(), packed(*opened(home, End.GATEWAY), typer.echo))


@app.command()
def dsn(role: Annotated[str, typer.Option(help="The role that signs in.")] = "us_pos", home: HomeOption = None) -> None:
    """Print a libpq URI, password included, by which a role reaches the staging tables."""
    from qianzhi.gateway import assembly

    place, settings = opened(home, End.GATEWAY)
    require_known("--role", role, assembly.roles(settings))
    typer.echo(assembly.role_dsn(place, settings, role))


def _chosen(home: Home, settings: Settings, destination: str | None, dataset: str | None = None) -> Destination:
    """Return the destination that is meant; unknown names are mistakes in the command."""
    from qianzhi.gateway import assembly

    enabled = [name for name, said in settings.gateway.destinations.items() if said.enabled]
    if not enabled:
        raise _no_destination()
    require_known("--destination", destination, enabled)
    chosen = assembly.destination(home, settings, destination)
    require_known("--dataset", dataset, [each.name for each in chosen.regulator.datasets])
    return chosen


def _no_destination() -> ConfigurationError:
    return ConfigurationError(
        "No destination is set up, or none is enabled.",
        remedy="Run `qianzhi gateway init --hub <https address> --credential-file <file>`.",
    )


def _unfinished(datasets: list[str]) -> OperatorError:
    return OperatorError(
        f"Not every row of {', '.join(datasets)} has an outcome yet.",
        remedy="`qianzhi gateway status` says what waits, `qianzhi gateway doctor` why; nothing is lost.",
    )


def _unsent(count: int) -> OperatorError:
    return OperatorError(
        f"{count} images of accepted rows are not sent yet.",
        remedy="`qianzhi gateway run` goes on with them; `qianzhi gateway doctor` says what is in the way.",
    )


def _as_json(tallies: Mapping[str, Tally]) -> dict[str, dict[str, int]]:
    return {dataset: tally.as_json() for dataset, tally in tallies.items()}


def _print_tallies(title: str, tallies: Mapping[str, Tally]) -> None:
    columns = list(next(iter(tallies.values())).in_full()) if tallies else []
    rows = [(dataset, *tally.in_full().values()) for dataset, tally in tallies.items()]
    print_table(title, ("dataset", *columns), rows)


def _print_standing(name: str, standing: Standing) -> None:
    _print_tallies(f"{name} ({standing.regulator})", standing.datasets)
    last, running = standing.last_cycle, standing.running_cycle
    said = {"last cycle": f"{last['kind']}, finished at {last['finished_at']:{_INSTANT}}" if last else "none yet"}
    if running is not None:
        said["running cycle"] = f"{running['kind']}, since {running['started_at']:{_INSTANT}}"
    if standing.images.image_count:
        said["images to send"] = f"{standing.images.image_count} ({standing.images.byte_count / 2**20:.1f} MiB)"
    if (found := standing.reminder) is not None:
        told = ", ".join(f"{dataset} {count}" for dataset, count in found.errors.items())
        said["reminder"] = f"the cycle would refuse rows with errors: {told}; correct them by {found.cut_off:%H:%M}"
    print_facts(said)
    if standing.troubles:
        print_table(
            "Batches that wait for another attempt",
            list(standing.troubles[0]),
            [list(trouble.values()) for trouble in standing.troubles],
        )


def _print_findings(found: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        columns = ("dataset", "row_id", "code", "class", "field", "value", "reason", "remedy", "severity")
        print_table(f"{len(found)} findings", columns, [[finding[name] for name in columns] for finding in found])
