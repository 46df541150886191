"""The texts of the embedded server's files of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from qianzhi.db import configuration
from qianzhi.errors import ConfigurationError

LOGS = Path("/somewhere/log")


def test_extra_settings_replace_the_usual_ones_but_not_the_place() -> None:
    """A site may change memory, not where the server listens: that is said elsewhere."""
    extra = {"shared_buffers": "1GB", "port": "1"}
    lines = configuration.settings(port=5433, listen="127.0.0.1", logs=LOGS, extra=extra).splitlines()
    assert "shared_buffers = '1GB'" in lines
    assert "port = '5433'" in lines
    assert sum(line.startswith("shared_buffers") for line in lines) == 1


def test_values_are_quoted_for_postgresql() -> None:
    """A quote or a backslash of a Windows path stays what it is."""
    text = configuration.settings(port=1, listen="*", logs=LOGS, extra={"archive_command": r"copy 'a' C:\new"})
    assert r"archive_command = 'copy ''a'' C:\\new'" in text


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("192.0.2.7", "127.0.0.1,192.0.2.7"),
        ("0.0.0.0", "0.0.0.0"),  # noqa: S104
        ("*", "*"),
    ],
)
def test_loopback_always_listens(listen: str, addresses: str) -> None:
    """The product itself signs in over loopback, whatever else listens; no address is bound twice."""
    text = configuration.settings(port=1, listen=listen, logs=LOGS, extra={})
    assert f"listen_addresses = '{addresses}'" in text


def test_access_is_by_password_from_loopback_only() -> None:
    """Without client networks there is no rule but for loopback, and none that trusts."""
    rules = [line.split() for line in configuration.access("postgres", [], []).splitlines() if line[0] != "#"]
    assert {rule[3] for rule in rules} == {"127.0.0.1/32", "::1/128"}
    assert {rule[0] for rule in rules} == {"host"}
    assert {rule[4] for rule in rules} == {"scram-sha-256"}


def test_other_networks_sign_in_as_the_named_roles_only() -> None:
    """A client network never reaches the superuser or the owner of the ledger."""
    text = configuration.access("postgres", ["192.0.2.0/24", "198.51.100.7"], ["us_pos"])
    assert 'host all "us_pos" 192.0.2.0/24 scram-sha-256' in text
    assert 'host all "us_pos" 198.51.100.7/32 scram-sha-256' in text
    assert "host all all 192" not in text


@pytest.mark.parametrize(("clients", "roles"), [(["192.0.2.300"], ["us_pos"]), (["192.0.2.0/24"], [])])
def test_wrong_networks_are_refused(clients: list[str], roles: list[str]) -> None:
    """A misspelt network and a network without roles are matters of configuration."""
    with pytest.raises(ConfigurationError):
        configuration.access("postgres", clients, roles)
