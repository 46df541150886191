"""`qianzhi gateway key`: the key file under which files of the data directory are encrypted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli.terminal import HomeOption, JsonOption, opened, print_json, print_rows
from qianzhi.errors import ConfigurationError
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from qianzhi.runtime.settings import Settings

app = typer.Typer(help="Encryption at rest: the key file and its versions.", no_args_is_help=True)

DEFAULT_NAME = "at-rest.key"
_SETTING = "gateway.encryption.key_file"


@app.command()
def make(
    file: Annotated[Path | None, typer.Option(help="Where the key file lies.", show_default="credentials")] = None,
    home: HomeOption = None,
) -> None:
    """Make a key file and encrypt from now on; a gateway that runs must be started anew."""
    from qianzhi.runtime import clock, keyfile
    from qianzhi.runtime.sources import write_settings

    place, settings = opened(home, End.GATEWAY)
    if settings.gateway.encryption.key_file is not None:
        raise ConfigurationError(
            f"There is a key file already: {settings.gateway.encryption.key_file}.",
            remedy="Add a version by `qianzhi gateway key rotate`.",
        )
    path = (file or place.end(End.GATEWAY).credentials / DEFAULT_NAME).absolute()
    made = keyfile.make(path, now=clock.now())
    write_settings(place, {_SETTING: path})
    typer.echo(f"The key {made.key_id.hex()} stands in {path}. Keep a copy apart from the backups of the data.")
    typer.echo("What was written before is still plain: `qianzhi gateway key apply` encrypts it.")


@app.command()
def rotate(home: HomeOption = None) -> None:
    """Add a version to the key file: it writes from now on, the older ones still read."""
    from qianzhi.runtime import clock, keyfile

    made = keyfile.rotate(_path(opened(home, End.GATEWAY)[1]), now=clock.now())
    typer.echo(f"The key {made.key_id.hex()} writes from now on. Keep a copy of the key file apart from the backups.")


@app.command("list")
def list_keys(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """List the versions of the key, never the keys themselves."""
    from qianzhi.runtime.keyfile import KeyFile

    versions = KeyFile(_path(opened(home, End.GATEWAY)[1])).versions
    rows = [{"key": each.key_id.hex(), "made_at": each.made_at, "writes": each is versions[-1]} for each in versions]
    print_rows("Versions of the key", rows, as_json=as_json)


@app.command()
def apply(home: HomeOption = None, *, as_json: JsonOption = False) -> None:
    """Encrypt under the newest key whatever is plain or under an older one; safe to break off and to repeat."""
    from qianzhi.gateway import assembly
    from qianzhi.gateway.service import database

    place, settings = opened(home, End.GATEWAY)
    _path(settings)
    site = assembly.workplace(place, settings)
    with database(place, settings):
        archives = assembly.archivist(place, settings).rewrite()
    rewritten = {
        "batches": site.spool.rewrite(),
        "images": site.blobs.rewrite(),
        "pictures": assembly.album(place, settings).rewrite(),
        "documents": assembly.papers(place, settings).rewrite(),
        "archives": archives,
    }
    if as_json:
        print_json(rewritten)
    else:
        typer.echo(", ".join(f"{count} {name}" for name, count in rewritten.items()) + " are encrypted anew.")


def _path(settings: Settings) -> Path:
    path = settings.gateway.encryption.key_file
    if path is None:
        raise ConfigurationError("No key file is set.", remedy="Run `qianzhi gateway key make`.")
    return path
