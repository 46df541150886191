"""The console as a process of the gateway: who signs in, by which password, over what."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import psycopg
import pytest
from tests.gateway.pages.conftest import Gateway, console

from qianzhi.console.base import is_loopback
from qianzhi.db.server import dsn_of_role
from qianzhi.errors import SenderError
from qianzhi.gateway.console import database_accounts, listener
from qianzhi.gateway.service import parts
from qianzhi.runtime import clock
from qianzhi.runtime.home import Home
from qianzhi.runtime.sources import load_settings, write_settings


def enter(base: str, name: str, password: str) -> httpx.Response:
    """Sign in."""
    data = {"name": name, "password": password}
    return httpx.post(f"{base}/sign-in", data=data, headers={"origin": base}, trust_env=False, timeout=60, verify=False)  # noqa: S501 - ours


def test_the_database_s_account_signs_in_as_the_document_says(gateway: Gateway) -> None:
    """By the password that PostgreSQL knows, and by no other; the owner's role does not sign in here."""
    assert enter(gateway.base, "us_pos", gateway.database_password).status_code == 303
    assert enter(gateway.base, "us_pos", "wrong").status_code == 401
    assert enter(gateway.base, "us_pos", "").status_code == 401
    assert enter(gateway.base, "postgres", gateway.database_password).status_code == 401


def test_the_database_s_password_is_changed_by_itself(gateway: Gateway) -> None:
    """The role gives itself another one, commands read the new one, and the old one is worth nothing."""
    before, wanted = gateway.database_password, "Another-1 'password' 的"
    account = database_accounts(gateway.home, gateway.settings)["us_pos"]
    with pytest.raises(SenderError):
        account.change("wrong", wanted)
    account.change(before, wanted)
    assert gateway.database_password == wanted
    assert (account.is_right(before), account.is_right(wanted)) == (False, True)
    with psycopg.connect(dsn_of_role(gateway.site.dsn, "us_pos", wanted)) as session:
        assert session.execute("SELECT current_user").fetchone() == ("us_pos",)
    account.change(wanted, before)


def test_by_https_the_cookie_never_goes_in_the_clear(gateway: Gateway, free_port: Callable[[], int]) -> None:
    """A certificate is shown, cookies are Secure, and browsers remember to come by HTTPS only."""
    tls = gateway.home.path / "gateway" / "tls"
    write_settings(gateway.home, {"gateway.console.listen": "0.0.0.0"})  # noqa: S104 - to have a certificate made
    shown = listener(gateway.home, load_settings(gateway.home), clock.now())
    write_settings(gateway.home, {"gateway.console.listen": "127.0.0.1"})
    assert (shown.certificate, shown.key) == (tls / "server.pem", tls / "server.key")
    files = {
        "QIANZHI_GATEWAY__CONSOLE__TLS__CERTIFICATE": str(shown.certificate),
        "QIANZHI_GATEWAY__CONSOLE__TLS__KEY": str(shown.key),
    }
    with console(gateway.home, free_port(), **files) as base:
        entered = enter(base, "us_pos", gateway.database_password)
        assert entered.status_code == 303
        assert "Secure" in entered.headers["set-cookie"]
        assert entered.headers["strict-transport-security"] == "max-age=31536000"
        with pytest.raises(httpx.TransportError):
            httpx.get(base.replace("https", "http"), trust_env=False, timeout=60)


def test_only_loopback_is_served_without_a_certificate(gateway: Gateway) -> None:
    """Whatever else it listens on, it has one."""
    assert listener(gateway.home, load_settings(gateway.home), clock.now()).certificate is None
    assert [is_loopback(address) for address in ("127.0.0.1", "::1", "localhost", "127.1.2.3")] == [True] * 4
    assert [is_loopback(address) for address in ("0.0.0.0", "::", "192.168.1.1", "front")] == [False] * 4  # noqa: S104 - compared


def test_the_console_is_a_part_that_can_be_left_out(home: Home) -> None:
    """It runs under the supervisor unless the settings say otherwise."""
    settings = load_settings(home)
    assert "console" in [part.name for part in parts(home, settings)]
    settings = write_settings(home, {"gateway.console.enabled": False})
    assert "console" not in [part.name for part in parts(home, settings)]


def test_behind_a_proxy_every_address_has_the_sub_path(gateway: Gateway, free_port: Callable[[], int]) -> None:
    """Links, files, forms and redirects begin with it; the origin is the one that people type."""
    origin = "https://intranet.example"
    with (
        console(gateway.home, free_port(), QIANZHI_GATEWAY__CONSOLE__PUBLIC_BASE_URL=f"{origin}/front") as base,
        httpx.Client(base_url=base, headers={"origin": origin}, trust_env=False, timeout=60) as client,
    ):
        assert client.get("/failed").headers["location"] == "/front/sign-in?next=%2Ffailed"
        entered = client.post("/sign-in", data={"name": "us_pos", "password": gateway.database_password})
        assert entered.headers["location"] == "/front/"
        assert "Path=/front;" in entered.headers["set-cookie"]
        assert "Secure" in entered.headers["set-cookie"]
        cookie = entered.headers["set-cookie"].partition(";")[0]
        page = client.get("/failed", headers={"cookie": cookie}).text
        assert '"/front/_nicegui/' in page
        assert '"/front/held"' in page
        assert '"/front/sign-out"' in page
        assert not re.findall(r'(?:href|src|action)\W+"/(?!front/)[a-z]', page)
        assert client.get("/failed", headers={"cookie": cookie, "origin": "https://evil.example"}).status_code == 200
        refused = client.post("/sign-out", headers={"cookie": cookie, "origin": "https://evil.example"})
        assert refused.status_code == 403
