"""Documents, files and forms as people see them, in a real browser, with a hub that answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import FilePayload
from tests.browser import Visitor, chromium, visitor
from tests.cli.conftest import call, site_dsn
from tests.hub.samples import CODE, GUANGDONG
from tests.hub.server import Hub, answering
from tests.runtime import papers as made

from qianzhi.console import accounts
from qianzhi.console.roles import Role
from qianzhi.db.server import connect
from qianzhi.gateway import assembly
from qianzhi.gateway.documents.checklist import expiry
from qianzhi.hub import assembly as hub_assembly
from qianzhi.hub import certificates, documents, onboarding
from qianzhi.hub.documents import Verdict
from qianzhi.regulators import paperwork
from qianzhi.runtime import clock, workbooks
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import load_settings, write_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Download

    from qianzhi.db.embedded import Cluster

pytestmark = pytest.mark.browser

PASSWORD = "Right-1-password"  # noqa: S105 - of accounts that exist for the tests
START_SECONDS_MAX = 90.0
NOTICE = "年度信息系统安全等级保护任务告知书（回执）及备案证明"


@dataclass(frozen=True)
class Site:
    """A gateway's console that answers, and the hub it speaks to."""

    base: str
    hub: Hub


@pytest.fixture(scope="module")
def site(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gateway that was set up by commands, its console in a process of its own, and a hub."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "hub").mkdir()
    with answering(postgres, folder / "hub", free_port()) as hub:
        home, port = folder / "home", free_port()
        (folder / "credential").write_text(hub.credential, encoding="utf-8")
        authority = hub_assembly.identity(hub.home, load_settings(hub.home), clock.now()).authority
        words = ("--hub", f"https://127.0.0.1:{hub.port}", "--ca-file", str(authority), "--institution", CODE)
        told = call(
            home, "gateway", "init", "--dsn", site_dsn(postgres, folder), *words,
            "--credential-file", str(folder / "credential"),
        )  # fmt: skip
        assert told.exit_code == 0, told.output
        settings = write_settings(Home(home), {"gateway.console.port": port})
        with connect(assembly.owner_dsn(Home(home), settings), application="test") as session:
            for role in Role:
                accounts.add(session, role.value, role, PASSWORD, actor="test")
        with (folder / "console.out").open("wb") as output:
            command = [sys.executable, "-m", "qianzhi", "gateway", "console", "--home", str(home)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, env=environment)
        try:
            _await(process, port, folder / "console.out")
            yield Site(f"http://127.0.0.1:{port}", hub)
        finally:
            process.terminate()
            process.wait(60)


def _await(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    until = clock.monotonic() + START_SECONDS_MAX
    while clock.monotonic() < until:
        assert process.poll() is None, output.read_text(encoding="utf-8")
        try:
            httpx.get(f"http://127.0.0.1:{port}/sign-in", trust_env=False)
        except httpx.TransportError:
            clock.sleep(0.1)
        else:
            return
    pytest.fail("the console did not answer")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the module."""
    with chromium() as started:
        yield started


@pytest.fixture
def guest(browser: Browser, site: Site) -> Iterator[Visitor]:
    """A fresh browser profile on the console."""
    with visitor(browser, site.base) as opened:
        yield opened


def file(name: str, content: bytes, kind: str = "application/pdf") -> FilePayload:
    """Return a file of the visitor's machine."""
    return {"name": name, "mimeType": kind, "buffer": content}


def expiry_of(dated_on: date) -> date:
    """Return the day on which a yearly document expires."""
    found = expiry(paperwork(GUANGDONG).document("protection_level_notice"), dated_on)
    assert found is not None
    return found


def bring(guest: Visitor, title: str, *files: FilePayload, dated_on: date | None = None) -> None:
    """Open a document, choose files one after the other and save."""
    guest.page.click(f"td:has-text('{title}')")
    if dated_on is not None:
        guest.page.fill(".dialog input[type=date]", dated_on.isoformat())
    for number, each in enumerate(files, start=1):
        guest.page.set_input_files(".dialog input[type=file]", each)
        guest.page.wait_for_function(
            "n => document.querySelector('.chosen').innerText.split('；').filter(t => t).length == n", arg=number
        )
    guest.page.click("text=保存并提交")


def saved(download: Download) -> bytes:
    """Return what was downloaded."""
    return Path(download.path()).read_bytes()


def review(hub: Hub, verdict: Verdict, reason: str = "") -> None:
    """Say what is thought of the newest document."""
    with connect(hub.dsn, application="test") as session:
        newest = documents.versions(session, limit=1)[0]
        documents.review(session, newest.document_seq, verdict, reason=reason, actor="test", now=clock.now())


def test_a_document_goes_its_way(site: Site, guest: Visitor) -> None:
    """Two scans become the notice, which is handed in at once, comes back for a reason and is reviewed at last."""
    guest.sign_in("operator", PASSWORD, "/documents")
    guest.page.wait_for_selector(f"td:has-text('{NOTICE}')")
    assert guest.page.locator("tbody tr").count() == 16
    assert guest.page.locator("td .tag:has-text('缺少')").count() == 16
    bring(guest, NOTICE, file("回执.jpg", made.image("JPEG", 300), "image/jpeg"), file("备案.pdf", made.pdf()))
    guest.page.wait_for_selector("td .tag:has-text('已提交，待审核')")

    review(site.hub, Verdict.RETURNED, "缺少<b>备案证明</b>")
    guest.page.click("text=立即提交并查询")
    guest.page.wait_for_selector(".notice.bad:has-text('缺少<b>备案证明</b>')")
    guest.page.wait_for_selector("td .tag.bad:has-text('已退回')")
    assert not guest.is_overflowing()

    bring(guest, NOTICE, file("等保.pdf", made.pdf(3)))
    guest.page.wait_for_selector("td .tag:has-text('已提交，待审核')")
    review(site.hub, Verdict.REVIEWED)
    guest.page.click("text=立即提交并查询")
    guest.page.wait_for_selector("td .tag.good:has-text('审核通过')")
    guest.page.click(f"td:has-text('{NOTICE}')")
    guest.page.wait_for_selector("text=历次版本")
    with guest.page.expect_download() as waited:
        guest.page.click(".dialog button:has-text('等保.pdf')")
    assert saved(waited.value) == made.pdf(3)
    guest.page.keyboard.press("Escape")

    last_year = clock.local_now().date() - timedelta(days=360)
    bring(guest, NOTICE, file("旧.pdf", made.pdf(4)), dated_on=last_year)
    guest.page.wait_for_selector(".notice.warn:has-text('天后到期')")
    guest.page.wait_for_selector(f"td .tag.bad:has-text('{expiry_of(last_year)}')")


def test_a_malicious_file_is_refused_with_what_to_do(guest: Visitor) -> None:
    """The reason stands in the dialog, and nothing was kept."""
    guest.sign_in("operator", PASSWORD, "/documents")
    bring(guest, "停电应急预案", file("预案.pdf", made.hidden_pdf(b"<</S/Launch/F(a.exe)>>")))
    guest.page.wait_for_selector(".dialog .notice.bad:has-text('P06')")
    guest.page.keyboard.press("Escape")
    row = guest.page.locator("tr:has-text('停电应急预案')")
    assert "缺少" in row.inner_text()


def test_a_viewer_brings_nothing(guest: Visitor) -> None:
    """The list can be seen; forms are not for this role."""
    guest.sign_in("viewer", PASSWORD, "/documents")
    guest.page.wait_for_selector("td:has-text('停电应急预案')")
    assert guest.page.locator("text=立即提交并查询").count() == 0
    guest.page.click("td:has-text('停电应急预案')")
    guest.page.wait_for_selector(".dialog")
    assert guest.page.locator(".dialog input[type=file]").count() == 0
    guest.go("/forms")
    assert "您的角色不能查看此页面" in guest.text()


def test_files_come_from_the_hub(site: Site, guest: Visitor) -> None:
    """The specification is made here; the certificate is fetched, and never shown within the console."""
    with connect(site.hub.dsn, application="test") as session:
        seal = certificates.open_seal(site.hub.home.end(End.HUB).credentials)
        found = onboarding.find(session, GUANGDONG, CODE)
        blobs = hub_assembly.blobs(site.hub.home)
        certificates.issue(session, blobs, seal, found, given=None, actor="test", now=clock.now())
    guest.sign_in("operator", PASSWORD, "/files")
    with guest.page.expect_download() as waited:
        guest.page.click("text=下载 Excel")
    assert waited.value.suggested_filename == "广东省互联网医疗服务监管平台接口规范（V3.0）.xlsx"
    assert workbooks.read(saved(waited.value))[0].name == "说明"
    guest.page.click("text=查询新文件")
    guest.page.wait_for_selector("td .tag:has-text('接入证明')")
    with guest.page.expect_download() as waited:
        guest.page.click("td:has-text('点击下载')")
    assert b"qianzhi-certificate:" in saved(waited.value)
    guest.page.wait_for_selector("td:has-text('已下载')")
    assert not guest.is_overflowing()


def test_a_form_is_made(guest: Visitor) -> None:
    """What is asked stands in it, and what this machine knows too; the password only for administrators."""
    guest.sign_in("administrator", PASSWORD, "/forms")
    guest.page.wait_for_selector("text=前置机情况说明")
    card = guest.page.locator("section.card").first
    card.locator("label:has-text('实体医院名称') input").fill("演示<医院>")
    with guest.page.expect_download() as waited:
        card.locator("text=生成表单").click()
    page = saved(waited.value).decode()
    assert "演示&lt;医院&gt;互联网医院前置机情况说明" in page
    assert not guest.is_overflowing()


def test_the_pages_speak_english_too(guest: Visitor) -> None:
    """Headings, states and titles."""
    guest.speak("en")
    guest.sign_in("administrator", PASSWORD, "/documents")
    guest.page.wait_for_selector("td:has-text('Network diagram of the internet hospital')")
    assert "Yearly protection-level notice" in guest.text()
    guest.page.click("td:has-text('Network diagram of the internet hospital')")
    guest.page.wait_for_selector(".dialog dt:has-text('Kinds of files')")
    assert "、" not in guest.page.inner_text(".dialog")
    guest.page.click(".dialog button:has-text('Close')")
    guest.page.wait_for_selector(".q-dialog", state="detached")
    for path, word in (("/files", "Interface specification"), ("/forms", "Make the form")):
        guest.go(path)
        guest.page.wait_for_selector(f"text={word}")
        assert not guest.is_overflowing()
