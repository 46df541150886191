"""The command line. Heavy imports wait inside the commands, so that help and completion answer at once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from qianzhi import __version__
from qianzhi.cli import gateway, hub, specs, whitelist
from qianzhi.cli.bench import bench
from qianzhi.cli.bundle import bundle
from qianzhi.cli.demo import demo
from qianzhi.cli.service import app_of
from qianzhi.cli.synth import synth
from qianzhi.cli.terminal import FAILED, complain
from qianzhi.errors import QianzhiError
from qianzhi.runtime.home import End
from qianzhi.runtime.memory import keep_pages, share_heaps

app = typer.Typer(
    name="qianzhi",
    help="Front-end processor and supervision hub for Chinese health-data reporting.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
gateway.app.add_typer(app_of(End.GATEWAY), name="service")
gateway.app.add_typer(whitelist.app, name="whitelist")
hub.app.add_typer(app_of(End.HUB), name="service")
app.add_typer(gateway.app, name="gateway")
app.add_typer(hub.app, name="hub")
app.add_typer(specs.app, name="specs")
app.command()(demo)
app.command()(synth)
app.command()(bench)
app.command()(bundle)


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"qianzhi {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Take what stands before the name of a command."""


def main() -> None:
    """Run the command line; an error of ours is told in two lines, what happened and what to do."""
    keep_pages()
    share_heaps()
    try:
        app()
    except QianzhiError as error:
        complain(error)
        sys.exit(FAILED)
