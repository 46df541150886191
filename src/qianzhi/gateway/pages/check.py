"""The check at any hour: what tonight's cycle would find, without sending anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from qianzhi.console import downloads, notices, progress
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.roles import WITH_PATIENTS
from qianzhi.console.tables import Column, Filter, Linked, Query, Slice, Table, as_text, plain
from qianzhi.console.text import _, language, mark, speak
from qianzhi.db.server import connect
from qianzhi.gateway import assembly
from qianzhi.gateway.pages import names
from qianzhi.gateway.pages.record import address as record_address
from qianzhi.gateway.views import checkup
from qianzhi.runtime import clock, workbooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.views.checkup import Checkup
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

PATH: Final = "/check"


def page(home: Home, settings: Settings) -> Page:
    """Return the page."""

    def show(visit: Visit) -> None:
        _Check(visit, home, settings).show()

    return Page(PATH, mark("立即校验"), show, mark("上报"), "rule", WITH_PATIENTS, shows_patients=True)


class _Check:
    def __init__(self, visit: Visit, home: Home, settings: Settings) -> None:
        self._visit = visit
        self._home = home
        self._settings = settings

    def show(self) -> None:
        """Draw the question; the answer comes below it."""
        enabled = [name for name, said in self._settings.gateway.destinations.items() if said.enabled]
        if not enabled:
            notices.empty(_("还没有上报目标。"), _("请先运行 qianzhi gateway init。"))
            return
        with element("section", "card"):
            text(_("按监管平台的规则校验尚未上报的记录，不上报任何数据。截止时刻前可随时进行。"), "p", "soft")
            with element("div", "actions"):
                chosen = ui.select(enabled, value=enabled[0], label=_("上报目标")).props("dense outlined")
                chosen.set_visibility(len(enabled) > 1)
                act = self._visit.handler(lambda: self._run(str(chosen.value)))
                ui.button(_("开始校验"), icon="play_arrow", on_click=act).props("unelevated no-caps")
        self._answer = element("div", "answer")

    async def _run(self, name: str) -> None:
        spoken = language()

        def judge(told: progress.Progress) -> Checkup:
            speak(spoken)
            return self._judged(name, told)

        done = await progress.run(self._visit, _("正在校验"), judge)
        if done is None:
            return
        self._answer.clear()
        with self._answer:
            await self._tell(name, done)

    def _judged(self, name: str, told: progress.Progress) -> Checkup:
        chosen = assembly.destination(self._home, self._settings, name)
        site = assembly.workplace(self._home, self._settings)

        def note(done: int, total: int) -> None:
            told.at(_("已校验 {done} / {total} 条").format(done=f"{done:,}", total=f"{total:,}"), done / max(1, total))

        with connect(site.dsn, application="qianzhi check", autocommit=True) as session:
            return checkup.check_now(session, site, chosen, progress=note, language=language().value)

    async def _tell(self, name: str, done: Checkup) -> None:
        waiting, rejected = sum(each.row_count for each in done.datasets), done.rejected_count
        warned = sum(each.warned_count for each in done.datasets)
        counts = {"waiting": f"{waiting:,}", "rejected": f"{rejected:,}", "warned": f"{warned:,}"}
        what = _("{waiting} 条记录等待上报，其中 {rejected} 条将被拒绝，{warned} 条有警告。").format(**counts)
        remedy = _("请按处理方法更正后重新写入中间表；原记录不会被修改。") if rejected else _("无需处理。")
        notices.notice(what, remedy, tone="bad" if rejected else "warn" if warned else "good")
        if done.findings:
            plain(self._visit, _dataset_columns(), self._datasets(done))
            await self._table(name, done).load()

    def _datasets(self, done: Checkup) -> list[dict[str, object]]:
        return [
            {
                "dataset": names.dataset(self._settings, each.dataset),
                "rows": each.row_count,
                "rejected": each.rejected_count,
                "warned": each.warned_count,
                "findings": each.finding_count,
            }
            for each in done.datasets
            if each.row_count
        ]

    def _table(self, destination: str, done: Checkup) -> Table:
        def fetch(_session: Session, query: Query) -> Slice:
            found = _chosen(done, query)
            rows = [self._row(destination, each) for each in found[query.offset : query.offset + query.size]]
            note = _("只显示前 {count} 条问题。").format(count=len(done.findings)) if done.is_bounded else ""
            return Slice(rows, len(found), note=note)

        filters = [
            Filter("dataset", _("数据集"), names.datasets(self._settings)),
            Filter("severity", _("级别"), names.severities()),
        ]

        async def export() -> None:
            await self._export(table.query, done)

        def tools() -> None:
            button = ui.button(_("导出 Excel"), icon="download", on_click=self._visit.handler(export))
            button.props("outline no-caps")

        table = Table(self._visit, _finding_columns(), fetch, filters=filters, tools=tools)
        return table

    async def _export(self, query: Query, done: Checkup) -> None:
        rows = [self._cells(each) for each in _chosen(done, query)]
        filters = ", ".join(f"{name}={value}" for name, value in sorted(query.filters.items()))
        detail: dict[str, str | int | bool] = {"filters": filters, "count": len(rows)}
        await self._visit.ask(self._visit.note, "console:page:exported", PATH, detail)
        columns = [workbooks.Column(heading, width) for heading, width in _sheet_columns()]
        content = await self._visit.work(workbooks.write, [workbooks.Sheet(_("立即校验"), columns, rows)])
        downloads.offer(self._visit, f"{_('立即校验')}-{clock.local_now():%Y%m%d-%H%M}.xlsx", content)

    def _cells(self, each: Mapping[str, object]) -> list[workbooks.Value]:
        said = {
            **each,
            "severity": names.severity(str(each["severity"])).word,
            "dataset": names.dataset(self._settings, str(each["dataset"])),
        }
        asked = ("severity", "dataset", "row_id", "field", "value", "reason", "remedy", "code")
        return [as_text(said[name]) if name != "row_id" else str(said[name]) for name in asked]

    def _row(self, destination: str, each: dict[str, object]) -> dict[str, object]:
        dataset, row_id = str(each["dataset"]), str(each["row_id"])
        return {
            **each,
            "severity": names.severity(str(each["severity"])),
            "dataset": names.dataset(self._settings, dataset),
            "row": Linked(row_id, record_address(destination, dataset, int(row_id))),
        }


def _chosen(done: Checkup, query: Query) -> list[dict[str, Any]]:
    """Return what the filters leave of the findings."""
    return [each for each in done.findings if all(each[name] == value for name, value in query.filters.items())]


def _dataset_columns() -> list[Column]:
    return [
        Column("dataset", _("数据集")),
        Column("rows", _("等待上传"), "number"),
        Column("rejected", _("将被拒绝"), "number"),
        Column("warned", _("有警告"), "number"),
        Column("findings", _("问题"), "number"),
    ]


def _finding_columns() -> list[Column]:
    return [
        Column("severity", _("级别"), "tag"),
        Column("dataset", _("数据集")),
        Column("row", _("记录号"), "link"),
        Column("field", _("数据元"), "code"),
        Column("value", _("原值"), "value"),
        Column("reason", _("原因"), "long"),
        Column("remedy", _("处理方法"), "long"),
        Column("code", _("规则"), "code"),
    ]


def _sheet_columns() -> list[tuple[str, int]]:
    return [
        (_("级别"), 8),
        (_("数据集"), 20),
        (_("记录号"), 12),
        (_("数据元"), 12),
        (_("原值"), 24),
        (_("原因"), 48),
        (_("处理方法"), 48),
        (_("规则"), 8),
    ]
