"""Failed records: what is wrong with which field, what to do about it, and all of it as a workbook."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Final

from nicegui import ui

from qianzhi.console import downloads, notices, progress
from qianzhi.console.pages import Page
from qianzhi.console.roles import WITH_PATIENTS
from qianzhi.console.tables import SET, Column, Filter, Linked, Query, Slice, Table, Tagged, as_text, minute
from qianzhi.console.text import _, language, mark, speak
from qianzhi.gateway.pages import names
from qianzhi.gateway.pages.record import address as record_address
from qianzhi.gateway.views import failed
from qianzhi.gateway.views.choice import Choice, Order
from qianzhi.runtime import clock, workbooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.views.failed import Failed
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

PATH: Final = "/failed"
_ORDERS: Final[Mapping[tuple[str | None, bool], Order]] = {
    ("found", False): Order.OLDEST,
    ("row", False): Order.ROW,
    ("row", True): Order.ROW,
    ("code", False): Order.CODE,
    ("code", True): Order.CODE,
    ("field", False): Order.FIELD,
    ("field", True): Order.FIELD,
}


def page(_home: Home, settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        await _Failed(visit, settings).show()

    return Page(PATH, mark("失败记录"), show, mark("上报"), "error_outline", WITH_PATIENTS, shows_patients=True)


class _Failed:
    def __init__(self, visit: Visit, settings: Settings) -> None:
        self._visit = visit
        self._settings = settings
        self._institutions = {settings.gateway.institution} | {
            each.institution for each in settings.gateway.destinations.values() if each.institution
        }

    async def show(self) -> None:
        """Draw the table and its filters."""
        self._table = Table(
            self._visit,
            _columns(),
            self._fetch,
            filters=_filters(self._settings),
            sort="found",
            descending=True,
            empty=_("没有失败记录。"),
            hint=_("默认只列出未解决的错误；在“级别”“状态”中选“全部”，可查看警告和已解决的记录。"),
            tools=self._tools,
        )
        await self._table.load()

    def _tools(self) -> None:
        button = ui.button(_("导出 Excel"), icon="download", on_click=self._visit.handler(self._export))
        button.props("outline no-caps")

    def _fetch(self, session: Session, query: Query) -> Slice:
        found = failed.page(
            session,
            choice(query.filters),
            institutions=self._institutions,
            order=_ORDERS.get((query.sort, query.descending), Order.NEWEST),
            offset=query.offset,
            limit=query.size,
            language=language().value,
        )
        options = {
            "dataset": self._counted(found.facets.get("dataset", {}), names.datasets(self._settings)),
            "severity": self._counted(found.facets.get("severity", {}), names.severities()),
            "code": self._counted(found.facets.get("code", {}), {}),
            "field": self._counted(found.facets.get("field", {}), {}),
        }
        most = failed.SORTED_ROWS_MAX
        note = _("记录较多：只在最近的 {count} 条中查找和排序，请缩小筛选范围。").format(count=most)
        rows = [self._row(each) for each in found.rows]
        return Slice(rows, found.total_count, options, note if found.is_bounded else "")

    def _counted(self, facet: Mapping[str, int], titles: Mapping[str, str]) -> dict[str, str]:
        return {value: f"{titles.get(value, value)} ({count:,})" for value, count in facet.items()}

    def _row(self, each: Failed) -> dict[str, object]:
        return {
            "severity": names.severity(each.severity) if each.closed_at is None else Tagged(_("已解决"), "good"),
            "dataset": names.dataset(self._settings, each.dataset),
            "row": Linked(str(each.row_id), record_address(each.destination, each.dataset, each.row_id)),
            "field": each.field,
            "value": each.value,
            "reason": each.reason,
            "remedy": each.remedy,
            "code": each.code,
            "found": minute(each.found_at),
        }

    async def _export(self) -> None:
        query, spoken = self._table.query, language()

        def collect(told: progress.Progress) -> bytes:
            speak(spoken)
            with self._visit.desk.pool.connection() as session:
                return self._workbook(session, query, told)

        content = await progress.run(self._visit, _("正在导出失败记录"), collect)
        if content is not None:
            downloads.offer(self._visit, f"{_('失败记录')}-{clock.local_now():%Y%m%d-%H%M}.xlsx", content)
            notices.done(_("已导出。"))

    def _workbook(self, session: Session, query: Query, told: progress.Progress) -> bytes:
        total = self._fetch(session, Query(query.filters, size=1)).total
        wanted = min(total, failed.EXPORT_ROWS_MAX)
        rows: list[list[workbooks.Value]] = []
        for part in failed.export(
            session,
            choice(query.filters),
            institutions=self._institutions,
            language=language().value,
        ):
            rows += [self._cells(each) for each in part]
            told.at(_("已读取 {count} 条").format(count=len(rows)), len(rows) / max(1, wanted))
        personal = {each.name for each in _filters(self._settings) if each.is_personal}
        filters = ", ".join(f"{k}={SET if k in personal else v}" for k, v in sorted(query.filters.items()))
        self._visit.note(session, "console:page:exported", PATH, {"filters": filters, "count": len(rows)})
        return workbooks.write([workbooks.Sheet(_("失败记录"), _sheet_columns(), rows)])

    def _cells(self, each: Failed) -> list[workbooks.Value]:
        return [
            names.severity(each.severity).word,
            names.dataset(self._settings, each.dataset),
            str(each.row_id),
            each.key,
            each.field,
            each.value,
            each.reason,
            each.remedy,
            each.code,
            each.class_,
            names.origin(each.origin),
            as_text(each.found_at),
            as_text(each.closed_at),
        ]


def choice(filters: Mapping[str, str]) -> Choice:
    """Return what the filters of the page choose; a day that is none chooses nothing."""
    days: dict[str, date] = {}
    for name in ("since_on", "until_on"):
        with suppress(ValueError):
            days[name] = date.fromisoformat(filters.get(name, ""))
    return Choice(
        dataset=filters.get("dataset"),
        code=filters.get("code"),
        field=filters.get("field"),
        severity=filters.get("severity"),
        since_on=days.get("since_on"),
        until_on=days.get("until_on"),
        open_only=filters.get("state") == "open",
        text=filters.get("text", ""),
    )


def _filters(settings: Settings) -> list[Filter]:
    return [
        Filter("dataset", _("数据集"), names.datasets(settings)),
        Filter("severity", _("级别"), names.severities(), preset="error"),
        Filter("code", _("规则"), {}),
        Filter("field", _("数据元"), {}),
        Filter("state", _("状态"), {"open": _("未解决")}, preset="open"),
        Filter("since_on", _("起始日期"), kind="date"),
        Filter("until_on", _("截止日期"), kind="date"),
        Filter("text", _("值、记录号或主键"), is_personal=True),
    ]


def _columns() -> list[Column]:
    return [
        Column("severity", _("级别"), "tag"),
        Column("dataset", _("数据集")),
        Column("row", _("记录号"), "link", sortable=True),
        Column("field", _("数据元"), "code", sortable=True),
        Column("value", _("原值"), "value"),
        Column("reason", _("原因"), "long"),
        Column("remedy", _("处理方法"), "long"),
        Column("code", _("规则"), "code", sortable=True),
        Column("found", _("发现时间"), "instant", sortable=True),
    ]


def _sheet_columns() -> list[workbooks.Column]:
    said = [
        (_("级别"), 8),
        (_("数据集"), 20),
        (_("记录号"), 12),
        (_("主键"), 32),
        (_("数据元"), 12),
        (_("原值"), 24),
        (_("原因"), 48),
        (_("处理方法"), 48),
        (_("规则"), 8),
        (_("错误类别"), 10),
        (_("发现方"), 10),
        (_("发现时间"), 20),
        (_("解决时间"), 20),
    ]
    return [workbooks.Column(heading, width) for heading, width in said]
