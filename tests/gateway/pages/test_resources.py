"""The page of institution and staff in a real browser, on a gateway's console of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from tests.browser import Visitor, chromium, visitor
from tests.gateway.resources import books
from tests.gateway.resources.conftest import drawn, kept, samples

from qianzhi.console import accounts
from qianzhi.console.roles import Role
from qianzhi.db.server import connect
from qianzhi.runtime import clock
from qianzhi.runtime.sources import write_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from qianzhi.gateway.resources.registry import Registry

__all__ = ["kept", "samples"]  # fixtures of the data layer

pytestmark = pytest.mark.browser
PASSWORD = "Right-1-password"  # noqa: S105 - of an account that exists for the tests
START_SECONDS_MAX = 90.0
HOSTILE = "<img src=x onerror=hurt=1>=1+1"
DEPARTMENT = "科室字典表"


@pytest.fixture(scope="module")
def base(kept: Registry, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The console of a gateway, with an account for each role."""
    with connect(kept._dsn, application="test") as session:
        for role in Role:
            accounts.add(session, role.value, role, PASSWORD, actor="test")
    port = free_port()
    write_settings(kept.home, {"gateway.console.port": port})
    output = (tmp_path_factory.mktemp("console") / "console.out").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "qianzhi", "gateway", "console", "--home", str(kept.home.path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=output,
        stderr=output,
    )
    output.close()
    address, until = f"http://127.0.0.1:{port}", clock.monotonic() + START_SECONDS_MAX
    while not _answers(address):
        assert process.poll() is None, Path(output.name).read_text(encoding="utf-8")
        assert clock.monotonic() < until
        clock.sleep(0.1)
    yield address
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the module."""
    with chromium() as started:
        yield started


@pytest.fixture
def guest(browser: Browser, base: str) -> Iterator[Visitor]:
    """An operator who came to the page."""
    with visitor(browser, base) as made:
        made.sign_in("operator", PASSWORD, "/resources")
        yield made


def test_a_department_is_typed_corrected_and_revoked(guest: Visitor, kept: Registry) -> None:
    """What is wrong stands at its field; what is right becomes a row; markup stays text."""
    page = guest.page
    guest.go("/resources?dataset=department")
    page.get_by_role("button", name="新增").click()
    typed(page, "KSBM", "W01")
    typed(page, "KSMC", HOSTILE)
    typed(page, "YBJDM", "123456789")
    chosen(page, "BZKSDM", "03.04")
    save(page)
    page.get_by_text("「医保局代码」(YBJDM)的长度不符合 AN..8").wait_for()
    assert kept.records("department") == []
    typed(page, "YBJDM", "")
    save(page)
    page.get_by_text("已保存").wait_for()
    page.locator("td", has_text=HOSTILE).wait_for()
    assert page.evaluate("window.hurt") is None
    assert "待上传" in guest.text()
    (record,) = kept.records("department")
    assert (record.values["KSMC"], record.values["BZKSDM"], record.values["CXBZ"]) == (HOSTILE, "03.04", "1")

    page.locator("td", has_text="W01").click()
    typed(page, "KSMC", "线上内科")
    save(page)
    page.locator("td", has_text="线上内科").wait_for()
    page.locator("td", has_text="W01").click()
    page.get_by_role("button", name="撤销记录").click()
    page.get_by_role("button", name="撤销", exact=True).click()
    page.locator(".tag", has_text="待上传").wait_for()
    until(lambda: _changes(kept) == [("1",), ("2",), ("3",)])
    audited = _audited(kept, "resources:records:saved")
    assert audited == [("console:operator", "department")] * 3


def test_a_colleague_gets_a_photo(guest: Visitor, kept: Registry, samples: dict[str, Any], tmp_path: Path) -> None:
    """It is shown before it is saved; warnings are shown once and then saved over."""
    page, photo, script = guest.page, tmp_path / "照片.jpg", tmp_path / "script.jpg"
    photo.write_bytes(drawn(size=(600, 840)))
    script.write_bytes(b"<script>window.hurt=1</script>")
    guest.go("/resources?dataset=staff")
    page.get_by_role("button", name="新增").click()
    for each in kept.forms["staff"].inputs:
        value = samples["staff"].get(each.name)
        if value and not each.field.image:
            (chosen if each.choices else typed)(page, each.name, value)
    page.locator("[data-field=GRZPCFDZ] input[type=file]").set_input_files(script)
    page.get_by_text("文件不是可用的图片").wait_for()
    page.locator("[data-field=GRZPCFDZ] input[type=file]").set_input_files(photo)
    page.locator(".portrait img").wait_for()
    page.locator(".portrait img").scroll_into_view_if_needed()
    save(page)
    page.get_by_text("以上是提醒").wait_for()
    save(page)
    page.locator("td", has_text=samples["staff"]["YHRYXM"]).wait_for()

    (record,) = kept.records("staff")
    assert record.values["GRZPCFDZ"].startswith("/qianzhi/resources/")
    page.locator("td", has_text=samples["staff"]["YHRYXM"]).click()
    page.locator(".portrait img").wait_for()
    assert page.evaluate("window.hurt") is None


def test_a_picture_that_is_not_shown_is_told_by_its_path(guest: Visitor, kept: Registry) -> None:
    """A hospital system's own folder is not looked into, but nobody shall think that there is no picture."""
    with connect(kept._dsn, application="test") as session:
        session.execute(
            "INSERT INTO guangdong.staff (jgdm, yhrygh, yhryxm, grzpcfdz, sjscsj, tbrqsj, cxbz) VALUES"
            " ('440000000000000001', 'H7', '外部照片', '/mnt/photos/H7.jpg', '2026-11-19 10:00:00',"
            " '2026-11-19 10:00:00', '1')"
        )
    guest.go("/resources?dataset=staff")
    guest.page.locator("td", has_text="外部照片").click()
    guest.page.get_by_text("/mnt/photos/H7.jpg").wait_for()
    assert guest.page.locator(".q-dialog").get_by_text("此处不预览").count() == 1


def test_a_workbook_is_downloaded_previewed_and_saved(guest: Visitor, kept: Registry, tmp_path: Path) -> None:
    """Findings by cell first; corrected, it is saved; the list shows it."""
    page, file = guest.page, tmp_path / "departments.xlsx"
    guest.go("/resources?dataset=department")
    with page.expect_download() as download:
        page.get_by_role("button", name="模板").click()
    assert download.value.suggested_filename == f"{DEPARTMENT}.xlsx"
    empty = Path(download.value.path()).read_bytes()
    page.get_by_role("button", name="导入").click()
    good = {"KSBM": "W02", "KSMC": "示例科", "BZKSDM": "03 内科"}
    file.write_bytes(books.put(empty, DEPARTMENT, good | {"KSMC": "=1+1", "BZKSDM": "9999"}))
    looked(page, file)
    page.get_by_text("个错误，尚不能保存").wait_for()
    page.get_by_text("单元格含有公式").wait_for()
    assert page.get_by_role("button", name="保存").last.is_disabled()
    file.write_bytes(books.put(empty, DEPARTMENT, good))
    looked(page, file)
    page.get_by_text("新增 1，修改 0，撤销 0，未变 0").wait_for()
    page.get_by_role("button", name="保存").last.click()
    page.locator("td", has_text="示例科").wait_for()
    assert "W02" in [record.values["KSBM"] for record in kept.records("department")]


def test_a_workbook_that_comes_during_a_preview_is_looked_at_itself(
    guest: Visitor, kept: Registry, tmp_path: Path
) -> None:
    """What was found in the one before is not shown for it, and nothing of the one before can be saved."""
    page, file = guest.page, tmp_path / "departments.xlsx"
    guest.go("/resources?dataset=department")
    with page.expect_download() as download:
        page.get_by_role("button", name="模板").click()
    empty = Path(download.value.path()).read_bytes()
    page.get_by_role("button", name="导入").click()
    file.write_bytes(books.put(empty, DEPARTMENT, {"KSBM": "W03", "KSMC": "先来科", "BZKSDM": "03 内科"}))
    with psycopg.connect(kept._dsn) as session:
        session.execute("LOCK TABLE guangdong.department IN ACCESS EXCLUSIVE MODE")  # a preview that takes long
        looked(page, file)
        page.get_by_text("正在预览").wait_for()
        file.write_bytes(books.put(empty, DEPARTMENT, {"KSBM": "W04", "KSMC": "后来科", "BZKSDM": "03 内科"}))
        handed(page, file)
    page.get_by_text("正在预览").wait_for(state="hidden")
    assert page.locator(".q-dialog .counts").count() == 0
    assert page.get_by_role("button", name="保存").last.is_disabled()
    page.get_by_role("button", name="预览").click()
    page.get_by_text("新增 1，修改 0，撤销 0，未变 0").wait_for()
    page.get_by_role("button", name="保存").last.click()
    page.locator("td", has_text="后来科").wait_for()
    assert "W03" not in [record.values["KSBM"] for record in kept.records("department")]


def test_the_page_speaks_english_and_fits(guest: Visitor) -> None:
    """Titles, states, buttons and hints; names of fields stay as the regulator has them."""
    guest.speak("en")
    guest.go("/resources?dataset=department")
    said = guest.text()
    for text in ("Institution and staff", "Department", "Waiting for upload", "Add", "Template", "Find"):
        assert text in said
    assert not guest.is_overflowing()
    guest.page.get_by_role("button", name="Add").click()
    guest.page.get_by_text("at most 10 characters").wait_for()
    typed(guest.page, "KSBM", "W09")
    typed(guest.page, "KSMC", "示例科")
    typed(guest.page, "YBJDM", "123456789")
    chosen(guest.page, "BZKSDM", "03.04")
    guest.page.get_by_role("button", name="Save").last.click()
    wrong = guest.page.get_by_text("is not as AN..8 states")
    wrong.wait_for()
    assert wrong.inner_text().endswith(".")


def test_who_sees_no_records_sees_none_of_these(browser: Browser, base: str) -> None:
    """Identity numbers of the staff are as much somebody's as those of patients."""
    with visitor(browser, base) as guest:
        guest.sign_in("viewer", PASSWORD, "/resources")
        answer = guest.page.goto(f"{base}/resources?dataset=staff")
        assert answer is not None
        assert answer.status == 403
        assert guest.page.locator("td").count() == 0


def test_no_picture_outside_the_folders_is_shown(kept: Registry, tmp_path: Path) -> None:
    """A path in a record may say anything; the page looks into the folders of pictures only."""
    elsewhere = tmp_path / "elsewhere.jpg"
    elsewhere.write_bytes(drawn())
    inside = kept.album.picture(drawn(colour="maroon"))
    kept.album.keep(inside)
    (kept.album.folder.parent / "beside.jpg").write_bytes(drawn())

    assert kept.thumbnail(inside.path) is not None
    for path in ("", str(elsewhere), "/qianzhi/resources/../beside.jpg", "/qianzhi/resources/none.jpg", "\0", "x.jpg"):
        assert kept.thumbnail(path) is None


def typed(page: Page, name: str, value: str) -> None:
    """Type into a field."""
    page.locator(".q-dialog").get_by_label(name).first.fill(value)


def chosen(page: Page, name: str, code: str) -> None:
    """Choose a code."""
    box = page.locator(".q-dialog").get_by_label(name).first
    box.click()
    page.locator(".q-menu .q-item").filter(has_text=code).first.click()
    page.locator(".q-menu").wait_for(state="hidden")  # the next list must not be taken for this one


def save(page: Page) -> None:
    """Press the button of the form."""
    page.locator(".q-dialog").get_by_role("button", name="保存").click()


def handed(page: Page, file: Path) -> None:
    """Hand a workbook over; what was found in another vanishes."""
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.locator(".q-dialog input[type=file]").first.set_input_files(file)
    page.locator(".q-dialog .counts").wait_for(state="detached")


def looked(page: Page, file: Path) -> None:
    """Hand a workbook over and ask for its preview."""
    handed(page, file)
    page.get_by_role("button", name="预览").click()


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = clock.monotonic() + START_SECONDS_MAX
    while not is_so():
        assert clock.monotonic() < end
        clock.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/sign-in", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _changes(kept: Registry) -> list[tuple[object, ...]]:
    return _asked(kept, "SELECT cxbz FROM guangdong.department WHERE ksbm = 'W01' ORDER BY id")


def _audited(kept: Registry, event: str) -> list[tuple[object, ...]]:
    return _asked(kept, f"SELECT actor, subject FROM qianzhi.audit WHERE event = '{event}' ORDER BY audit_id")


def _asked(kept: Registry, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(kept._dsn) as session:
        return session.execute(query.encode()).fetchall()
