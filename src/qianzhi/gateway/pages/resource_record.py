"""The dialog of one record: what is typed, its pictures, what is wrong with each field, saving and revoking."""

from __future__ import annotations

import base64
from datetime import date
from typing import TYPE_CHECKING, Final

from nicegui import ui

from qianzhi.console import forms, notices
from qianzhi.console.dialogs import confirm, dialog
from qianzhi.console.layout import element, text
from qianzhi.console.text import _
from qianzhi.console.uploads import upload
from qianzhi.gateway.resources.form import Control
from qianzhi.sealing.images import IMAGE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from qianzhi.console.dialogs import Dialog
    from qianzhi.console.visit import Visit
    from qianzhi.gateway.resources.form import Form, Input
    from qianzhi.gateway.resources.pictures import Picture
    from qianzhi.gateway.resources.plan import Plan
    from qianzhi.gateway.resources.records import Record
    from qianzhi.gateway.resources.registry import Registry

SUFFIXES: Final = ".jpg,.jpeg,.png,.bmp,.gif,.tif,.tiff,.webp"
TEXT_CHARACTERS_MAX: Final = 20_000
_EXACT: Final = {Control.DATE: "date", Control.PARAGRAPH: "long"}


class RecordDialog:
    """A record as it is filled in; `record` is None for a new one."""

    def __init__(
        self,
        visit: Visit,
        kept: Registry,
        form: Form,
        record: Record | None,
        saved: Callable[[], Awaitable[None]],
    ) -> None:
        self._visit, self._kept, self._form, self._record, self._saved = visit, kept, form, record, saved
        self._before = dict(record.values) if record is not None else {}
        self._paths = {each.name: self._before.get(each.name, "") for each in form.inputs if each.field.image}
        self._pictures: dict[str, Picture] = {}
        self._warned: dict[str, str] | None = None  # what was typed when warnings were shown

    async def open(self, heading: str) -> None:
        """Show it; that it was shown is audited, with what is on record about it."""
        found = []
        if self._record is not None:
            name, language = self._form.dataset.name, self._visit.language.value
            await self._visit.ask(self._visit.looked, {"dataset": name, "row": str(self._record.row_id)}, 1)
            found = await self._visit.work(self._kept.findings, name, [self._record], language)
        with dialog(heading, stays=True) as self._dialog:
            widen()
            for told in found:
                tone: notices.Tone = "bad" if told["severity"] == "error" else "warn"
                notices.notice(str(told["reason"]), str(told["remedy"]), tone=tone)
            with element("div", "actions").style("align-items: flex-start"):
                for each in self._form.inputs:
                    if each.field.image:
                        await self._draw_picture(each)
            inputs = [self._input(each) for each in self._form.inputs if not each.field.image]
            self._drawn = forms.Form(self._visit, inputs, self._save)
            self._actions(self._dialog)
        self._dialog.open()

    def _actions(self, drawn: Dialog) -> None:
        with element("div", "actions"):
            if self._record is not None and self._record.exists:
                ui.button(_("撤销记录"), on_click=self._visit.handler(self._ask_revoke)).props("outline no-caps")
            ui.button(_("关闭"), on_click=drawn.close).props("flat no-caps")

    def _input(self, each: Input) -> forms.Input:
        value = self._before.get(each.name, "")
        options = {choice.code: choice.label for choice in each.choices}
        if value and options and value not in options:
            options = {value: value, **options}  # what a hospital system staged is not lost
        kind = _EXACT.get(each.control, "text")
        if kind == "date" and value and not _is_date(value):
            kind = "text"
        return forms.Input(
            each.name,
            f"{each.field.title} {each.name}",
            kind,  # type: ignore[arg-type]  # one of its words
            value,
            each.hint.said(self._visit.language),
            each.required,
            options or None,
            max(TEXT_CHARACTERS_MAX, len(value)),  # what is too long for the field is a finding, and never cut
        )

    async def _draw_picture(self, each: Input) -> None:
        with element("div").style("width: 240px"):
            text(f"{each.field.title} {each.name}{' *' if each.required else ''}", "div", "soft")
            shown = ui.image("").classes("portrait").style("width: 120px")
            shown.set_visibility(False)
            elsewhere = ui.label("").classes("soft").style("overflow-wrap: anywhere")

            async def show() -> None:
                path = self._paths[each.name]
                content = await self._visit.work(self._thumbnail, path)
                shown.set_visibility(content is not None)
                is_elsewhere = content is None and bool(path)
                elsewhere.set_text(_("已填路径（此处不预览）：{path}").format(path=path) if is_elsewhere else "")
                if content is not None:
                    shown.set_source(f"data:image/jpeg;base64,{base64.b64encode(content).decode()}")

            async def take(_name: str, content: bytes) -> None:
                picture = await self._visit.work(self._kept.album.picture, content)
                self._pictures[picture.path] = picture
                self._paths[each.name] = picture.path
                drawn.reset()
                await show()

            drawn = upload(self._visit, _("选择图片"), take, accept=SUFFIXES, bytes_max=IMAGE_BYTES_MAX)
            drawn.style("width: 100%").props["data-field"] = each.name
            await show()

    def _thumbnail(self, path: str) -> bytes | None:
        picture = self._pictures.get(path)
        return self._kept.thumbnail(path, picture)

    def _values(self, typed: dict[str, str]) -> dict[str, str | None]:
        return {**typed, **self._paths}

    async def _save(self, typed: dict[str, str]) -> dict[str, str]:
        plan = await self._visit.work(self._plan, self._values(typed))
        told = {each.field: f"{each.reason.said(self._visit.language)}{_('。')}" for each in reversed(plan.remarks)}
        if plan.errors:
            return told
        if told and self._warned != {**typed, **self._paths}:
            self._warned = {**typed, **self._paths}
            return {**told, "": _("以上是提醒；再次点击“保存”即保存。")}
        await self._done(plan)
        return {}

    def _plan(self, values: dict[str, str | None]) -> Plan:
        return self._kept.form_plan(
            self._form.dataset.name,
            values,
            row_id=self._record.row_id if self._record is not None else None,
            pictures=list(self._pictures.values()),
        )

    def _ask_revoke(self) -> None:
        what = _("撤销后，监管平台不再保留这条记录；之后可以重新新增。")
        confirm(self._visit, _("撤销这条记录？"), what, self._revoke, _("撤销"))

    async def _revoke(self) -> None:
        if self._record is None:
            return
        plan = await self._visit.work(self._kept.revocation, self._form.dataset.name, self._record.row_id)
        if plan.errors:
            language = self._visit.language.value
            self._drawn.show({each.field: each.reason.said(language) for each in reversed(plan.remarks)})
            return
        await self._done(plan)

    async def _done(self, plan: Plan) -> None:
        await self._visit.work(self._kept.save, plan, actor=self._visit.live.who.actor)
        self._dialog.close()
        notices.done(_("已保存，将随下一次上传提交。") if plan.changes else _("没有变化，无须保存。"))
        await self._saved()


def widen() -> None:
    """Let the dialog that is drawn now be as wide as a form of two columns and a table."""
    ui.context.slot.parent.style("width: 1000px; max-width: 94vw")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
