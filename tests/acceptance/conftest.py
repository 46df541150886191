"""Both ends as their users meet them: the command line, psql, HTTPS. One home for all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND_SECONDS_MAX = 240.0


@dataclass(frozen=True)
class Person:
    """Somebody at a terminal, with one home."""

    home: Path

    def types(self, *arguments: str, code: int = 0) -> str:
        """Run a command and return what it prints; its exit code must be as said."""
        done = subprocess.run(
            [sys.executable, "-m", "qianzhi", *arguments, "--home", str(self.home)],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            env={**os.environ, "COLUMNS": "200"},
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def asks(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with --json and return what it says."""
        return json.loads(self.types(*arguments, "--json", code=code))


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Person, dict[str, Any]]]:
    """Play the demo once, and return who played it and what it wrote."""
    folder = tmp_path_factory.mktemp("demo")
    person, said = Person(folder / "home"), folder / "said.json"
    done = subprocess.run(
        [sys.executable, "-m", "qianzhi", "demo", "--once", "--home", str(person.home), "--json", str(said)],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield person, json.loads(said.read_text(encoding="utf-8"))
    _stop_what_still_runs(person.home)


def _stop_what_still_runs(home: Path) -> None:
    from qianzhi.gateway import assembly as gateway
    from qianzhi.hub import assembly as hub
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.sources import load_settings

    place = Home(home)
    settings = load_settings(place)
    for cluster in (gateway.cluster(place, settings), hub.cluster(place, settings)):
        if cluster is not None and cluster.running():
            cluster.stop()
