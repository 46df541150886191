"""File management: the interface specification, and what the regulator publishes for this institution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from nicegui import ui

from qianzhi import regulators
from qianzhi.console import downloads, notices
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.roles import WITH_PATIENTS
from qianzhi.console.tables import Column, Filter, Query, Slice, Table, Tagged, sliced
from qianzhi.console.text import _, mark
from qianzhi.gateway import assembly
from qianzhi.gateway.documents.opening import dossiers
from qianzhi.ledger import documents
from qianzhi.runtime import clock
from qianzhi.runtime.specbook import workbook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.notices import Tone
    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.documents.dossier import Dossier
    from qianzhi.ledger.documents import Published
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

_KINDS: Final = {"file": mark("规范与文件"), "notice": mark("通知"), "certificate": mark("接入证明")}
_TONES: Final[dict[str, Tone]] = {"file": "plain", "notice": "accent", "certificate": "good"}
_KIB: Final = 1024


def page(home: Home, settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        for key in assembly.served(settings):
            _specification(visit, key)
        found = dossiers(home, settings)
        for name, dossier in found.items():
            if len(found) > 1:
                text(name, "h2")
            await _Files(visit, dossier).show()

    return Page("/files", mark("文件管理"), show, mark("资料与文档"), "folder_open")


def _specification(visit: Visit, key: str) -> None:
    regulator = regulators.regulator(key)

    async def save() -> None:
        content = await visit.work(workbook, regulator)
        downloads.offer(visit, f"{regulator.name.zh}接口规范（{regulator.edition}）.xlsx", content)

    with element("section", "card"):
        text(_("数据采集接口规范"), "h2")
        text(f"{regulator.name.said(visit.language)} · {regulator.edition}", "p", "soft")
        ui.button(_("下载 Excel"), icon="download", on_click=visit.handler(save)).props("unelevated no-caps")


class _Files:
    def __init__(self, visit: Visit, dossier: Dossier) -> None:
        self._visit = visit
        self._dossier = dossier

    async def show(self) -> None:
        columns = [
            Column("title", _("文件标题"), "long"),
            Column("kind", _("文件类别"), "tag"),
            Column("name", _("文件名"), "long"),
            Column("size", _("大小（KB）"), "number"),
            Column("published", _("发布时间")),
            Column("state", _("下载状态")),
        ]
        self._table = Table(
            self._visit,
            columns,
            self._fetch,
            filters=[Filter("kind", _("文件类别"), {kind: _(title) for kind, title in _KINDS.items()})],
            empty=_("监管平台还没有发布文件。"),
            hint=_("通过接入确认后，接入证明也在这里下载。"),
            opened=self._save,
            tools=self._tools if self._visit.role in WITH_PATIENTS else None,
        )
        await self._table.load()

    def _tools(self) -> None:
        ui.button(_("查询新文件"), icon="sync", on_click=self._visit.handler(self._sync)).props(
            "unelevated no-caps dense"
        )

    async def _sync(self) -> None:
        await self._visit.work(self._dossier.sync, clock.now())
        await self._table.load()
        notices.done(_("文件列表已更新。"))

    def _fetch(self, session: Session, query: Query) -> Slice:
        wanted = query.filters.get("kind")
        held = [
            self._row(each)
            for each in documents.publications(session, self._dossier.destination)
            if not wanted or each.kind == wanted
        ]
        return sliced(held, query)

    def _row(self, each: Published) -> dict[str, object]:
        state = _("已下载") if each.fetched_at else _("点击下载")
        return {
            "id": str(each.publication_id),
            "title": each.title,
            "kind": Tagged(_(_KINDS[each.kind]), _TONES[each.kind]),
            "name": each.file_name,
            "size": max(1, each.byte_count // _KIB),
            "published": each.published_at,
            "state": _("已撤回") if each.withdrawn_at else state,
        }

    async def _save(self, row: Mapping[str, object]) -> None:
        published, content = await self._visit.work(self._dossier.fetch, UUID(str(row["id"])), clock.now())
        # What a hub sends is never shown by the browser within the console's origin.
        downloads.offer(self._visit, published.file_name, content, "application/octet-stream")
        await self._table.load()
