"""What the documents tell to type can be typed."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from tests.docs.pages import READMES, ROOT, every_page, examples, text_of

from qianzhi.cli import app

CALL = re.compile(r"(?:^\$ |\$\()(qianzhi [^\n|)]*)", re.MULTILINE)
MAKE = re.compile(r"^\$ make (\w+)", re.MULTILINE)


def calls() -> Iterator[tuple[str, str]]:
    """Every call of qianzhi in a console example, with the page that shows it."""
    for page in every_page():
        for example in examples(page, "console"):
            for line in CALL.findall(example):
                yield str(page.relative_to(ROOT)), line


@pytest.mark.parametrize(("page", "line"), sorted(set(calls())))
def test_every_command_shown_exists_with_its_options(page: str, line: str) -> None:
    """A command or an option that was renamed is renamed in the documents too."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"{page}: {line}"
        command = command.commands[words.pop(0)]

    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert not hasattr(command, "commands"), f"{page}: {line} is no whole command"
    assert [word for word in words if word.startswith("--") and word not in known] == [], f"{page}: {line}"


def test_every_make_target_shown_exists() -> None:
    """`make` knows what the documents tell to make."""
    targets = set(re.findall(r"^(\w+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    shown = {name for page in every_page() for example in examples(page, "console") for name in MAKE.findall(example)}

    assert shown >= {"demo", "test"}
    assert shown <= targets


def test_the_two_readmes_show_the_same_commands() -> None:
    """Neither language is told less."""
    english, chinese = ([*(CALL.findall(example) for example in examples(page, "console"))] for page in READMES)

    assert english == chinese


def test_every_toml_example_can_be_read() -> None:
    """An example that is copied must at least be TOML."""
    for page in every_page():
        for example in examples(page, "toml"):
            tomllib.loads(example)
