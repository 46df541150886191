"""The pages of the gateway, as people use them in a real browser."""

from __future__ import annotations

import io
from datetime import date, timedelta

import openpyxl
import pytest
from tests.browser import Visitor
from tests.faults import rows
from tests.gateway.pages.conftest import PASSWORD, Gateway
from tests.gateway.views.site import CORRECTED

from qianzhi.gateway import reminder, whitelist
from qianzhi.gateway.documents.dossier import PRINTED
from qianzhi.gateway.pages import audit, services
from qianzhi.ledger import reconciliations
from qianzhi.runtime import clock

pytestmark = pytest.mark.browser

PAGES = {
    "/": ("今日概览", "Today"),
    "/failed": ("失败记录", "Failed records"),
    "/held": ("待补记录", "Held records"),
    "/check": ("立即校验", "Check now"),
    "/uploads": ("上传日志", "Upload log"),
    "/batches": ("批次", "Batches"),
    "/log": ("服务日志", "Service log"),
    "/accounts": ("账号管理", "Accounts"),
    "/audit": ("审计", "Audit"),
    "/password": ("修改密码", "Change password"),
}
HOSTILE = '=HYPERLINK("x")<script>window.hurt=1</script>'
ACTORS = "SELECT DISTINCT actor, event, subject FROM qianzhi.audit WHERE event LIKE 'console:page:%'"


def corrected(gateway: Gateway) -> str:
    """The address of the record that was rejected and then corrected."""
    ((row_id,),) = gateway.ask(f"SELECT max(id) FROM guangdong.contacts WHERE bm = '{CORRECTED}'")
    return f"/record?destination=hub&dataset=contacts&row={row_id}"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_stands_in_both_languages(guest: Visitor, gateway: Gateway, language: str) -> None:
    """Each has its heading, is no wider than the window, fails in nothing, and asks nobody else for anything."""
    guest.speak(language)
    guest.sign_in("administrator", PASSWORD)
    named = {**PAGES, corrected(gateway): ("记录历史", "History of a record")}
    for path, (chinese, english) in named.items():
        guest.go(path)
        assert guest.page.inner_text("h1") == (chinese if language == "zh" else english)
        if path == "/check":
            guest.page.click(".main .q-btn")
            guest.page.wait_for_selector(".answer .notice")
        assert not guest.is_overflowing(), path


def test_today_tells_what_the_ledger_holds(operator: Visitor, gateway: Gateway) -> None:
    """The figures are those of the ledger, the reminder leads to the errors, and a dataset's count to its rows."""
    figures = dict(
        zip(
            operator.page.locator(".figure .label").all_inner_texts(),
            operator.page.locator(".figure .value").all_inner_texts(),
            strict=True,
        )
    )
    ((held,),) = gateway.ask("SELECT count(*) FROM qianzhi.held")
    ((staged,),) = gateway.ask("SELECT sum(accepted_count) FROM qianzhi.batches WHERE state = 'settled'")
    assert held > 0
    assert figures["当前待补"] == f"{held:,}"
    assert figures["今日接收"] == f"{staged:,}"
    assert "个错误尚未解决。" in operator.text()
    ((ended,),) = gateway.ask("SELECT count(*) FROM qianzhi.outcomes WHERE outcome <> 'rejected'")
    assert f"其中 {ended:,} 条未发送" in operator.text()
    operator.page.click("text=查看失败记录")
    operator.page.wait_for_url("**/failed?state=open&severity=error")
    operator.page.wait_for_selector("td .tag")
    assert set(operator.page.locator("td .tag").all_inner_texts()) == {"错误"}


def test_today_tells_what_the_check_ahead_of_the_cut_off_found(operator: Visitor, gateway: Gateway) -> None:
    """How many of the rows that wait would be refused tonight; it leads to the check that says why."""
    gateway.site.stage({"contacts": rows.contacts(["提醒的科室"], FZRXM=None)})
    now = clock.local_now()
    found = reminder.check(gateway.site.workplace, gateway.site.destination, [now.time()], local_now=now)
    assert found is not None
    operator.go("/")
    assert f"{found.error_count:,} 条待传记录有错误" in operator.text()
    operator.page.click(".notice a:has-text('立即校验')")
    operator.page.wait_for_url("**/check")


def test_failed_records_are_filtered_and_exported_without_formulas(operator: Visitor, gateway: Gateway) -> None:
    """What a filter leaves is what the workbook holds; a value that begins like a formula is a text in both."""
    gateway.site.door.answers = True
    gateway.site.stage({"contacts": rows.contacts(["有毒的科室"], SJSCSJ=HOSTILE)})
    gateway.site.cycle()
    operator.go("/failed?dataset=contacts")
    operator.page.fill(".tools input[aria-label='值、记录号或主键']", "HYPERLINK")
    operator.page.wait_for_function("document.querySelectorAll('tbody tr').length < 4")
    assert operator.page.locator("td.value").first.inner_text() == HOSTILE
    assert operator.page.evaluate("window.hurt") is None
    ((expected,),) = gateway.ask("SELECT count(*) FROM qianzhi.findings WHERE value LIKE '%%HYPERLINK%%'")
    with operator.page.expect_download() as download:
        operator.page.click("text=导出 Excel")
    sheet = openpyxl.load_workbook(io.BytesIO(download.value.path().read_bytes())).active
    assert sheet is not None
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row if cell.value == HOSTILE]
    assert sheet.max_row - 1 == len(cells) == expected
    assert {cell.data_type for cell in cells} == {"s"}


def test_failed_records_begin_with_what_asks_for_a_correction(operator: Visitor, gateway: Gateway) -> None:
    """Open errors and nothing else; whoever chooses all sees warnings, and what was put right as such."""
    ((errors,),) = gateway.ask("SELECT count(*) FROM qianzhi.findings WHERE severity = 'error' AND closed_at IS NULL")
    ((closed,),) = gateway.ask(
        "SELECT count(*) FROM qianzhi.findings JOIN qianzhi.lanes USING (lane_id) WHERE dataset = 'contacts'"
        " AND closed_at IS NOT NULL"
    )
    operator.go("/failed")
    operator.page.wait_for_selector("td .tag")
    assert set(operator.page.locator("td .tag").all_inner_texts()) == {"错误"}
    assert operator.page.locator("tbody tr").count() == min(errors, 50)
    operator.go("/failed?severity=&state=&dataset=contacts")
    operator.page.wait_for_selector("td .tag.good")
    said = operator.page.locator("td .tag").all_inner_texts()
    assert said.count("已解决") == closed > 0


def test_a_record_is_followed_across_its_versions(operator: Visitor, gateway: Gateway) -> None:
    """The version that was rejected, why, and the one that put it right, with what it changed."""
    operator.go(corrected(gateway))
    assert operator.page.locator(".version header b").all_inner_texts() == ["第 2 版", "第 1 版"]
    newest, first = operator.page.locator(".version").all()
    assert "已接收" in newest.inner_text()
    assert "FZRXM" in newest.inner_text()
    assert "已拒绝" in first.inner_text()
    assert "处理方法" in first.inner_text()


def test_a_record_marks_the_field_that_is_wrong(operator: Visitor, gateway: Gateway) -> None:
    """Among forty fields nobody need look for the one that a finding names."""
    gateway.site.door.answers = True
    staged = gateway.site.stage({"contacts": rows.contacts(["写错时间的科室"], TBRQSJ="1730000000")})
    gateway.site.cycle()
    operator.go(f"/record?destination=hub&dataset=contacts&row={staged['contacts'][0]}")
    fields = operator.page.locator(".version .sheet").last.locator("tbody tr")
    marked = fields.filter(has=operator.page.locator(".tag.bad"))
    assert [each.split()[:2] for each in marked.all_inner_texts()] == [["错误", "TBRQSJ"]]


def test_a_record_that_is_archived_says_where(operator: Visitor, gateway: Gateway) -> None:
    """Its findings stay, and lead here when its row has left the staging table."""
    gateway.ask(
        "INSERT INTO qianzhi.archives (regulator, dataset, month, part, edition, row_ids, row_count, content_digest,"
        " file, file_digest, byte_count, archived_at) VALUES ('guangdong', 'person', '2025-08-01', 1, 'V3.0',"
        " '{[900001,900003]}', 3, sha256(''), 'guangdong/person.2025-08.parquet', sha256(''), 1, now())"
    )
    operator.go("/record?destination=hub&dataset=person&row=900002")
    assert "这条记录已归档到 guangdong/person.2025-08.parquet。" in operator.text()
    operator.go("/record?destination=hub&dataset=person&row=900004")
    assert "找不到这条记录。" in operator.text()
    gateway.ask("DELETE FROM qianzhi.archives")


@pytest.mark.parametrize(
    "query",
    ["", "?destination=hub", "?destination=x&dataset=person&row=1", "?destination=hub&dataset=pg_class&row=1",
     "?destination=hub&dataset=person&row=1 OR 1=1", "?destination=hub&dataset=person&row=99999999999999999999"],
)  # fmt: skip
def test_no_address_leads_to_what_is_no_record(operator: Visitor, query: str) -> None:
    """Names of tables and numbers come from the address, and are taken as names and numbers only."""
    operator.go(f"/record{query}")
    assert "找不到这条记录。" in operator.text()


def test_held_records_say_what_they_wait_for(operator: Visitor, gateway: Gateway) -> None:
    """Each has the record that it waits for and where that one is."""
    operator.go("/held")
    operator.page.wait_for_selector("td .tag")
    ((held,),) = gateway.ask("SELECT count(*) FROM qianzhi.held")
    assert operator.page.locator("tbody tr").count() == held
    assert set(operator.page.locator("td .tag").all_inner_texts()) <= {"未入表", "已拒绝", "待补", "待上传"}
    assert "自动上传，不必重新写入" in operator.page.inner_text(".main p.soft")
    operator.page.fill(".tools input[aria-label='等待的主键或记录号']", "no such key")
    operator.page.wait_for_selector(".empty >> visible=true")


def test_a_check_finds_what_tonight_would_and_sends_nothing(operator: Visitor, gateway: Gateway) -> None:
    """It tells how many rows wait and which would be rejected; the ledger is as before."""
    gateway.site.stage({"contacts": rows.contacts(["等待的科室"], FZRXM=None)})
    before = gateway.ask("SELECT count(*) FROM qianzhi.batches UNION ALL SELECT count(*) FROM qianzhi.arrived")
    operator.go("/check")
    operator.page.click(".main .q-btn")
    operator.page.wait_for_selector(".answer .notice")
    waiting = before[1][0]
    assert operator.page.inner_text(".answer .notice .what").startswith(f"{waiting} 条记录等待上报")
    assert "FZRXM" in operator.page.inner_text(".answer")
    with operator.page.expect_download() as download:
        operator.page.click("text=导出 Excel")
    sheet = openpyxl.load_workbook(io.BytesIO(download.value.path().read_bytes())).active
    assert sheet is not None
    exported = [tuple(cell.value for cell in row) for row in sheet.iter_rows(min_row=2)]
    assert [row[2] for row in exported] == operator.page.locator("td a").all_inner_texts()
    assert "FZRXM" in {row[3] for row in exported}
    assert ("database:us_pos", "console:page:exported", "/check") in gateway.ask(ACTORS)
    assert gateway.ask("SELECT count(*) FROM qianzhi.batches UNION ALL SELECT count(*) FROM qianzhi.arrived") == before


def test_the_upload_log_adds_up_and_leads_to_its_batches(operator: Visitor, gateway: Gateway) -> None:
    """A line has as many batches as its link shows."""
    operator.go("/uploads?dataset=person")
    line = operator.page.locator("tbody tr").first
    count = int(line.locator("a").inner_text())
    ((batches,),) = gateway.ask(
        "SELECT count(*) FROM qianzhi.batches JOIN qianzhi.lanes USING (lane_id) WHERE dataset = 'person'"
    )
    assert count == batches
    line.locator("a").click()
    operator.page.wait_for_url("**/batches?**")
    operator.page.wait_for_selector("td")
    assert operator.page.locator("tbody tr").count() == count


@pytest.mark.parametrize(
    ("language", "said"),
    [("zh", "监管端答复 403（suspended：机构已停用）。"), ("en", "OperatorError: The hub answered 403 (suspended).")],
)
def test_why_a_batch_did_not_go_is_told_in_the_visitor_s_language(
    guest: Visitor, gateway: Gateway, language: str, said: str
) -> None:
    """The worker noted it in English, for logs and programs."""
    ((attempt_id, path),) = gateway.ask(
        "INSERT INTO qianzhi.attempts (batch_id, attempted_at, took_seconds, outcome) "
        "SELECT batch_id, now(), 1, 'OperatorError: The hub answered 403 (suspended).' "
        "FROM qianzhi.batches ORDER BY sealed_at DESC LIMIT 1 "
        "RETURNING attempt_id, (SELECT '/batches?on=' || max(sealed_at)::date FROM qianzhi.batches)"
    )
    try:
        guest.speak(language)
        guest.sign_in("viewer", PASSWORD, path)
        guest.page.wait_for_selector("td")
        assert said in guest.page.locator("tbody").inner_text()
    finally:
        gateway.ask("DELETE FROM qianzhi.attempts WHERE attempt_id = %s", attempt_id)


def test_the_upload_log_ends_on_the_day_that_is_chosen(operator: Visitor) -> None:
    """With a last day alone it shows the thirty days up to that one, and not a span that ends before it begins."""
    operator.go(f"/uploads?until_on={clock.local_now().date() + timedelta(days=20)}")
    operator.page.wait_for_selector("tbody tr")
    days = [date.fromisoformat(each) for each in operator.page.locator("tbody td:first-child").all_inner_texts()]
    assert clock.local_now().date() - max(days) <= timedelta(days=1)
    operator.go(f"/uploads?until_on={clock.local_now().date() + timedelta(days=60)}")
    operator.page.wait_for_selector(".empty >> visible=true")


def test_the_service_log_shows_what_the_console_said(operator: Visitor) -> None:
    """Filters narrow it; a level means that and above."""
    operator.go("/log?part=console")
    operator.page.wait_for_selector("td:has-text('library:message:logged')")
    operator.go("/log?level=error")
    operator.page.wait_for_selector(".empty, td")
    assert "信息" not in operator.page.locator("td .tag").all_inner_texts()


def test_each_look_at_patients_names_who_looked(operator: Visitor, gateway: Gateway) -> None:
    """Pages with values of records and exports are on record; the overview is not one of them."""
    for path in ("/", "/held", corrected(gateway)):
        operator.go(path)
    looked = gateway.ask(ACTORS)
    assert {("database:us_pos", "console:page:viewed", page) for page in ("/held", "/record")} <= set(looked)
    assert not [each for each in looked if each[2] == "/"]


def test_an_administrator_sees_who_looked_at_what(guest: Visitor, gateway: Gateway) -> None:
    """Each look with its account, page, filters and count, narrowed by kind, account and day; of a value nothing."""
    guest.sign_in("operator", PASSWORD, "/failed?dataset=contacts&text=HYPERLINK")
    guest.go("/resources?dataset=staff")
    guest.sign_in("administrator", PASSWORD, "/audit?kind=looks&actor=operator")
    guest.page.wait_for_selector("td .tag")
    newest, before = [guest.page.locator("tbody tr").nth(at).inner_text() for at in (0, 1)]
    assert all(word in newest for word in ("operator", "查看", "机构与人员", "dataset=staff"))
    assert all(word in before for word in ("失败记录", "dataset=contacts", "text=(set)"))
    assert "HYPERLINK" not in guest.text()
    assert set(guest.page.locator("td.code").all_inner_texts()) == {"operator"}
    guest.go("/audit?kind=sessions")
    assert set(guest.page.locator("td .tag").all_inner_texts()) <= {"登录", "登录被拒", "退出登录"}
    reminder.check(
        gateway.site.workplace, gateway.site.destination, [clock.local_now().time()], local_now=clock.local_now()
    )
    guest.go("/audit?kind=checks")
    guest.page.wait_for_selector("td .tag")
    assert "rows=" in guest.text()
    assert "{" not in guest.page.inner_text("tbody")
    guest.go("/audit?until_on=2020-01-01")
    guest.page.wait_for_selector(".empty")


def test_every_entry_of_the_audit_has_its_word(gateway: Gateway) -> None:
    """No event that the played gateway wrote is shown by the name that programs have for it, and each has a kind."""
    written = {event for (event,) in gateway.ask("SELECT DISTINCT event FROM qianzhi.audit")}
    written |= {reconciliations.EVENT, reconciliations.MISSED, whitelist.CHANGED, services.RESTARTED, PRINTED}
    assert written - set(audit.EVENTS) == set()
    patterns = [each.rstrip("%") for _word, every in audit.KINDS.values() for each in every]
    assert [event for event in audit.EVENTS if not event.startswith(tuple(patterns))] == []


def test_a_viewer_sees_figures_and_no_patient(guest: Visitor) -> None:
    """Neither in the navigation nor by address, and no count is a link to what is closed."""
    guest.sign_in("viewer", PASSWORD)
    seen = " ".join(guest.page.locator(".side a").all_inner_texts())
    assert all(title in seen for title in ("今日概览", "上传日志", "服务日志"))
    assert not any(title in seen for title in ("失败记录", "待补记录", "立即校验", "账号管理"))
    assert guest.page.locator(".sheet a[href]").count() == 0
    for path in ("/failed", "/held", "/check", "/accounts"):
        guest.page.goto(guest.base + path)
        guest.page.wait_for_selector("text=您的角色不能查看此页面。")


def test_a_row_opens_by_the_keyboard(guest: Visitor) -> None:
    """Its first cell is a button, which Tab reaches and Enter presses; what opens has a button that closes it."""
    guest.sign_in("administrator", PASSWORD, "/accounts")
    guest.page.focus("tr:has-text('operator') button.open")
    guest.page.keyboard.press("Enter")
    guest.page.wait_for_selector(".q-dialog button:has-text('停用')")
    guest.page.click(".q-dialog button:has-text('关闭')")
    guest.page.wait_for_selector(".q-dialog", state="detached")


def test_the_keyboard_stays_at_its_row(guest: Visitor) -> None:
    """What else changes on the page takes the focus from no row: after a dialog Enter opens the same one again."""
    guest.sign_in("administrator", PASSWORD, "/accounts")
    guest.page.focus("tr:has-text('operator') button.open")
    for _ in range(3):
        guest.page.keyboard.press("Enter")
        guest.page.wait_for_selector(".q-dialog button:has-text('停用')")
        guest.page.keyboard.press("Escape")
        guest.page.wait_for_selector(".q-dialog", state="detached")
    assert guest.page.evaluate("document.activeElement.innerText") == "operator"


def test_an_administrator_opens_and_closes_accounts(guest: Visitor, gateway: Gateway) -> None:
    """The first password is shown once and works; a disabled account is out at once."""
    guest.sign_in("administrator", PASSWORD, "/accounts")
    guest.page.click("text=新增账号")
    guest.page.fill(".q-dialog input >> nth=0", "us_pos")
    guest.page.click(".q-dialog button:has-text('新增')")
    guest.page.wait_for_selector("text=不能使用此账号名。")
    guest.page.fill(".q-dialog input >> nth=0", "wang.wu")
    guest.page.click(".q-dialog button:has-text('新增')")
    password = guest.page.inner_text(".q-dialog .code")
    guest.page.click("text=知道了")
    other = guest.page.context.browser
    assert other is not None
    with other.new_context() as context:
        inside = Visitor(context.new_page(), gateway.base)
        inside.sign_in("wang.wu", password)
        guest.page.click("td:has-text('wang.wu')")
        guest.page.click(".q-dialog button:has-text('停用')")
        guest.page.wait_for_selector("td .tag.bad")
        inside.page.wait_for_url("**/sign-in")
