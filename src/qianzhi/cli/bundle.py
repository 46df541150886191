"""`qianzhi bundle`: everything that a machine without a registry needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qianzhi.cli.terminal import JsonOption, print_facts, print_json

PlatformOption = Annotated[str, typer.Option("--platform", help="win_amd64, manylinux_x86_64 or manylinux_aarch64.")]


def bundle(
    platform: PlatformOption,
    output: Annotated[Path, typer.Option(help="A new folder.")],
    python_version: Annotated[str, typer.Option(help="The Python that is there.")] = "3.11",
    *,
    as_json: JsonOption = False,
) -> None:
    """Collect every wheel of the lock with its digest and an install script, to be carried to another machine."""
    from qianzhi.runtime.bundle import make

    made = make(platform, output, python_version=python_version)
    said = {"folder": str(made.folder), "wheels": len(made.wheels), "bytes": made.byte_count, "sha256": made.digest}
    if as_json:
        print_json(said)
    else:
        print_facts(said)
