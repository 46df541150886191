"""The page of official results, in a real browser on the gateway's own console."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import psycopg
import pytest
from playwright.sync_api import FilePayload
from psycopg import sql
from tests.browser import Visitor, chromium, visitor
from tests.faults import rows
from tests.gateway.conftest import REGULATOR
from tests.gateway.official.machine import Official, make_tables, sign_in
from tests.gateway.pages.pictures import shoot

from qianzhi.console import accounts
from qianzhi.console.roles import Role
from qianzhi.db.server import connect
from qianzhi.gateway import assembly, install
from qianzhi.gateway.cycle import Dispatcher
from qianzhi.ledger.batches import CycleKind
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import write_settings
from qianzhi.synthetic.insert import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qianzhi.db.embedded import Cluster

pytestmark = pytest.mark.browser

SECRET = "Right-1-password"  # noqa: S105  # of accounts that exist for the test
START_SECONDS_MAX = 90.0


@dataclass(frozen=True, slots=True)
class Desk:
    """A gateway in front of an official machine, with two delivered rows and its console."""

    base: str
    dsn: str
    official: Official


@pytest.fixture(scope="module")
def desk(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Set it up, deliver, and serve its console."""
    folder, role = tmp_path_factory.mktemp("front"), f"us_pos_{uuid4().hex}"
    names = [f"gateway_{uuid4().hex}", f"official_{uuid4().hex}"]
    with psycopg.connect(postgres.dsn(), autocommit=True) as session:
        for name in names:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    make_tables(postgres.dsn(names[1]), REGULATOR, role)
    port = free_port()
    official = sign_in(postgres.dsn(names[1]), folder, role)
    home = delivered(folder, postgres, names[0], official, port)
    output = (folder / "console.out").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "qianzhi", "gateway", "console", "--home", str(home.path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=output,
        stderr=output,
    )
    output.close()
    try:
        wait_until_it_answers(port, process)
        yield Desk(f"http://127.0.0.1:{port}", postgres.dsn(names[0]), official)
    finally:
        process.terminate()
        process.wait(60)


def delivered(folder: Path, postgres: Cluster, database: str, official: Official, port: int) -> Home:
    """Set a gateway up, and deliver two rows."""
    home, passfile = Home(folder / "home"), folder / "passfile"
    home.create(End.GATEWAY)
    with psycopg.connect(postgres.dsn(database)) as session:
        passfile.write_text(f"127.0.0.1:{postgres.port}:*:postgres:{session.info.password}\n", encoding="utf-8")
    passfile.chmod(0o600)
    at = "gateway.destinations.official"
    settings = write_settings(
        home,
        {
            "gateway.institution": "440000000000000001",
            "gateway.database.dsn": f"host=127.0.0.1 port={postgres.port} dbname={database} user=postgres "
            f"passfile={passfile}",
            "gateway.console.port": port,
            f"{at}.regulator": "guangdong",
            f"{at}.kind": "front-machine",
            f"{at}.machine.dsn": official.dsn,
        },
    )
    install.install(home, settings)
    with connect(postgres.dsn(database), application="test") as session:
        accounts.add(session, "operator", Role.OPERATOR, SECRET, actor="test")
        accounts.add(session, "viewer", Role.VIEWER, SECRET, actor="test")
        insert(session, "guangdong.contacts", rows.contacts(["a", "b"]))
    chosen = assembly.destination(home, settings, "official")
    with Dispatcher(assembly.workplace(home, settings), chosen) as dispatcher:
        dispatcher.advance(CycleKind.MANUAL, clock.now())
    return home


def wait_until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for the console."""
    until = clock.monotonic() + START_SECONDS_MAX
    while clock.monotonic() < until:
        assert process.poll() is None, "the console ended"
        try:
            httpx.get(f"http://127.0.0.1:{port}/sign-in", trust_env=False)
        except httpx.TransportError:
            clock.sleep(0.1)
        else:
            return
    pytest.fail("the console did not answer")


@pytest.fixture(scope="module")
def guest(desk: Desk) -> Iterator[Visitor]:
    """An operator on the page."""
    with chromium() as browser, visitor(browser, desk.base) as made:
        made.sign_in("operator", SECRET, "/results")
        yield made


def export(*lines: str) -> FilePayload:
    """Return an export of the official console."""
    text = "\r\n".join(("数据集,BM,处理时间,处理结果,未成功原因", *lines))
    return FilePayload(name="results.csv", mimeType="text/csv", buffer=text.encode("gbk"))


def test_results_are_looked_at_before_they_are_imported(desk: Desk, guest: Visitor, pictures: Path | None) -> None:
    """The dialog tells what would be settled and which lines settle nothing; agreeing settles it, and is audited."""
    at = f"{clock.local_now() + timedelta(seconds=1):%Y-%m-%d %H:%M:%S}"
    guest.page.wait_for_selector("td:has-text('行政管理科室通讯表')")
    content = export(f"contacts,a,{at},成功,", f"contacts,b,{at},未成功,格式错误", f"contacts,x,{at},成功,")
    guest.page.set_input_files("input[type=file]", content)
    guest.page.wait_for_selector(".q-dialog >> text=将标为已接收")
    assert "第 4 行: 在该时间之前没有送达过这条记录" in guest.page.inner_text(".q-dialog:has-text('将标为已接收')")
    assert accepted(desk) == [None, None]
    guest.page.click("text=导入这些结果")
    guest.page.wait_for_selector("text=已导入：接收 1 条，未接收 1 条。")
    assert accepted(desk) == [True, False]
    assert not guest.is_overflowing()
    if pictures is not None:
        shoot(guest, pictures, "results", "zh")
    with psycopg.connect(desk.dsn) as session:
        (entry,) = session.execute("SELECT actor, subject, detail FROM qianzhi.audit WHERE event LIKE '%imported'")
    assert (entry[0].endswith("operator"), entry[1], entry[2]["accepted"]) == (True, "official", 1)


def test_a_file_that_is_no_export_is_refused_in_words(guest: Visitor) -> None:
    """In the visitor's language, with what to do."""
    guest.go("/results")
    guest.page.set_input_files("input[type=file]", FilePayload(name="x.csv", mimeType="text/csv", buffer=b"a,b\n1,2"))
    guest.page.wait_for_selector("text=文件中没有能识别记录和处理结果的表头。")


def test_rows_that_the_ledger_does_not_know_are_decided_about(desk: Desk, guest: Visitor) -> None:
    """They are named by table and number; whoever decides stands in the audit, and then there is nothing to decide."""
    guest.go("/results")
    guest.page.click("text=核对官方表")
    guest.page.wait_for_selector("text=官方表中的记录都在本机台账中，或已核对。")
    desk.official.ask("INSERT INTO contacts (jgdm, bm) VALUES ('44', 'x')")
    guest.page.click("text=核对官方表")
    guest.page.wait_for_selector(".q-dialog >> text=行政管理科室通讯表：1 条（ID 3 至 3）")
    guest.page.click("text=都不是本机写入的")
    guest.page.wait_for_selector("text=已记录，下次尝试时继续送达。")
    with psycopg.connect(desk.dsn) as session:
        (entry,) = session.execute("SELECT actor, subject, detail FROM qianzhi.audit WHERE event LIKE '%reconciled'")
    assert (entry[0].endswith("operator"), entry[1]) == (True, "official/contacts")
    assert entry[2] == {"first": 3, "last": 3, "may_be_ours": False}


def test_the_page_speaks_english_too(guest: Visitor, pictures: Path | None) -> None:
    """Headings and remarks; datasets keep the regulator's names."""
    guest.speak("en")
    guest.go("/results")
    guest.page.wait_for_selector("th:has-text('Delivered, no result yet')")
    if pictures is not None:
        shoot(guest, pictures, "results", "en")


def accepted(desk: Desk) -> list[bool | None]:
    """Return what is known of the delivered rows."""
    with psycopg.connect(desk.dsn) as session:
        found = session.execute("SELECT accepted FROM qianzhi.deliveries ORDER BY row_id").fetchall()
    return [each for (each,) in found]
