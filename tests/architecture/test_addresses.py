"""Which addresses may stand in the tree: nothing here contacts, or names as a default, a machine of somebody else."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path

import pytest
from tests.architecture.tree import files, shown

HOSTS = {
    "www.apache.org",  # the licence
    "docs.python.org",
    "keepachangelog.com",
    "semver.org",
    "www.postgresql.org",
    "www.rfc-editor.org",
    "www.w3.org",  # name spaces
    "schemas.microsoft.com",  # likewise
}
# Reserved for examples, written by a placeholder, or without a dot and so of no public machine.
RESERVED = re.compile(r"(.*\.)?(example|invalid|localhost|test)(\.(com|net|org))?|[\[<{*…].*|[a-z0-9-]+")
URL = re.compile(r"https?://([^/\s\"'`)>\]}]*)")
ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
NETWORKS = [
    IPv4Network(text)
    for text in (
        "127.0.0.0/8",
        "192.0.2.0/24",  # documentation
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "192.168.0.0/16",
    )
]
ANY = {"0.0.0.0", "255.255.255.255"}  # noqa: S104 - named, not bound to


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    """Every text file of the tree."""
    found: dict[Path, str] = {}
    for path in files():
        try:
            found[path] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:  # an image
            continue
    return found


def test_every_link_leads_to_a_known_place(texts: dict[Path, str]) -> None:
    """Links go to this machine, to names reserved for examples, or to a few well-known documents."""
    strangers = {
        f"{shown(path)}: {host}"
        for path, text in texts.items()
        for host in URL.findall(text)
        if host and not _is_harmless(host)
    }
    assert strangers == set()


def test_no_address_of_a_real_machine_stands_anywhere(texts: dict[Path, str]) -> None:
    """Numeric addresses are loopback, private examples or from the ranges reserved for documentation."""
    strangers = {
        f"{shown(path)}: {text}"
        for path, content in texts.items()
        for text in ADDRESS.findall(content)
        if not _is_no_machine(text)
    }
    assert strangers == set()


def test_locks_name_no_index(texts: dict[Path, str]) -> None:
    """A lock holds versions and digests; where packages come from is each machine's own matter."""
    locks = [text for path, text in texts.items() if path.parent.name == "requirements"]

    assert len(locks) == 2
    assert [line for text in locks for line in text.splitlines() if "://" in line or "index" in line] == []


def _is_harmless(host: str) -> bool:
    name = host.rpartition("@")[2].partition(":")[0].rstrip(".")  # a sentence may end with it
    if ADDRESS.fullmatch(name):
        return _is_no_machine(name)
    return not name or name in HOSTS or RESERVED.fullmatch(name) is not None


def _is_no_machine(text: str) -> bool:
    # Numbers that begin below ten are those of sections and versions.
    if text in ANY or int(text.partition(".")[0]) < 10:
        return True
    try:
        address = ip_address(text)
    except ValueError:
        return True
    return isinstance(address, IPv4Address) and any(address in network for network in NETWORKS)
