"""Tables on terminals of any width."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from qianzhi.cli.terminal import print_table

TALLY = ("dataset", "staged", "submitted", "accepted", "rejected", "held", "ended_here", "open")
COUNTS = ("institution_business", 100_000, 100_000, 99_999, 1, 0, 0, 0)
FINDING = ("dataset", "row_id", "code", "class", "field", "reason", "remedy", "severity")
FOUND = ("treatment_diagnose", 305, "V06.1", "E04", "XBDM", "该值不在值域内。" * 9, "Give a code of it. " * 9, "error")


def printed(width: int, *table: object, is_terminal: bool = True) -> list[str]:
    """Return the lines of a table on a terminal, or in a file."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=is_terminal, color_system=None)
    print_table("A title", *table, console=console)  # type: ignore[arg-type]
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [200, 140, 100, 80, 60, 30])
@pytest.mark.parametrize(("columns", "row"), [(TALLY, COUNTS), (FINDING, FOUND)])
def test_no_name_and_no_number_is_ever_cut(width: int, columns: tuple[str, ...], row: tuple[object, ...]) -> None:
    """Every name, code and number stands whole on one line, and every sentence is there to its end."""
    lines = printed(width, columns, [row])
    assert "…" not in "".join(lines)
    for word in [*columns, *(str(cell) for cell in row if len(str(cell)) <= 20)]:
        assert any(word in line for line in lines), word
    assert "".join(lines).count("值") == "".join(map(str, row)).count("值")


def test_counts_fit_into_eighty_columns_side_by_side() -> None:
    """The most common terminal shows a tally as a table, its numbers below their names."""
    lines = printed(80, TALLY, [COUNTS])
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[1:]] == [list(TALLY), [str(cell) for cell in COUNTS]]


def test_a_finding_on_a_narrow_terminal_is_a_block() -> None:
    """One line a name; sentences are broken by the terminal, not by us."""
    lines = printed(100, FINDING, [FOUND, FOUND])
    assert lines[2] == "dataset   treatment_diagnose"
    assert lines.count("code      V06.1") == 2


def test_what_is_no_terminal_gets_everything_on_one_line() -> None:
    """A file or a program searches lines; the width of nobody's screen is no bound."""
    lines = printed(80, FINDING, [FOUND], is_terminal=False)
    assert any(all(str(cell).strip() in line for cell in FOUND) for line in lines)


def test_a_text_is_no_markup() -> None:
    """A value in square brackets is shown as it is."""
    assert any("[bold]x" in line for line in printed(80, ("value",), [("[bold]x",)]))


def test_an_instant_is_local_time_to_the_second() -> None:
    """Whatever zone the database told it in; people read the clock on the wall."""
    lines = printed(80, ("received_at",), [(datetime(2026, 11, 19, 18, 30, 5, 123456, tzinfo=UTC),)])
    assert any("2026-11-20 02:30:05" in line for line in lines)
    assert ".123456" not in "".join(lines)


def test_a_list_of_nothing_says_so() -> None:
    """An empty answer is an answer, and no blank line."""
    assert printed(80, (), []) == printed(80, TALLY, []) == ["A title: none."]
