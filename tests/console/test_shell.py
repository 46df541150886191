"""The shell as people see it, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import FilePayload
from tests.browser import Visitor, visitor
from tests.console.conftest import PASSWORD, Console
from tests.console.site import HOSTILE, SLOW, SLOW_SECONDS

from qianzhi.bench.line import Line
from qianzhi.console import accounts
from qianzhi.db.server import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser
LINE_BITS_PER_SECOND = 1e9
BREAK_SECONDS = 15


def test_signing_in_leads_to_the_page_that_was_asked_for(guest: Visitor) -> None:
    """Who opens a page without a session signs in first and then sees that page."""
    guest.page.goto(guest.base + "/tools?a=1")
    assert "试验机构" in guest.text()
    guest.page.fill("input[name=name]", "operator")
    guest.page.fill("input[name=password]", PASSWORD)
    guest.page.click("text=登录 >> nth=0")
    guest.page.wait_for_url(guest.base + "/tools?a=1")
    guest.page.wait_for_selector("h1:has-text('工具')")
    assert not guest.is_overflowing()


def test_markup_in_values_stays_text(guest: Visitor) -> None:
    """A name with script, image and template syntax is shown as it is, everywhere."""
    guest.sign_in("operator", PASSWORD)
    guest.page.wait_for_selector("td")
    assert guest.page.evaluate("window.hurt") is None
    assert guest.page.locator("p").first.inner_text() == HOSTILE
    assert guest.page.locator("td.wraps").first.inner_text() == HOSTILE
    assert guest.page.locator("td .tag").first.inner_text() == HOSTILE
    guest.page.hover("canvas", position={"x": 300, "y": 60})
    guest.page.wait_for_timeout(300)
    assert guest.page.evaluate("window.hurt") is None


def test_a_table_turns_sorts_and_narrows_where_the_data_is(guest: Visitor) -> None:
    """The browser holds one page of rows; the rest is asked for."""
    guest.sign_in("operator", PASSWORD)
    rows = guest.page.locator("tbody tr")
    guest.page.wait_for_selector("td")
    assert rows.count() == 50
    assert "1234" in guest.page.inner_text(".q-table__bottom")
    guest.page.click(".q-table__bottom button:has-text('chevron_right')")
    guest.page.wait_for_selector("td:has-text('row 51')")
    guest.page.click("th:has-text('number')")
    guest.page.wait_for_selector("td:has-text('row 51')", state="detached")
    guest.page.click("th:has-text('number')")
    guest.page.wait_for_selector("td:has-text('row 1234')")
    guest.page.fill(".tools input >> nth=0", "row 77")
    guest.page.wait_for_function("document.querySelectorAll('tbody tr').length == 11")
    guest.page.click("td:has-text('row 777')")
    guest.page.wait_for_selector("text=opened 777")
    guest.page.click(".tools .q-select")
    guest.page.click(".q-menu >> text=none")
    guest.page.wait_for_selector("text=没有记录。")


def test_a_slow_answer_takes_the_place_of_no_later_one(guest: Visitor) -> None:
    """Who types on sees what was typed last, whichever answer comes last."""
    guest.sign_in("operator", PASSWORD)
    guest.page.wait_for_selector("td")
    guest.page.fill(".tools input >> nth=0", SLOW)
    guest.page.wait_for_timeout(700)  # until it is asked for
    guest.page.fill(".tools input >> nth=0", "row 1234")
    guest.page.wait_for_function("document.querySelectorAll('tbody tr').length == 1")
    guest.page.wait_for_timeout(SLOW_SECONDS * 1000)
    assert guest.page.locator("tbody tr").count() == 1


def test_long_work_shows_how_far_it_is_and_can_be_stopped(guest: Visitor) -> None:
    """A dialog tells the step; stopping ends the work, and not stopping brings its result."""
    guest.sign_in("operator", PASSWORD, "/tools")
    guest.page.click("text=work")
    guest.page.wait_for_selector(".q-dialog >> text=step")
    guest.page.click("text=停止")
    guest.page.wait_for_selector("text=stopped")
    guest.page.click("text=work")
    guest.page.wait_for_selector("text=counted")


def test_a_form_says_what_is_wrong_beside_the_field(guest: Visitor) -> None:
    """Missing, wrong and refused are told; right is saved."""
    guest.sign_in("operator", PASSWORD, "/tools")
    guest.page.click("text=save")
    guest.page.wait_for_selector("text=必填")
    for given, said in (("wrong", "not this one"), ("refused", "Say something else."), ("good", "saved good")):
        guest.page.fill(".form input", given)
        guest.page.click("button:has-text('save')")
        guest.page.wait_for_selector(f"text={said}")


def test_files_go_out_and_come_in(guest: Visitor) -> None:
    """A download keeps its Chinese name; an upload that is too large is refused."""
    guest.sign_in("operator", PASSWORD, "/tools")
    with guest.page.expect_download() as download:
        guest.page.click("text=download")
    assert download.value.suggested_filename == "名单.txt"
    assert download.value.path().read_bytes() == b"content"
    for size, said in ((5, "a.txt: 5"), (2000, "文件类型、大小或数量不符合要求。")):
        file = FilePayload(name="a.txt", mimeType="text/plain", buffer=b"1" * size)
        guest.page.set_input_files("input[type=file]", files=file)
        guest.page.wait_for_selector(f"text={said}")


def test_errors_are_told_with_what_to_do(guest: Visitor) -> None:
    """A foreseen error names its remedy; an unforeseen one says nothing of its cause."""
    guest.sign_in("operator", PASSWORD, "/broken")
    assert "It is broken." in guest.text()
    assert "Mend it." in guest.text()
    guest.go("/unforeseen")
    assert "此页面出错。" in guest.text()
    assert "secret" not in guest.page.content()


def test_a_role_sees_its_own_pages_only(guest: Visitor, console: Console) -> None:
    """The navigation leaves out what is closed, and its address shows nothing."""
    guest.sign_in("viewer", PASSWORD)
    assert "病人" not in guest.text()
    guest.page.goto(guest.base + "/patients")
    guest.page.wait_for_selector("text=您的角色不能查看此页面。")
    assert "patient" not in guest.page.inner_text(".main")
    with console.client("viewer") as client:
        assert client.get("/administrators").status_code == 403


def test_the_other_language_and_the_dark_theme(guest: Visitor) -> None:
    """Both are chosen in the header and kept."""
    guest.sign_in("operator", PASSWORD, "/tools")
    guest.page.click("text=English")
    guest.page.wait_for_selector("text=Operator", state="attached")
    assert guest.page.get_attribute("html", "lang") == "en-US"
    guest.page.click("text=Dark")
    guest.page.wait_for_selector("body.body--dark")
    guest.page.click("text=中文")
    guest.page.wait_for_selector("text=浅色")


def test_signing_out_cuts_the_page(guest: Visitor, console: Console) -> None:
    """A page that is still open elsewhere can do nothing more, and shows the sign-in when it tries."""
    guest.sign_in("operator", PASSWORD, "/tools")
    console.ask("UPDATE qianzhi.console_sessions SET ended_at = now() WHERE ended_at IS NULL AND account = 'operator'")
    guest.page.wait_for_url("**/sign-in")


def test_a_page_that_was_cut_off_comes_back_or_leaves(guest: Visitor, console: Console) -> None:
    """After a break of the line the page goes on; if its session ended meanwhile, nothing of it stays on the screen."""
    guest.sign_in("operator", PASSWORD, "/tools")
    guest.page.wait_for_function("window.did_handshake")
    guest.page.evaluate("window.socket.io.engine.close()")
    guest.page.wait_for_function("window.socket.connected")
    guest.page.click("text=save")
    guest.page.wait_for_selector("text=必填")
    guest.page.context.clear_cookies()
    guest.page.evaluate("window.socket.io.engine.close()")
    guest.page.wait_for_url("**/sign-in")


def test_what_was_typed_outlives_a_break_of_the_line(
    browser: Browser, console: Console, free_port: Callable[[], int]
) -> None:
    """A sleeping laptop or a proxy that is started anew costs nobody a form."""
    port = free_port()
    with (
        Line(port, urlsplit(console.base).port or 0, bits_per_second=LINE_BITS_PER_SECOND) as line,
        visitor(browser, f"http://127.0.0.1:{port}") as guest,
    ):
        guest.sign_in("operator", PASSWORD, "/tools")
        guest.page.wait_for_function("window.did_handshake")
        guest.page.fill("label:has-text('name') input", "typed before")
        guest.page.wait_for_timeout(200)  # until the line has carried it
        line.cut()
        guest.page.wait_for_timeout(BREAK_SECONDS * 1000)
        line.mend()
        guest.page.wait_for_function("window.socket.connected")
        guest.page.click("text=save")
        guest.page.wait_for_selector("text=saved typed before")
        guest.complaints.clear()  # of the browser, about the line


def test_a_password_is_changed_by_whoever_knows_it(guest: Visitor, console: Console) -> None:
    """The present one is asked for; afterwards the new one counts."""
    other = "Another-1-password"
    guest.sign_in("administrator", PASSWORD)
    guest.go("/password")
    for present, again, said in (
        ("wrong", other, "当前密码不正确"),
        (PASSWORD, PASSWORD, "两次输入的密码不一致"),
        (PASSWORD, other, "密码已修改"),
    ):
        for name, value in (("当前密码", present), ("新密码 *", other), ("再次输入新密码", again)):
            guest.page.get_by_label(name).first.fill(value)
        guest.page.click(".main button:has-text('修改密码')")
        guest.page.wait_for_selector(f"text={said}")
    guest.page.context.clear_cookies()
    guest.sign_in("administrator", other)
    with connect(console.dsn, application="test") as session:  # other tests sign in with what it was
        accounts.set_password(session, "administrator", PASSWORD, actor="test")
