"""Doctor, white-list and services as people see them, on a gateway that runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.browser import Visitor, chromium, visitor
from tests.cli.conftest import call
from tests.conftest import FORGETFUL

from qianzhi.console import accounts
from qianzhi.console.roles import Role
from qianzhi.db import configuration
from qianzhi.db.server import connect
from qianzhi.gateway import assembly
from qianzhi.gateway.install import install
from qianzhi.ledger import audit
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.lives import Phase
from qianzhi.runtime.requests import EVERYTHING
from qianzhi.runtime.sources import load_settings, write_settings
from qianzhi.runtime.supervisor import ask, read_states

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
PASSWORD = "Right-1-password"  # noqa: S105 - of accounts that exist for the tests
WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Site:
    """A gateway that runs, and where its console is."""

    home: Home
    base: str

    def pid(self, part: str) -> int | None:
        """The process of a part that is up."""
        states = read_states(self.home.end(End.GATEWAY).run)
        return next((each.pid for each in states if each.name == part and each.phase is Phase.UP), None)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Site]:
    """Set a gateway up and run it."""
    home = Home(tmp_path_factory.mktemp("operations") / "home")
    home.create(End.GATEWAY)
    (home.path / "credential").write_text("id.secret", encoding="utf-8")
    port = free_port()
    at = "gateway.destinations.hub"
    settings = write_settings(
        home,
        {
            f"{at}.regulator": "guangdong",
            f"{at}.url": "https://127.0.0.1:9",
            f"{at}.credential_file": "credential",
            "gateway.database.port": free_port(),
            "gateway.health.port": free_port(),
            "gateway.console.port": port,
        },
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(configuration, "SETTINGS", {**configuration.SETTINGS, **FORGETFUL})
        install(home, settings)
    with connect(assembly.owner_dsn(home, settings), application="test") as session:
        for role in Role:
            accounts.add(session, role.value, role, PASSWORD, actor="test")
    with running(home, f"http://127.0.0.1:{port}") as made:
        yield made


@contextmanager
def running(home: Home, base: str) -> Iterator[Site]:
    """Run the gateway until the end."""
    output = (home.path / "run.out").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "qianzhi", "gateway", "run", "--home", str(home.path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=output,
        stderr=output,
    )
    output.close()
    try:
        wait_for(lambda: answers(base))
        yield Site(home, base)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def answers(base: str) -> bool:
    """Whether the console is there."""
    try:
        return httpx.get(f"{base}/sign-in", trust_env=False, timeout=60).is_success
    except httpx.TransportError:
        return False


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait for something that takes as long as it takes."""
    until = clock.monotonic() + WAIT_SECONDS
    while not happened():
        assert clock.monotonic() < until
        clock.sleep(0.1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the module."""
    with chromium() as started:
        yield started


@pytest.fixture
def guest(browser: Browser, site: Site) -> Iterator[Visitor]:
    """A fresh browser profile on the console."""
    with visitor(browser, site.base) as made:
        made.page.set_default_timeout(20_000)
        yield made


@pytest.mark.parametrize(("language", "start", "memory"), [("zh", "开始体检", "内存"), ("en", "Examine now", "memory")])
def test_the_doctor_is_asked_from_the_page(guest: Visitor, language: str, start: str, memory: str) -> None:
    """What is ill stands first, with its remedy, in the visitor's language."""
    guest.sign_in("operator", PASSWORD, "/doctor")
    guest.speak(language)
    guest.go("/doctor")
    guest.page.click(f"text={start}")
    guest.page.wait_for_selector(f".notice:has-text('{memory}')")
    notices = guest.page.locator(".notice")
    assert "bad" in (notices.first.get_attribute("class") or "")
    assert "VPN" in notices.first.inner_text() or "VPN" in guest.text()
    assert not guest.is_overflowing()


def test_the_diagnostic_bundle_is_handed_to_administrators(guest: Visitor) -> None:
    """It is the one of the command."""
    guest.sign_in("operator", PASSWORD, "/doctor")
    assert guest.page.locator("text=下载诊断包").count() == 0
    guest.page.context.clear_cookies()
    guest.sign_in("administrator", PASSWORD, "/doctor")
    with guest.page.expect_download() as told:
        guest.page.click("text=下载诊断包")
    with zipfile.ZipFile(told.value.path()) as archive:
        assert {"doctor.json", "versions.json", "settings.json"} <= set(archive.namelist())


def test_a_network_is_let_in_and_taken_off(guest: Visitor, site: Site) -> None:
    """It counts at once; what is no network is told beside the field."""
    guest.sign_in("administrator", PASSWORD, "/whitelist")
    guest.page.fill(".form input", "192.0.2.0/240")
    guest.page.click("button:has-text('允许')")
    guest.page.wait_for_selector("text=这不是一个网段。")
    guest.page.fill(".form input", "192.0.2.77/24")
    guest.page.click("button:has-text('允许')")
    guest.page.wait_for_selector("td:has-text('192.0.2.0/24')")
    assert load_settings(site.home).gateway.whitelist == ("192.0.2.0/24",)
    guest.page.click("td:has-text('192.0.2.0/24')")
    guest.page.click(".q-dialog button:has-text('移出')")
    guest.page.wait_for_selector("text=白名单为空。")
    assert load_settings(site.home).gateway.whitelist == ()
    with connect(assembly.owner_dsn(site.home, load_settings(site.home)), application="test") as session:
        assert {"administrator" in each.actor for each in audit.latest(session, "database:whitelist:changed")} == {True}


@pytest.mark.parametrize("path", ["/whitelist", "/services"])
@pytest.mark.parametrize("name", ["viewer", "operator"])
def test_only_administrators_change_how_it_runs(site: Site, path: str, name: str) -> None:
    """Others are told that the page is not for them."""
    with httpx.Client(base_url=site.base, headers={"origin": site.base}, trust_env=False, timeout=60) as client:
        assert client.post("/sign-in", data={"name": name, "password": PASSWORD}).status_code == 303
        assert client.get(path).status_code == 403


def test_a_part_is_restarted_from_the_page(guest: Visitor, site: Site) -> None:
    """The worker gets another process; the console does not notice."""
    wait_for(lambda: site.pid("worker") is not None)
    before, console = site.pid("worker"), site.pid("console")
    guest.sign_in("administrator", PASSWORD, "/services")
    guest.page.wait_for_selector("td:has-text('上传服务')")
    guest.page.click("td:has-text('上传服务')")
    guest.page.click(".q-dialog button:has-text('重启')")
    guest.page.wait_for_selector("text=已请求重启。")
    wait_for(lambda: site.pid("worker") not in {None, before})
    assert site.pid("console") == console
    with connect(assembly.owner_dsn(site.home, load_settings(site.home)), application="test") as session:
        (entry,) = audit.latest(session, "console:part:restarted")
    assert (entry.subject, "administrator" in entry.actor) == ("worker", True)


def test_everything_is_restarted_with_its_settings_read_again(site: Site, free_port: Callable[[], int]) -> None:
    """A setting that was changed counts afterwards; wrong ones are refused, and all stays as it was."""
    health, wanted = load_settings(site.home).gateway.health.port, free_port()
    run = site.home.end(End.GATEWAY).run
    before = site.home.settings.read_bytes()
    wait_for(lambda: site.pid("health") is not None)
    old = site.pid("health")
    site.home.settings.write_bytes(before + b"\n[gateway.nonsense]\n")
    assert call(site.home.path, "gateway", "service", "restart").exit_code == 1
    ask(run, EVERYTHING)
    wait_for(lambda: not list(run.glob("*.request")))
    assert site.pid("health") == old
    site.home.settings.write_bytes(before)
    write_settings(site.home, {"gateway.health.port": wanted})
    assert call(site.home.path, "gateway", "service", "restart").exit_code == 0
    wait_for(lambda: _is_served(wanted))
    assert not _is_served(health)
    wait_for(lambda: answers(site.base))


def _is_served(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=60).is_success
    except httpx.TransportError:
        return False
