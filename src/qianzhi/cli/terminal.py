"""What the commands share: options, the home they open, tables, JSON, logs, and how an error is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from qianzhi.errors import QianzhiError
    from qianzhi.runtime.home import End, Home, Rooms
    from qianzhi.runtime.settings import Settings

FAILED = 1  # something is wrong, or not all is as it should be; 0 is "all is well", 2 is "not a command"
KNOWN_COUNT_MAX = 40  # names listed where an unknown one was given
LOG_COMPONENT = "command"
COLUMNS_UNBOUNDED = 10_000  # the width of a "terminal" that is a file or a program
SENTENCE_COLUMNS = 40  # a longer text is read as a sentence, and may be broken into lines …
SENTENCE_COLUMNS_MIN = 28  # … of at least this width


class Language(StrEnum):
    """The languages in which findings are told."""

    ZH = "zh"
    EN = "en"


HomeOption = Annotated[
    Path | None, typer.Option("--home", help="The data directory.", envvar="QIANZHI_HOME", show_default="per user")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of a table.")]
LanguageOption = Annotated[
    Language, typer.Option("--language", help="The language of the sentences: zh or en.", envvar="QIANZHI_LANGUAGE")
]
DatasetOption = Annotated[str | None, typer.Option("--dataset", help="One dataset only.")]
DestinationOption = Annotated[
    str | None, typer.Option("--destination", help="Which destination, where there are several.")
]


def require_known(option: str, value: str | None, known: Collection[str]) -> None:
    """Refuse a name that nobody knows as a mistake in the command (exit code 2), and name those that are known."""
    if value is not None and value not in known:
        more = f" and {len(known) - KNOWN_COUNT_MAX} more" if len(known) > KNOWN_COUNT_MAX else ""
        names = (", ".join(islice(known, KNOWN_COUNT_MAX)) or "none") + more
        raise typer.BadParameter(f"{value!r} is not known; known are: {names}.", param_hint=option)


def actor() -> str:
    """Return who asks, for the audit: the account of the operating system."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in some containers
        return "unknown"


def opened(home: Path | None, end: End) -> tuple[Home, Settings]:
    """Return the home of an end that was set up, and its settings; what the command logs goes to a file there."""
    from qianzhi.runtime.home import find_home
    from qianzhi.runtime.sources import load_settings

    place = find_home(home)
    rooms, settings = place.existing(end), load_settings(place)
    keep_logs(rooms, settings)
    return place, settings


def keep_logs(rooms: Rooms, settings: Settings) -> None:
    """Let the logs of a command go to a file; a terminal is told, in words, what somebody should look at."""
    from qianzhi.runtime.logs import configure_logs

    configure_logs(LOG_COMPONENT, rooms.log, settings.log, is_command=True)


def content_of(file: Path, bytes_max: int) -> bytes:
    """Read a file no further than one byte beyond its bound, which whoever takes it then refuses."""
    from qianzhi.errors import SenderError

    try:
        with file.open("rb") as held:
            return held.read(bytes_max + 1)
    except OSError as error:
        raise SenderError(
            f"{file} cannot be read: {error.strerror}.", remedy="Name a file that you may read."
        ) from error


def print_json(value: object) -> None:
    """Print a value as JSON, readable and in UTF-8."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, console: Console | None = None
) -> None:
    """
    Print rows as a table; numbers stand to the right, and nothing is ever cut. Instants are told as local time.

    Where the terminal is too narrow the table loses its frame, and then becomes one block a row. What is no
    terminal gets the whole width.
    """
    from rich.console import Console
    from rich.measure import Measurement

    console = console or Console()
    if not console.is_terminal:
        console = Console(width=COLUMNS_UNBOUNDED, file=console.file)
    held = [list(row) for row in rows]
    if not held:
        says_so = title.startswith("0 ")
        console.print(f"{title}." if says_so else f"{title}: none.", markup=False, highlight=False)
        return
    texts = [[_said(cell) for cell in row] for row in held]
    numbers = [bool(held) and all(isinstance(row[at], int | float) for row in held) for at in range(len(columns))]
    widths = _widths(columns, texts, bounded=console.is_terminal)
    unbounded = console.options.update(max_width=COLUMNS_UNBOUNDED)
    for framed in (True, False):
        table = _table(title, columns, texts, numbers, widths, framed=framed)
        if Measurement.get(console, unbounded, table).minimum <= console.width:
            console.print(table)
            return
    _print_blocks(console, title, columns, texts)


def _said(cell: object) -> str:
    if isinstance(cell, datetime):
        from qianzhi.runtime import clock

        return f"{clock.local(cell) if cell.tzinfo else cell:%Y-%m-%d %H:%M:%S}"
    return "" if cell is None else str(cell)


def _widths(columns: Sequence[str], texts: Sequence[Sequence[str]], *, bounded: bool) -> list[int]:
    """Return how wide each column must be at least."""
    from rich.cells import cell_len

    natural = [
        max([cell_len(name), *(cell_len(line) for row in texts for line in row[at].splitlines())])
        for at, name in enumerate(columns)
    ]
    return [SENTENCE_COLUMNS_MIN if bounded and width > SENTENCE_COLUMNS else width for width in natural]


def _table(
    title: str,
    columns: Sequence[str],
    texts: Sequence[Sequence[str]],
    numbers: Sequence[bool],
    widths: Sequence[int],
    *,
    framed: bool,
) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title, style="italic"),
        title_justify="left",
        box=box.HEAVY_HEAD if framed else None,
        pad_edge=framed,
        collapse_padding=not framed,
    )
    for name, is_number, width in zip(columns, numbers, widths, strict=True):
        table.add_column(name, justify="right" if is_number else "left", min_width=width, overflow="fold")
    for row in texts:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _print_blocks(console: Console, title: str, columns: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    console.print(title, style="italic", markup=False, highlight=False)
    width = max(map(len, columns), default=0)
    for row in texts:
        console.print()
        for name, cell in zip(columns, row, strict=True):
            console.print(f"{name:<{width}}  {cell}", markup=False, highlight=False, soft_wrap=True)


def print_rows(title: str, rows: Sequence[Mapping[str, object]], *, as_json: bool = False) -> None:
    """Print rows that have the same names, as JSON or as a table."""
    if as_json:
        print_json(rows)
    else:
        print_table(title, list(rows[0]) if rows else [], [list(row.values()) for row in rows])


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values, one a line."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


def complain(error: QianzhiError) -> None:
    """Tell an error on standard error: what happened, then what to do."""
    typer.secho(error.what, fg="red", err=True)
    typer.echo(error.remedy, err=True)
