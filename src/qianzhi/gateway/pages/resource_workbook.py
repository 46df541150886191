"""The dialog in which a filled workbook is taken, previewed and saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nicegui import ui

from qianzhi.console import notices
from qianzhi.console.dialogs import dialog
from qianzhi.console.layout import element, text
from qianzhi.console.progress import Progress, run
from qianzhi.console.tables import Column, Query, Slice, Table, Tagged
from qianzhi.console.text import _
from qianzhi.console.uploads import upload
from qianzhi.errors import SenderError
from qianzhi.gateway.pages.resource_record import SUFFIXES, widen
from qianzhi.gateway.resources.attachments import attached
from qianzhi.runtime.workbooks import FILE_BYTES_MAX
from qianzhi.specs.model import Severity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.resources.plan import Plan
    from qianzhi.gateway.resources.registry import Registry
    from qianzhi.gateway.resources.remarks import Remark

PICTURES_MAX: Final = 20  # files at once; an archive is one
PICTURES_BYTES_MAX: Final = 256 * 2**20  # held for one dialog
ARCHIVE_BYTES_MAX: Final = 64 * 2**20


class WorkbookDialog:
    """A workbook and its pictures, from the upload to the saving."""

    def __init__(self, visit: Visit, kept: Registry, saved: Callable[[], Awaitable[None]]) -> None:
        self._visit, self._kept, self._saved = visit, kept, saved
        self._workbook: bytes | None = None
        self._files: dict[str, bytes] = {}
        self._plan: Plan | None = None

    def open(self) -> None:
        """Show it."""
        with dialog(_("导入工作簿"), stays=True) as self._dialog:
            widen()
            text(_("先预览，再保存；有错误时什么也不会保存。"), "p", "soft")
            with element("div", "actions"):
                upload(self._visit, _("工作簿（.xlsx）"), self._take, accept=".xlsx", bytes_max=FILE_BYTES_MAX)
                upload(
                    self._visit,
                    _("图片或压缩包（可选）"),
                    self._take_picture,
                    accept=f"{SUFFIXES},.zip",
                    bytes_max=ARCHIVE_BYTES_MAX,
                    files_max=PICTURES_MAX,
                )
            self._found = element("div")
            with element("div", "actions"):
                self._preview = ui.button(_("预览"), on_click=self._visit.handler(self._look))
                self._preview.props("outline no-caps")
                self._preview.disable()
                self._button = ui.button(_("保存"), on_click=self._visit.handler(self._save))
                self._button.props("unelevated no-caps")
                self._button.disable()
                ui.button(_("关闭"), on_click=self._dialog.close).props("flat no-caps")
        self._dialog.open()

    def _take(self, _name: str, content: bytes) -> None:
        self._workbook = content
        self._forget()
        self._preview.enable()

    def _take_picture(self, name: str, content: bytes) -> None:
        if sum(map(len, self._files.values())) + len(content) > PICTURES_BYTES_MAX:
            raise SenderError(
                "More pictures than can be taken at once.", remedy="Save what is there, and upload the rest then."
            )
        self._files[name] = content
        self._forget()

    def _forget(self) -> None:
        """Let nothing be saved that was not looked at."""
        self._plan = None
        self._button.disable()
        self._found.clear()

    async def _look(self) -> None:
        workbook, pictures = self._workbook, dict(self._files)
        if workbook is None:
            return

        def make(told: Progress) -> Plan:
            told.at(_("正在读取图片"))
            files = attached(pictures.items())
            told.at(_("正在读取和校验工作簿"))
            return self._kept.plan(workbook, files)

        self._forget()
        plan = await run(self._visit, _("正在预览"), make)
        if plan is None or self._workbook is not workbook or self._files != pictures:
            return  # stopped, or of files that others have taken the place of meanwhile
        self._plan = plan
        with self._found:
            self._draw_counts(plan)
            if plan.remarks:
                await self._draw_remarks(plan)
        if plan.changes and not plan.errors:
            self._button.enable()

    def _draw_counts(self, plan: Plan) -> None:
        if plan.errors:
            notices.notice(_("有 {count} 个错误，尚不能保存。").format(count=plan.errors), tone="bad")
        with element("ul", "counts"):
            for name, counts in plan.counts().items():
                said = _("新增 {new}，修改 {modify}，撤销 {revoke}，未变 {unchanged}").format(**counts)
                text(f"{self._kept.forms[name].title} {name}: {said}", "li")

    async def _draw_remarks(self, plan: Plan) -> None:
        columns = [
            Column("sheet", _("工作表")),
            Column("cell", _("单元格"), "code"),
            Column("severity", _("级别"), "tag"),
            Column("value", _("值")),
            Column("reason", _("原因"), "long"),
            Column("remedy", _("改正方法"), "long"),
        ]

        def fetch(_session: Session, query: Query) -> Slice:
            rows = [self._row(each) for each in plan.remarks[query.offset : query.offset + query.size]]
            return Slice(rows, len(plan.remarks))

        await Table(self._visit, columns, fetch).load()

    def _row(self, remark: Remark) -> dict[str, object]:
        language = self._visit.language.value
        is_error = remark.severity is Severity.ERROR
        return {
            "sheet": remark.place.sheet,
            "cell": f"{remark.place.column}{remark.place.row or ''}",
            "severity": Tagged(_("错误"), "bad") if is_error else Tagged(_("提醒"), "warn"),
            "value": remark.value,
            "reason": remark.reason.said(language),
            "remedy": remark.remedy.said(language),
        }

    async def _save(self) -> None:
        if self._plan is None:
            return
        await self._visit.work(self._kept.save, self._plan, actor=self._visit.live.who.actor)
        self._dialog.close()
        notices.done(_("已保存，将随下一次上传提交。"))
        await self._saved()
