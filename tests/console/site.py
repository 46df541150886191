"""A small console of pages that exist for the tests: started as a process of its own, with a DSN and a port."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nicegui import ui

from qianzhi.console import charts, downloads, notices, progress
from qianzhi.console.application import build
from qianzhi.console.base import Base
from qianzhi.console.entrance import DatabaseAccount
from qianzhi.console.forms import Form, Input
from qianzhi.console.layout import text
from qianzhi.console.pages import Page, Site
from qianzhi.console.roles import ADMINISTRATORS
from qianzhi.console.sessions import Limits
from qianzhi.console.tables import Column, Filter, Linked, Query, Slice, Table, Tagged
from qianzhi.console.uploads import upload
from qianzhi.db.server import connect, pool
from qianzhi.errors import ConfigurationError, OperatorError, SenderError
from qianzhi.runtime import clock
from qianzhi.runtime.server import Listener, serve

if TYPE_CHECKING:
    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.runtime.server import Application

HOSTILE = "<script>window.hurt=1</script><img src=x onerror='window.hurt=1'>{{7*7}}`${7*7}`"
ROWS = 1234
SLOW, SLOW_SECONDS = "row 123", 2.0  # what is asked for by this name takes its time
PASSWORD = "Database-1-password"  # noqa: S105 - of a role that exists for the tests


async def home(visit: Visit) -> None:
    """Show rows with markup in their names."""

    def fetch(_: Session, query: Query) -> Slice:
        if query.filters.get("name") == SLOW:
            clock.sleep(SLOW_SECONDS)
        numbers = [n for n in range(1, ROWS + 1) if query.filters.get("name", "") in f"row {n}"]
        if query.filters.get("kind") == "none":
            numbers = []
        numbers.sort(reverse=query.descending)
        rows = [
            {
                "number": n,
                "name": f"row {n}",
                "hostile": HOSTILE,
                "state": Tagged(HOSTILE, "bad"),
                "link": Linked(f"to {n}", "/patients"),
            }
            for n in numbers[query.offset : query.offset + query.size]
        ]
        return Slice(rows, len(numbers))

    text(HOSTILE, "p")
    notices.notice(HOSTILE, HOSTILE, tone="warn")
    charts.bars(visit, [HOSTILE, "b"], [charts.Series(HOSTILE, [1, 2])])
    columns = [
        Column("number", "number", "number", sortable=True),
        Column("name", "name"),
        Column("hostile", "hostile", "long"),
        Column("state", "state", "tag"),
        Column("link", "link", "link"),
    ]
    filters = [Filter("name", "name", is_personal=True), Filter("kind", "kind", {"none": "none"})]
    opened = ui.label("nothing opened")
    await Table(
        visit, columns, fetch, filters=filters, opened=lambda row: opened.set_text(f"opened {row['number']}")
    ).load()


async def patients(visit: Visit) -> None:
    """Show what only some may see."""
    await Table(
        visit,
        [Column("name", "name")],
        lambda _, __: Slice([{"name": "patient"}], 1),
        filters=[Filter("name", "name", is_personal=True), Filter("dataset", "dataset")],
    ).load()


def broken(_: Visit) -> None:
    """Fail in a way that was foreseen."""
    raise OperatorError("It is broken.", remedy="Mend it.")


def unforeseen(_: Visit) -> None:
    """Fail in a way that nobody foresaw."""
    raise RuntimeError("secret of a patient")


def tools(visit: Visit) -> None:
    """Offer work, a form, a download and an upload."""
    said = ui.label("idle")

    def count(told: progress.Progress) -> str:
        for step in range(20):
            told.at(f"step {step}", step / 20)
            clock.sleep(0.05)
        return "counted"

    async def work() -> None:
        done = await progress.run(visit, "Counting", count)
        said.set_text(done or "stopped")

    def save(values: dict[str, str]) -> dict[str, str]:
        if values["name"] == "refused":
            raise SenderError("It is refused.", remedy="Say something else.")
        if values["name"] == "wrong":
            return {"name": "not this one"}
        said.set_text(f"saved {values['name']}")
        return {}

    ui.button("work", on_click=visit.handler(work))
    ui.button("download", on_click=visit.handler(lambda: downloads.offer(visit, "名单.txt", b"content", "text/plain")))
    Form(visit, [Input("name", "name", is_required=True)], save, button="save")
    upload(visit, "file", lambda name, content: said.set_text(f"{name}: {len(content)}"), accept=".txt", bytes_max=1000)


PAGES = (
    Page("/", "起始", home, "全部"),
    Page("/patients", "病人", patients, "全部", shows_patients=True),
    Page("/administrators", "管理", tools, "全部", roles=ADMINISTRATORS),
    Page("/tools", "工具", tools, "全部"),
    Page("/broken", "坏页", broken, "全部"),
    Page("/unforeseen", "意外", unforeseen),
)


def database_account(dsn: str) -> DatabaseAccount:
    """Return a role of the tests: right is one password, which is never changed."""

    def is_right(password: str) -> bool:
        return password == PASSWORD

    def change(present: str, _: str) -> None:
        if present != PASSWORD:
            raise ConfigurationError("no", remedy="no")

    connect(dsn, application="test").close()
    return DatabaseAccount(is_right, change)


def application() -> Application:
    """Make the console."""
    dsn, idle_minutes = sys.argv[1], float(sys.argv[3])
    sessions = pool(dsn, application="console", size_max=8, wait_seconds=5)
    accounts = {"us_pos": database_account(dsn)}
    return build(
        Site("试验台", "试验机构", PAGES), sessions, Base(), limits=Limits(1, idle_minutes), database_accounts=accounts
    )


if __name__ == "__main__":
    serve(application, Listener("127.0.0.1", int(sys.argv[2]), has_sockets=True))
