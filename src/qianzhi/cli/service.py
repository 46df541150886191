"""`qianzhi gateway service` and `qianzhi hub service`: starting with the machine, and starting anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli.terminal import HomeOption
from qianzhi.runtime.home import End, find_home

if TYPE_CHECKING:
    from pathlib import Path

    from qianzhi.runtime.home import Home
    from qianzhi.runtime.units import Unit

AccountOption = Annotated[
    str | None,
    typer.Option("--account", help="Who runs it; on Linux qianzhi, on Windows the system itself when not given."),
]
UserOption = Annotated[
    bool, typer.Option("--user/--system", help="A service of who is signed in, or of the machine (needs its rights).")
]
LINUX_ACCOUNT = "qianzhi"


def app_of(end: End) -> typer.Typer:
    """Return the commands for one end."""
    app = typer.Typer(help="Start with the machine; start anew while it runs.", no_args_is_help=True)

    @app.command()
    def install(home: HomeOption = None, account: AccountOption = None, *, user: UserOption = False) -> None:
        """Let this machine start it (systemd, or the Windows task scheduler), and start it now. Safe to repeat."""
        from qianzhi.runtime import installation

        place = find_home(home)
        typer.echo(f"Installed: {installation.install(_unit(end, place, account, is_user=user), place)}")

    @app.command("print")
    def show(home: HomeOption = None, account: AccountOption = None, *, user: UserOption = False) -> None:
        """Print what `install` would write, for whatever starts services here."""
        from qianzhi.runtime.installation import text_of

        typer.echo(text_of(_unit(end, find_home(home), account, is_user=user)), nl=False)

    @app.command()
    def uninstall(home: HomeOption = None, *, user: UserOption = False) -> None:
        """Stop it, and no longer start it with the machine; its data stay."""
        from qianzhi.runtime import installation

        typer.echo(f"Removed: {installation.uninstall(_unit(end, find_home(home), None, is_user=user))}")

    @app.command()
    def restart(
        home: HomeOption = None,
        part: Annotated[str, typer.Option(help='Which part; "all" reads the settings again too.')] = "all",
    ) -> None:
        """Ask what runs to start a part, or everything, anew; it is under way within a second."""
        _ask(end, home, part)

    @app.command()
    def stop(home: HomeOption = None) -> None:
        """Ask what runs to end in order: what it needs ends last."""
        from qianzhi.runtime.requests import STOP

        _ask(end, home, STOP)

    return app


def _ask(end: End, home: Path | None, what: str) -> None:
    from qianzhi.runtime.requests import STOP
    from qianzhi.runtime.sources import load_settings
    from qianzhi.runtime.supervisor import ask

    place = find_home(home)
    if what != STOP:
        load_settings(place)  # wrong ones are told now, and to who is there
    ask(place.existing(end).run, what)
    typer.echo("It is asked for.")


def _unit(end: End, place: Home, account: str | None, *, is_user: bool) -> Unit:
    import sys

    from qianzhi.runtime.installation import unit_of

    known = account or (LINUX_ACCOUNT if sys.platform != "win32" and not is_user else None)
    return unit_of(end, place, account=known, is_user=is_user)
