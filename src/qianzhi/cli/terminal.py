"""What the commands share: options, tables, JSON, and how an error is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qianzhi.errors import QianzhiError

FAILED = 1  # something is wrong, or not all is as it should be; 0 is "all is well", 2 is "not a command"

HomeOption = Annotated[
    Path | None, typer.Option("--home", help="The data directory.", envvar="QIANZHI_HOME", show_default="per user")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of a table.")]
DestinationOption = Annotated[
    str | None, typer.Option("--destination", help="Which destination, where there are several.")
]


def print_json(value: object) -> None:
    """Print a value as JSON, readable and in UTF-8."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows as a table; numbers stand to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    held = [list(row) for row in rows]
    for position, name in enumerate(columns):
        is_number = bool(held) and all(isinstance(row[position], int | float) for row in held)
        table.add_column(name, justify="right" if is_number else "left")
    for row in held:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values, one a line."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


def complain(error: QianzhiError) -> None:
    """Tell an error on standard error: what happened, then what to do."""
    typer.secho(error.what, fg="red", err=True)
    typer.echo(error.remedy, err=True)
