"""Where the console is reached, and who asks."""

from __future__ import annotations

import pytest

from qianzhi.console.base import Base, safe_path

LOCAL = Base()
PROXIED = Base(public_url="https://intranet.example/front")


@pytest.mark.parametrize(
    ("base", "origin", "host", "own"),
    [
        (LOCAL, "http://127.0.0.1:28888", "127.0.0.1:28888", True),
        (LOCAL, "https://127.0.0.1:28888", "127.0.0.1:28888", False),
        (LOCAL, "http://127.0.0.1:28889", "127.0.0.1:28888", False),
        (LOCAL, "http://localhost:28888", "127.0.0.1:28888", False),
        (LOCAL, "null", "127.0.0.1:28888", False),
        (LOCAL, "", "", False),
        (LOCAL, "http://localhost:28888", "localhost:28888", True),
        (LOCAL, "http://[::1]:28888", "[::1]:28888", True),
        (LOCAL, "http://evil.example:28888", "evil.example:28888", False),
        (LOCAL, "http://192.0.2.1:28888", "192.0.2.1:28888", False),
        (LOCAL, "http://[", "[", False),
        (LOCAL, "http://", "", False),
        (PROXIED, "http://evil.example:28888", "evil.example:28888", False),
        (Base(is_https=True), "https://front:28888", "front:28888", True),
        (Base(is_https=True), "http://front:28888", "front:28888", False),
        (PROXIED, "https://intranet.example", "intranet.example", True),
        (PROXIED, "https://intranet.example", "127.0.0.1:28888", True),
        (PROXIED, "https://intranet.example.evil.example", "127.0.0.1:28888", False),
    ],
)
def test_a_request_is_our_own_by_scheme_host_and_port(base: Base, origin: str, host: str, own: bool) -> None:
    """Behind a proxy also by the address that people type; on loopback by no name that somebody else lets lead here."""
    assert base.is_own(origin, host) is own


def test_links_and_cookies_follow_the_address_that_people_type() -> None:
    """A sub-path stands before every link; HTTPS at the proxy makes cookies secure."""
    assert (LOCAL.link("/failed"), LOCAL.is_secure) == ("/failed", False)
    assert (PROXIED.link("/failed"), PROXIED.is_secure) == ("/front/failed", True)


@pytest.mark.parametrize(
    ("base", "peer", "forwarded", "address"),
    [
        (LOCAL, "127.0.0.1", "192.0.2.1", "127.0.0.1"),
        (PROXIED, "127.0.0.1", "192.0.2.1", "192.0.2.1"),
        (PROXIED, "127.0.0.1", "198.51.100.9, 192.0.2.1", "192.0.2.1"),
        (PROXIED, "192.0.2.7", "192.0.2.1", "192.0.2.7"),
        (PROXIED, "127.0.0.1", "", "127.0.0.1"),
    ],
)
def test_only_a_proxy_of_this_machine_says_who_asks(base: Base, peer: str, forwarded: str, address: str) -> None:
    """And only the last name that it wrote itself: what stands before came from outside."""
    assert base.address_of(peer, {"x-forwarded-for": forwarded} if forwarded else {}) == address


@pytest.mark.parametrize("path", [None, "", "x", "//x", "/\\x", "https://x", "/a\n", "/" + "a" * 600, "javascript:1"])
def test_a_path_that_may_lead_elsewhere_is_none(path: str | None) -> None:
    """Whoever wrote it into an address."""
    assert safe_path(path) is None
