"""Installing as a service: which files are written, and what the system's own programs are told."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.runtime import installation
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.units import systemd

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd is of Linux")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A gateway's home."""
    place = Home(tmp_path / "home")
    place.create(End.GATEWAY)
    return place


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a program called systemctl was told, line by line; it fails while a file `broken` lies beside it."""
    folder, notes = tmp_path / "bin", tmp_path / "told"
    folder.mkdir()
    program = folder / "systemctl"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {notes}\nif [ -e {folder}/broken ]; then echo No bus. >&2; exit 1; fi\n',
        encoding="utf-8",
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return notes


def test_a_users_service_is_written_enabled_and_removed(home: Home, told: Path, tmp_path: Path) -> None:
    """Both are safe to repeat; the data stay."""
    unit = installation.unit_of(End.GATEWAY, home, account=None, is_user=True)
    file = tmp_path / "config" / "systemd" / "user" / "qianzhi-gateway.service"

    for _ in range(2):
        assert installation.install(unit, home) == str(file)
    assert file.read_text(encoding="utf-8") == systemd(unit) == installation.text_of(unit)
    once = ["--user daemon-reload", "--user enable --now qianzhi-gateway.service"]
    assert told.read_text(encoding="utf-8").splitlines() == once * 2

    told.unlink()
    for _ in range(2):
        installation.uninstall(unit)
    assert not file.exists()
    once = ["--user disable --now qianzhi-gateway.service", "--user daemon-reload"]
    assert told.read_text(encoding="utf-8").splitlines() == once
    assert home.end(End.GATEWAY).pg.is_dir()


def test_what_the_system_refuses_is_told_in_its_words(home: Home, told: Path) -> None:
    """So that whoever installs can put it right."""
    (told.parent / "bin" / "broken").touch()
    with pytest.raises(OperatorError, match="No bus"):
        installation.install(installation.unit_of(End.GATEWAY, home, account=None, is_user=True), home)


def test_a_machine_without_systemd_is_told_where_the_text_is(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other service managers are given it by people."""
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.path / "config"))
    with pytest.raises(ConfigurationError) as refused:
        installation.install(installation.unit_of(End.GATEWAY, home, account=None, is_user=True), home)
    assert "service print" in refused.value.remedy


@pytest.mark.parametrize(("account", "what"), [("nobody", "does not belong"), ("no-such-account", "no account")])
def test_the_account_must_exist_and_own_the_data(home: Home, told: Path, account: str, what: str) -> None:
    """Otherwise the service would fail at every start; nothing is written before that is known."""
    with pytest.raises(ConfigurationError, match=what):
        installation.install(installation.unit_of(End.GATEWAY, home, account=account, is_user=False), home)
    assert not told.exists()


def test_an_end_that_was_not_set_up_is_not_installed(home: Home, told: Path) -> None:
    """The hub of this home does not exist."""
    with pytest.raises(ConfigurationError, match="There is no hub"):
        installation.install(installation.unit_of(End.HUB, home, account=None, is_user=True), home)
