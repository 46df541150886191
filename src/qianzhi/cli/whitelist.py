"""`qianzhi gateway whitelist`: who may reach the staging tables over the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli.terminal import HomeOption, JsonOption, actor, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from qianzhi.gateway.whitelist import Changed
    from qianzhi.runtime.home import Home

app = typer.Typer(help="The networks that may reach the staging tables.", no_args_is_help=True)

NetworkArgument = Annotated[str, typer.Argument(help="A network (192.0.2.0/24) or one machine (192.0.2.7).")]


@app.command("list")
def show(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """List the networks; this machine itself is always let in."""
    from qianzhi.runtime.sources import load_settings

    networks = load_settings(_place(home)).gateway.whitelist
    if as_json:
        print_json(list(networks))
    else:
        for network in networks:
            typer.echo(network)


@app.command()
def add(network: NetworkArgument, home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """Let a network in at once, without a restart. Safe to repeat."""
    from qianzhi.gateway import whitelist

    _tell(whitelist.add(_place(home), network, actor=actor()), as_json=as_json)


@app.command()
def remove(network: NetworkArgument, home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """Keep a network out at once; sessions from there end."""
    from qianzhi.gateway import whitelist

    _tell(whitelist.remove(_place(home), network, actor=actor()), as_json=as_json)


def _place(home: Path | None) -> Home:
    from qianzhi.runtime.home import End, find_home

    place = find_home(home)
    place.existing(End.GATEWAY)
    return place


def _tell(changed: Changed, *, as_json: bool) -> None:
    if as_json:
        print_json({"networks": list(changed.networks), "sessions_ended": changed.ended_count})
        return
    typer.echo(f"Let in are: {', '.join(changed.networks) or 'no networks, only this machine'}.")
    if changed.ended_count:
        typer.echo(f"{changed.ended_count} sessions from elsewhere ended.")
