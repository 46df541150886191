"""What an official front machine's console said: its export is handed over, looked at, and imported."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from qianzhi.console import notices, progress
from qianzhi.console.dialogs import dialog
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.roles import WITH_PATIENTS
from qianzhi.console.tables import Column, Query, Slice, Table, facts, sliced
from qianzhi.console.text import _, mark
from qianzhi.console.uploads import upload
from qianzhi.db.server import connect
from qianzhi.errors import SenderError
from qianzhi.gateway import assembly, report
from qianzhi.gateway.official import profile
from qianzhi.gateway.official.lines import Reading
from qianzhi.gateway.official.results import settle_results
from qianzhi.gateway.pages.reconciling import Reconciling
from qianzhi.runtime import clock
from qianzhi.runtime.settings import DestinationKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.progress import Progress
    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination
    from qianzhi.gateway.official.results import Imported
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

LINES_SHOWN_MAX: Final = 50


def machines(settings: Settings) -> tuple[str, ...]:
    """Return the destinations that are official front machines."""
    every = settings.gateway.destinations.items()
    return tuple(name for name, said in every if said.enabled and said.kind is DestinationKind.FRONT_MACHINE)


def page(home: Home, settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        await _Results(visit, home, settings).show()

    return Page("/results", mark("官方处理结果"), show, mark("上报"), "fact_check", WITH_PATIENTS)


class _Results:
    def __init__(self, visit: Visit, home: Home, settings: Settings) -> None:
        self._visit = visit
        self._home = home
        self._settings = settings
        self._dsn = assembly.owner_dsn(home, settings)
        self._machines = {name: assembly.destination(home, settings, name) for name in machines(settings)}

    async def show(self) -> None:
        text(_("记录送达官方前置机后，在官方控制台公布结果之前，既不算接收也不算失败。"), "p", "soft")
        for name in self._machines:
            await Reconciling(self._visit, self._home, self._settings, name).show()
        self._draw_upload()
        columns = [
            Column("dataset", _("所属数据集")),
            Column("delivered", _("已送达，待结果"), "number"),
            Column("accepted", _("官方已接收"), "number"),
            Column("rejected", _("官方未接收或本机拦截"), "number"),
            Column("held", _("等待上级数据"), "number"),
        ]
        self._table = Table(self._visit, columns, self._fetch)
        await self._table.load()

    def _draw_upload(self) -> None:
        names = list(self._machines)
        with element("div", "form"):
            self._machine = ui.select(names, value=names[0], label=_("官方前置机"))
            self._dataset = ui.select(self._titles(), value="", label=_("文件未注明时的数据集"))
            self._told_at = ui.input(_("文件未注明时的导出时间"))
            self._told_at.props["type"] = "datetime-local"
            for drawn in (self._machine, self._dataset, self._told_at):
                drawn.props("dense outlined")
            self._machine.on_value_change(self._visit.handler(self._changed))
        upload(self._visit, _("选择官方控制台导出的 Excel 或 CSV 文件"), self._take, accept=".xlsx,.csv,.txt")

    def _titles(self) -> dict[str, str]:
        return {"": "", **{each.name: each.title for each in self._chosen().regulator.datasets}}

    def _chosen(self) -> Destination:
        return self._machines[str(self._machine.value)]

    async def _changed(self) -> None:
        self._dataset.set_options(self._titles(), value="")
        await self._table.load()

    def _fetch(self, session: Session, query: Query) -> Slice:
        chosen = self._chosen()
        titles = {each.name: each.title for each in chosen.regulator.datasets}
        rows = [
            {
                "dataset": titles[dataset],
                "delivered": tally.delivered,
                "accepted": tally.accepted,
                "rejected": tally.rejected,
                "held": tally.held,
            }
            for dataset, tally in report.tallies(session, chosen).items()
        ]
        return sliced(rows, query)

    async def _take(self, name: str, content: bytes) -> None:
        """Look through a file, and ask before anything is settled by it."""
        chosen, reading = self._chosen(), self._reading()
        found = await self._work(_("正在核对文件"), chosen, content, reading, is_rehearsal=True)
        if found is None:
            return

        async def agreed() -> None:
            asked.close()
            done = await self._work(_("正在导入结果"), chosen, content, reading, is_rehearsal=False)
            if done is not None:
                await self._visit.ask(self._visit.note, "gateway:results:imported", chosen.name, _counts(done))
                await self._table.load()
                notices.done(_("已导入：接收 {accepted} 条，未接收 {failed} 条。").format(**_counts(done)))

        with dialog(name) as asked:
            _tell(found)
            with element("div", "actions"):
                if found.accepted_count + found.failed_count:
                    ui.button(_("导入这些结果"), on_click=self._visit.handler(agreed)).props("unelevated no-caps")
                ui.button(_("取消"), on_click=asked.close).props("flat no-caps")
        asked.open()

    def _reading(self) -> Reading:
        chosen = self._chosen()
        said = self._settings.gateway.destinations[chosen.name].machine
        return Reading(
            regulator=chosen.regulator,
            profile=profile.load(chosen.regulator, said.results_profile),
            institution=chosen.institution,
            dataset=str(self._dataset.value) or None,
            told_at=_instant(str(self._told_at.value or "")),
            now=clock.now(),
        )

    async def _work(
        self, title: str, chosen: Destination, content: bytes, reading: Reading, *, is_rehearsal: bool
    ) -> Imported | None:
        do = partial(_settled, self._dsn, chosen, content, reading, is_rehearsal=is_rehearsal)
        return await progress.run(self._visit, title, do)


def _settled(
    dsn: str, chosen: Destination, content: bytes, reading: Reading, _progress: Progress, *, is_rehearsal: bool
) -> Imported:
    with connect(dsn, application="qianzhi results") as session:
        return settle_results(session, chosen, content, reading, is_rehearsal=is_rehearsal)


def _counts(done: Imported) -> dict[str, int]:
    return {
        "lines": done.line_count,
        "accepted": done.accepted_count,
        "failed": done.failed_count,
        "known": done.known_count,
        "unmatched": done.unmatched_count,
    }


def _tell(found: Imported) -> None:
    facts(
        {
            _("文件行数"): found.line_count,
            _("将标为已接收"): found.accepted_count,
            _("将标为未接收"): found.failed_count,
            _("此前已导入"): found.known_count,
            _("无法对应的行"): found.unmatched_count,
        }
    )
    if found.unmatched:
        with element("ul", "soft"):
            for each in found.unmatched[:LINES_SHOWN_MAX]:
                text(_line(each), "li")


def _line(each: Mapping[str, Any]) -> str:
    """Return which line settles nothing, and why; no value of it."""
    place = _("第 {line} 行").format(line=each["line"])
    return f"{each['sheet']} {place}: {_(each['why'])}".strip()


def _instant(said: str) -> datetime | None:
    if not said:
        return None
    try:
        return datetime.fromisoformat(said).replace(tzinfo=clock.LOCAL)
    except ValueError as error:
        raise SenderError("The time of the export cannot be read.", remedy="Choose a day and a time.") from error
