from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from qianzhi.errors import ConfigurationError
from qianzhi.runtime.home import HOME_VARIABLE, End, Home, find_home


def test_the_command_line_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`--home` is stronger than QIANZHI_HOME, and that is stronger than the user's own data directory."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "from-environment"))

    assert find_home(tmp_path / "named").path == tmp_path / "named"
    assert find_home().path == tmp_path / "from-environment"

    monkeypatch.delenv(HOME_VARIABLE)
    assert find_home().path.name == "qianzhi"


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A child process with another working directory finds the same home."""
    monkeypatch.chdir(tmp_path)

    assert find_home(Path("here")).path == tmp_path / "here"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists instead of modes")
def test_folders_that_hold_personal_data_are_open_to_their_owner_only(tmp_path: Path) -> None:
    """Every folder of an end has mode 0700."""
    rooms = Home(tmp_path / "new").create(End.GATEWAY)

    folders = [rooms.root, *rooms.all]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert [folder.name for folder in folders] == [
        "gateway",
        "pg",
        "spool",
        "blobs",
        "log",
        "run",
        "tls",
        "credentials",
    ]


def test_making_a_home_twice_changes_nothing(tmp_path: Path) -> None:
    """A second `init` keeps what is there."""
    home = Home(tmp_path)
    (home.create(End.HUB).spool / "batch").write_bytes(b"kept")

    assert (home.create(End.HUB).spool / "batch").read_bytes() == b"kept"


def test_an_end_that_was_never_initialised_says_how_to(tmp_path: Path) -> None:
    """Running an end without `init` names the command."""
    with pytest.raises(ConfigurationError, match="qianzhi hub init"):
        Home(tmp_path).existing(End.HUB)


def test_a_home_that_cannot_be_made_is_the_installers_to_correct(tmp_path: Path) -> None:
    """A file in the way is a ConfigurationError, not an OSError."""
    (tmp_path / "taken").write_bytes(b"")

    with pytest.raises(ConfigurationError, match="cannot be made"):
        Home(tmp_path / "taken" / "home").create(End.GATEWAY)
