"""The documents that the regulator wants: where each stands, why it came back, and a place to bring it."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Final

from nicegui import ui

from qianzhi.console import downloads, notices
from qianzhi.console.dialogs import dialog
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.roles import WITH_PATIENTS
from qianzhi.console.tables import Column, Query, Slice, Table, Tagged, facts, sliced
from qianzhi.console.text import _, mark, told
from qianzhi.console.uploads import upload
from qianzhi.errors import QianzhiError, SenderError
from qianzhi.gateway.documents.checklist import STATES, State, checklist, urgent
from qianzhi.gateway.documents.dossier import Upload
from qianzhi.gateway.documents.opening import dossiers
from qianzhi.ledger import documents
from qianzhi.runtime import clock
from qianzhi.runtime.papers import PAPER_BYTES_MAX, PARTS_BYTES_MAX, Objection
from qianzhi.specs.paperwork import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from qianzhi.console.notices import Tone
    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.documents.checklist import Line
    from qianzhi.gateway.documents.dossier import Dossier, Synced
    from qianzhi.ledger.documents import Version
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings
    from qianzhi.specs.model import Text

    Settled = Callable[[Version], Awaitable[None]]

FILES_MAX: Final = 20
VERSIONS_SHOWN_MAX: Final = 8
_SUFFIXES: Final = {
    Kind.PDF: (".pdf",),
    Kind.PNG: (".png",),
    Kind.JPEG: (".jpg", ".jpeg"),
    Kind.DOCX: (".docx",),
    Kind.XLSX: (".xlsx",),
}
_TONES: Final[dict[State, Tone]] = {
    State.MISSING: "warn",
    State.PRESENT: "accent",
    State.SUBMITTED: "accent",
    State.REVIEWED: "good",
    State.RETURNED: "bad",
    State.EXPIRED: "bad",
}


def page(home: Home, settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        found = dossiers(home, settings)
        if not found:
            notices.empty(_("没有需要提交文档的上报目标。"), _("先设置上报目标。"))
        for name, dossier in found.items():
            if len(found) > 1:
                text(name, "h2")
            await _Checklist(visit, dossier).show()

    return Page("/documents", mark("文档上传"), show, mark("资料与文档"), "fact_check")


class _Checklist:
    def __init__(self, visit: Visit, dossier: Dossier) -> None:
        self._visit = visit
        self._dossier = dossier
        self._may_bring = visit.role in WITH_PATIENTS

    async def show(self) -> None:
        self._reminders = element("div", "halves")
        columns = [
            Column("title", _("文档名称"), "long"),
            Column("state", _("审核状态"), "tag"),
            Column("dated", _("文档日期")),
            Column("expires", _("有效期至"), "tag"),
            Column("said", _("退回原因或说明"), "long"),
        ]
        self._table = Table(
            self._visit, columns, self._fetch, opened=self._open, tools=self._tools if self._may_bring else None
        )
        await self._load()

    async def _load(self) -> None:
        await self._table.load()
        lines = urgent(await self._visit.work(self._dossier.lines, _today()))
        loud = [line for line in lines if line.state is State.RETURNED or line.reminder_days is not None]
        self._reminders.clear()
        self._reminders.set_visibility(bool(loud))
        with self._reminders:
            for line in loud:
                self._remind(line)

    def _remind(self, line: Line) -> None:
        title = self._words(line.document.title)
        if line.state is State.RETURNED and line.version is not None:
            notices.notice(_("{title} 已退回").format(title=title), told(line.version.reason), tone="bad")
        elif line.state is State.EXPIRED:
            notices.notice(_("{title} 已过期").format(title=title), _("请上传本年度的文件。"), tone="bad")
        else:
            said = _("{title} 将在 {days} 天后到期").format(title=title, days=line.days_left)
            notices.notice(said, _("请准备并上传新一年度的文件。"), tone="warn")

    def _tools(self) -> None:
        ui.button(_("立即提交并查询"), icon="sync", on_click=self._visit.handler(self._sync)).props(
            "unelevated no-caps dense"
        )

    async def _sync(self) -> None:
        done: Synced = await self._visit.work(self._dossier.sync, clock.now())
        await self._load()
        said = _("已提交 {submitted} 个，{changed} 个有新的审核结果。")
        notices.done(said.format(submitted=done.submitted_count, changed=done.changed_count))

    def _fetch(self, session: Session, query: Query) -> Slice:
        held = documents.versions(session, self._dossier.destination)
        lines = checklist(self._dossier.paperwork, held, _today())
        rows = [self._row(line) for line in lines]
        return sliced(rows, query)

    def _row(self, line: Line) -> dict[str, object]:
        document, version = line.document, line.version
        optional = "" if document.required else _("（选交）")
        note = self._words(document.note) if document.note else ""
        return {
            "key": document.key,
            "title": f"{self._words(document.title)}{optional}",
            "state": Tagged(
                self._words(STATES[line.state]),
                "plain" if line.state is State.MISSING and not document.required else _TONES[line.state],
            ),
            "dated": version.dated_on if version else None,
            "expires": self._expiry(line),
            "said": told(version.reason if version else "") or note,
        }

    def _expiry(self, line: Line) -> Tagged | str:
        if line.expires_on is None:
            return Tagged(_("长期"), "plain") if line.version else ""
        tone: Tone = "good"
        if line.reminder_days is not None:
            tone = "bad" if line.reminder_days <= 7 else "warn"  # noqa: PLR2004 - the last of the reminders
        return Tagged(line.expires_on.isoformat(), tone)

    async def _open(self, row: Mapping[str, object]) -> None:
        line = next(
            each for each in await self._visit.work(self._dossier.lines, _today()) if each.document.key == row["key"]
        )
        held = await self._visit.work(self._dossier.versions, line.document.key)
        with dialog(self._words(line.document.title)) as asked:
            pairs = {
                _("审核状态"): self._words(STATES[line.state]),
                _("可接受的文件"): _("、").join(kind.value.upper() for kind in line.document.accepts),
            }
            if line.document.parts:
                pairs[_("须合并的文件")] = "；".join(line.document.parts)
            facts(pairs)
            if line.state is State.RETURNED and line.version is not None:
                notices.notice(_("退回原因"), told(line.version.reason), tone="bad")
            if self._may_bring:
                _Bringing(self._visit, self._dossier, line, self._brought(asked.close)).draw()
            self._draw_versions(held)
            with element("div", "actions"):
                ui.button(_("关闭"), on_click=asked.close).props("flat no-caps")
        asked.open()

    def _brought(self, close: Callable[[], None]) -> Settled:
        async def settled(version: Version) -> None:
            close()
            await self._load()
            notices.done(_("已保存 {name}，共 {pages} 页。").format(name=version.file_name, pages=version.page_count))
            await self._submit()

        return settled

    async def _submit(self) -> None:
        """Hand in at once what was brought; where the hub is away, the worker does it later."""
        try:
            await self._visit.work(self._dossier.sync, clock.now())
        except QianzhiError:
            ui.notify(_("监管平台暂时无法连接，稍后自动提交。"), type="warning", position="top")
        await self._load()

    def _draw_versions(self, held: list[Version]) -> None:
        if not held:
            return
        text(_("历次版本"), "h2")
        for version in held[:VERSIONS_SHOWN_MAX]:
            with element("div", "actions"):
                step = self._words(STATES[State(version.step) if version.step else State.PRESENT])
                text(f"{version.dated_on} · {step}", classes="soft")
                ui.button(
                    version.file_name, icon="download", on_click=self._visit.handler(partial(self._save, version))
                ).props("flat no-caps dense")

    async def _save(self, version: Version) -> None:
        content = await self._visit.work(self._dossier.content, version)
        downloads.offer(self._visit, version.file_name, content, version.media_type)

    def _words(self, words: Text) -> str:
        return words.said(self._visit.language)


class _Bringing:
    """Files that somebody brings for one document, until they are saved as one version."""

    def __init__(self, visit: Visit, dossier: Dossier, line: Line, settled: Settled) -> None:
        self._visit = visit
        self._dossier = dossier
        self._document = line.document
        self._settled = settled
        self._files: list[tuple[str, bytes]] = []

    def draw(self) -> None:
        accepts = self._document.accepts
        may_merge = Kind.PDF in accepts
        suffixes = [suffix for kind in accepts for suffix in _SUFFIXES[kind]]
        if may_merge:
            suffixes += [suffix for kind in (Kind.PNG, Kind.JPEG) for suffix in _SUFFIXES[kind]]
            text(_("多个扫描件按文件名的顺序合并为一个 PDF。"), "p", "soft")
        self._day = ui.input(_("文档日期"), value=_today().isoformat()).props("dense outlined stack-label type=date")
        self._chooser = upload(
            self._visit,
            _("选择文件"),
            self._take,
            accept=",".join(dict.fromkeys(suffixes)),
            bytes_max=PAPER_BYTES_MAX,
            files_max=FILES_MAX if may_merge else 1,
        )
        self._list = ui.label("").classes("soft chosen")
        self._problem = element("div")
        with element("div", "actions"):
            ui.button(_("保存并提交"), on_click=self._visit.handler(self._save)).props("unelevated no-caps")
            ui.button(_("重新选择"), on_click=self._visit.handler(self._forget)).props("flat no-caps")

    def _take(self, name: str, content: bytes) -> None:
        if sum(len(held) for _name, held in self._files) + len(content) > PARTS_BYTES_MAX:
            raise SenderError(_("所选文件合计过大。"), remedy=_("降低扫描分辨率后重新选择。"))
        self._files.append((name, content))
        self._files.sort(key=lambda held: held[0])  # they come as the network brings them
        self._list.set_text("；".join(held for held, _content in self._files))

    def _forget(self) -> None:
        self._files.clear()
        self._list.set_text("")
        self._problem.clear()
        self._chooser.reset()

    async def _save(self) -> None:
        self._problem.clear()
        if not self._files:
            raise SenderError(_("还没有选择文件。"), remedy=_("先选择文件。"))
        try:
            dated_on = date.fromisoformat(str(self._day.value))
        except ValueError:
            raise SenderError(_("文档日期不正确。"), remedy=_("填写文件上的日期。")) from None
        brought = Upload(self._files[0][0], b"", dated_on, self._visit.live.who.actor)
        contents = [content for _name, content in self._files]
        kept = await self._visit.work(self._dossier.bring, self._document.key, contents, brought, clock.now())
        self._forget()
        if not isinstance(kept, Objection):
            await self._settled(kept)
            return
        language = self._visit.language.value
        with self._problem:
            what = f"{kept.code} {kept.what.said(language)}"
            notices.notice(what, kept.remedy.said(language), tone="bad")


def _today() -> date:
    return clock.local_now().date()
