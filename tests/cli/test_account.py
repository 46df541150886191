"""Accounts of the console by command: what each prints, and what it does."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from tests.cli.conftest import ask, call

from qianzhi.errors import SenderError
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import load_settings


def test_the_first_administrator_is_made_by_command(home: Path) -> None:
    """A password is printed once; later it is changed, the role too, and the account disabled and enabled."""
    made = call(home, "gateway", "account", "add", "li.na", "--role", "administrator")
    assert made.exit_code == 0, made.output
    said, _, password = made.output.strip().rpartition(" ")
    assert said == "The account li.na (administrator) may sign in with the password"
    assert len(password) > 20
    assert [(each["name"], each["role"], each["enabled"]) for each in ask(home, "gateway", "account", "list")] == [
        ("li.na", "administrator", True)
    ]
    for words in (("disable", "li.na"), ("role", "li.na", "--role", "viewer"), ("password", "li.na")):
        assert call(home, "gateway", "account", *words).exit_code == 0
    assert [(each["role"], each["enabled"]) for each in ask(home, "gateway", "account", "list")] == [("viewer", False)]
    assert call(home, "gateway", "account", "enable", "li.na").exit_code == 0
    assert "li.na" in call(home, "gateway", "account", "list").output


@pytest.mark.parametrize("words", [("add", "us_pos"), ("add", "X"), ("disable", "nobody"), ("password", "nobody")])
def test_what_cannot_be_done_is_refused(home: Path, words: tuple[str, str]) -> None:
    """A role of the database is no account, and nobody cannot be changed."""
    assert isinstance(call(home, "gateway", "account", *words).exception, SenderError)


def test_an_unknown_role_is_a_mistake_in_the_command(home: Path) -> None:
    """Exit code 2, and the roles are named."""
    refused = call(home, "gateway", "account", "add", "li.si", "--role", "king")
    assert refused.exit_code == 2
    assert "viewer, operator, administrator" in refused.output


def test_the_audit_says_who_typed_the_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that it was a command: the account of the operating system."""
    monkeypatch.setattr("getpass.getuser", lambda: "zhao.liu")
    assert call(home, "gateway", "account", "add", "sun.qi").exit_code == 0
    dsn = load_settings(Home(home)).gateway.database.dsn
    with psycopg.connect(str(dsn)) as session:
        found = session.execute("SELECT actor, event FROM qianzhi.audit WHERE subject = 'sun.qi'").fetchall()
    assert found == [("zhao.liu", "console:account:added")]


def test_a_password_may_be_typed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for, never taken from the command line, and not printed."""
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "Typed-1-password")
    made = call(home, "gateway", "account", "add", "wang.wu", "--ask")
    assert made.output.strip() == "The account wang.wu (operator) may sign in."
