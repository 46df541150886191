"""Institution, departments, staff and the rest that no hospital system holds: looked through, entered, corrected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nicegui import ui

from qianzhi.console.downloads import offer
from qianzhi.console.layout import element
from qianzhi.console.pages import Page
from qianzhi.console.progress import Progress, run
from qianzhi.console.roles import WITH_PATIENTS
from qianzhi.console.tables import Column, Filter, Query, Slice, Table, Words, sliced, tagged
from qianzhi.console.text import Language, _, mark
from qianzhi.errors import ConfigurationError
from qianzhi.gateway import assembly
from qianzhi.gateway.pages.resource_record import RecordDialog
from qianzhi.gateway.pages.resource_workbook import WorkbookDialog
from qianzhi.gateway.resources import records
from qianzhi.gateway.resources.form import Control
from qianzhi.gateway.resources.records import State
from qianzhi.gateway.resources.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.resources.form import Form, Input
    from qianzhi.gateway.resources.records import Record
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

PATH: Final = "/resources"
FIELDS_SHOWN: Final = 4  # besides the key, of the first that are lines or codes
_STATES: Final[Words] = {
    State.ACCEPTED: (mark("已接收"), "good"),
    State.REVOKED: (mark("已撤销"), "plain"),
    State.WAITING: (mark("待上传"), "accent"),
    State.SENT: (mark("待回执"), "accent"),
    State.HELD: (mark("待补"), "warn"),
    State.DELIVERED: (mark("已送达"), "accent"),
    State.REJECTED: (mark("已拒绝"), "bad"),
    State.WITHHELD: (mark("已拦截"), "bad"),
    State.QUARANTINED: (mark("隔离"), "bad"),
    State.SUPERSEDED: (mark("被替代"), "plain"),
    State.NOTHING_TO_REVOKE: (mark("无可撤销"), "plain"),
}


def page(home: Home, settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        kept = await visit.work(_registry, home, settings, visit.query.get("destination", ""))
        await _Resources(visit, kept).show()

    return Page(PATH, mark("机构与人员"), show, mark("资料与文档"), "badge", WITH_PATIENTS, shows_patients=True)


def _registry(home: Home, settings: Settings, wanted: str) -> Registry:
    """Return the registry of the destination that is asked for, or of the first one."""
    every = assembly.destinations(home, settings)
    if not every:
        raise ConfigurationError("No destination is set up.", remedy="Run `qianzhi gateway init`.")
    chosen = next((each for each in every if each.name == wanted), every[0])
    return Registry(home, settings, chosen)


@dataclass(slots=True)
class _Resources:
    """The page while somebody looks at it."""

    visit: Visit
    kept: Registry

    async def show(self) -> None:
        """Draw the choice of datasets and the records of the one that is chosen."""
        wanted = self.visit.query.get("dataset", "")
        form = self.kept.forms.get(wanted) or next(iter(self.kept.forms.values()))
        with element("nav", "actions"):
            for name, each in self.kept.forms.items():
                chosen = ui.button(title(each, self.visit.language)).props("no-caps dense")
                chosen.props("unelevated" if each is form else "flat")
                address = f"{self.visit.link(PATH)}?dataset={name}&destination={self.kept.destination.name}"
                chosen.props["href"] = address
        await _Records(self.visit, self.kept, form).show()


class _Records:
    """The records of one dataset."""

    def __init__(self, visit: Visit, kept: Registry, form: Form) -> None:
        self._visit, self._kept, self._form = visit, kept, form
        self._name = form.dataset.name
        self._shown = _fields_shown(form)

    async def show(self) -> None:
        """Draw the table."""
        keys = [Column("key", _("编号"), "code")] if self._form.key else []
        fields = [Column(each.name, each.field.title) for each in self._shown]
        words = {str(state): _(word) for state, (word, _tone) in _STATES.items()}
        self._table = Table(
            self._visit,
            [*keys, *fields, Column("state", _("状态"), "tag"), Column("said", _("填报时间"))],
            self._fetch,
            filters=[Filter("text", _("查找"), is_personal=True), Filter("state", _("状态"), words)],
            empty=_("还没有记录。"),
            hint=_("点“新增”填写，或下载模板批量填写。"),
            opened=self._open,
            tools=self._tools,
            about={"dataset": self._name},
        )
        await self._table.load()

    def _tools(self) -> None:
        handler = self._visit.handler
        ui.button(_("模板"), icon="download", on_click=handler(self._download_empty)).props("outline no-caps dense")
        ui.button(_("导出"), icon="table_view", on_click=handler(self._download_filled)).props("outline no-caps dense")
        ui.button(_("全部导出"), icon="library_books", on_click=handler(self._download_all)).props(
            "outline no-caps dense"
        )
        ui.button(_("导入"), icon="upload", on_click=handler(self._upload)).props("outline no-caps dense")
        ui.button(_("新增"), icon="add", on_click=handler(self._add)).props("unelevated no-caps dense")

    def _fetch(self, session: Session, query: Query) -> Slice:
        found = records.current(session, self._kept.destination, self._form.dataset)
        state, sought = query.filters.get("state"), query.filters.get("text", "").casefold()
        rows = [
            self._row(each)
            for each in reversed(found)
            if (not state or each.state.value == state) and (not sought or self._says(each, sought))
        ]
        return sliced(rows, query)

    def _says(self, record: Record, sought: str) -> bool:
        return any(sought in each.shown(record.values.get(each.name)).casefold() for each in self._form.inputs)

    def _row(self, record: Record) -> dict[str, object]:
        values = {each.name: each.shown(record.values.get(each.name)) for each in self._shown}
        key = " ".join(record.values.get(name, "") for name in self._form.key)
        said = record.values.get(self._form.dataset.occurred_at, "")
        return {**values, "key": key, "state": tagged(_STATES, record.state), "said": said, "record": record}

    async def _add(self) -> None:
        if not self._form.key and (held := [each for each in await self._current() if each.exists]):
            await self._dialog(held[0])  # there is but one
            return
        await self._dialog(None)

    async def _open(self, row: Mapping[str, object]) -> None:
        record = row["record"]
        if isinstance(record, records.Record):
            await self._dialog(record)

    async def _dialog(self, record: Record | None) -> None:
        heading = title(self._form, self._visit.language)
        await RecordDialog(self._visit, self._kept, self._form, record, self._table.load).open(heading)

    async def _current(self) -> list[Record]:
        return await self._visit.work(self._kept.records, self._name)

    async def _download_empty(self) -> None:
        await self._download([self._name], self._form.title, filled=False)

    async def _download_filled(self) -> None:
        await self._download([self._name], self._form.title, filled=True)

    async def _download_all(self) -> None:
        await self._download(list(self._kept.forms), _("机构与人员"), filled=True)

    async def _download(self, names: list[str], called: str, *, filled: bool) -> None:
        def make(told: Progress) -> bytes:
            told.at(called)
            return self._kept.template(names, filled=filled)

        if filled:
            await self._visit.ask(self._visit.note, "resources:records:downloaded", ", ".join(names))
        content = await run(self._visit, _("正在生成工作簿"), make)
        if content is not None:
            offer(self._visit, f"{called}.xlsx", content)

    def _upload(self) -> None:
        WorkbookDialog(self._visit, self._kept, self._table.load).open()


def title(form: Form, language: Language) -> str:
    """Return what a dataset is called: its Chinese title, or its name."""
    return form.title if language is Language.ZH else form.dataset.name.replace("_", " ").capitalize()


def _fields_shown(form: Form) -> list[Input]:
    short = {Control.LINE, Control.CHOICE, Control.DATE, Control.INTEGER, Control.DECIMAL}
    return [each for each in form.inputs if each.control in short and each.name not in form.key][:FIELDS_SHOWN]
