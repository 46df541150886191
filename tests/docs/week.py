"""The week of the tutorial, typed as a person would type it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from openpyxl import load_workbook

from qianzhi.db import binaries
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.stopping import SUPERVISOR_VARIABLE
from qianzhi.runtime.supervisor import read_states

BEHIND = " &"  # a command that stays
COMMAND_SECONDS_MAX = 120.0
READY_SECONDS_MAX = 60.0
LOOK_SECONDS = 0.1
FIRST_ROW = 2  # below the headings of a sheet
# What the suite does not type: another Python, a registry, and the bundle, which tests of its own make and install.
LEFT_OUT = ("python3.11 ", "/opt/qianzhi/bin/", "qianzhi bundle ", "PYTHON=", "export PATH=")
# The doctor also judges what else runs on this machine.
DEPENDS = ("qianzhi gateway doctor",)
EXITS_WITH_1 = ("qianzhi gateway check", "qianzhi gateway documents list")

_BLOCK = re.compile(r"(?:([^\n]*:|[^\n]*：)\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"`([\w.-]+)`")


@dataclass(frozen=True, slots=True)
class Typed:
    """A command with what a reader is told to see."""

    command: str
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A file that a reader is told to write."""

    name: str
    text: str


def steps(text: str) -> Iterator[Typed | Written]:
    """Yield what a page tells to do, in order."""
    for intro, language, body in _BLOCK.findall(text):
        names = _NAME.findall(intro)
        if language == "console":
            for said in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, *shown = said.splitlines()
                yield Typed(command, tuple(shown))
        elif names:
            yield Written(names[-1], body)


@dataclass(slots=True)
class Week:
    """A folder in which the week is lived: the home, what a hospital has at hand, and what runs."""

    folder: Path
    instead: dict[str, str]  # of what the page says, where this machine differs
    environment: dict[str, str]
    ports: dict[End, tuple[int, ...]]  # that answer once an end is up
    _lives: set[int | None] = field(default_factory=set)  # processes that were seen up
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def home(self) -> Home:
        """The data directory."""
        return Home(self.folder / "home")

    def do(self, step: Typed | Written) -> None:
        """Do one step, and hold what the page says of it."""
        if isinstance(step, Written):
            self._write(step)
        elif step.command.startswith("export ") and not step.command.startswith(LEFT_OUT):
            said = self._run(f"{step.command}; env --null").stdout
            self.environment |= dict(each.split("=", 1) for each in said.split("\0") if each)
        elif step.command.endswith(BEHIND):
            self._stay(step.command.removesuffix(BEHIND))
        elif not step.command.startswith(LEFT_OUT):
            self._type(step)

    def tear_down(self) -> None:
        """End what runs."""
        for process in self._running:
            process.send_signal(signal.SIGINT)
        for process in self._running:
            process.wait(COMMAND_SECONDS_MAX)

    def _here(self, text: str) -> str:
        for said, here in self.instead.items():
            text = text.replace(said, here)
        return text

    def _type(self, step: Typed) -> None:
        done = self._run(step.command)
        is_as_told = done.returncode == int(step.command in EXITS_WITH_1) or step.command in DEPENDS
        assert is_as_told, (step.command, done.stdout, done.stderr)
        for line in step.shown:
            assert _sees(done.stdout, line), (step.command, line, done.stdout)
        if "service restart" in step.command:
            self._wait_until_up(End.GATEWAY)

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", self._here(command)],
            check=False,
            capture_output=True,
            cwd=self.folder,
            env=self.environment,
            timeout=COMMAND_SECONDS_MAX,
            encoding="utf-8",
        )

    def _write(self, step: Written) -> None:
        if step.name == "qianzhi.toml":
            with (self.home.path / step.name).open("a", encoding="utf-8") as settings:
                settings.write("\n" + self._here(step.text))
        elif step.name.endswith(".xlsx"):
            _fill(self.folder / step.name, step.text)
        elif step.name.endswith(".sql"):
            (self.folder / step.name).write_text(step.text, encoding="utf-8")

    def _stay(self, command: str) -> None:
        # Should this process die, they follow it.
        surroundings = {**self.environment, SUPERVISOR_VARIABLE: str(os.getpid())}
        words = [sys.executable, "-m", *shlex.split(command)]
        with (self.folder / "run.out").open("ab") as output:
            self._running.append(subprocess.Popen(words, env=surroundings, stdout=output, stderr=output))
        self._wait_until_up(End(words[3]))

    def _wait_until_up(self, end: End) -> None:
        until = clock.monotonic() + READY_SECONDS_MAX
        while clock.monotonic() < until:
            states = read_states(self.home.end(end).run)
            lives = {part.pid for part in states if part.name in ("worker", "intake")}
            is_up = all(part.phase.value == "up" for part in states) and all(map(_listens, self.ports[end]))
            if lives and not lives & self._lives and is_up:
                self._lives |= lives
                return
            clock.sleep(LOOK_SECONDS)
        raise AssertionError((self.folder / "run.out").read_text(encoding="utf-8"))


def bare_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which `qianzhi` and `psql` can be typed, and nothing is set."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "qianzhi").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m qianzhi "$@"\n', encoding="utf-8")
    (programs / "qianzhi").chmod(0o755)
    if shutil.which("psql") is None:
        (programs / "psql").symlink_to(binaries.program(binaries.folder(18), "psql"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QIANZHI_")}
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**kept, "PATH": path, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "1000"}


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _sees(output: str, line: str) -> bool:
    """Whether some line of an output holds what a page shows, with anything in the place of `…`."""
    wanted = ".*".join(re.escape(part.strip()) for part in line.split("…"))
    return re.search(wanted, output) is not None


def _fill(file: Path, table: str) -> None:
    """Type a table into the first sheet of a workbook that holds records."""
    heads, *rows = [line.split(",") for line in table.splitlines()]
    book = load_workbook(file)
    sheet = book.worksheets[1]
    columns = {str(cell.value).split("\n")[-1]: cell.column for cell in sheet[1] if cell.value is not None}
    for offset, row in enumerate(rows):
        for head, value in zip(heads, row, strict=True):
            sheet.cell(FIRST_ROW + offset, columns[head], value)
    book.save(file)
