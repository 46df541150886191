"""Held records: which wait, for which record, and where that one is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.console.layout import text
from qianzhi.console.pages import Page
from qianzhi.console.roles import WITH_PATIENTS
from qianzhi.console.tables import Column, Filter, Linked, Query, Slice, Table, minute
from qianzhi.console.text import _, mark
from qianzhi.gateway.pages import names
from qianzhi.gateway.pages.record import address
from qianzhi.gateway.views import held

if TYPE_CHECKING:
    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.views.held import Held
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

PATH: Final = "/held"


def page(_home: Home, settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        def fetch(session: Session, query: Query) -> Slice:
            said = query.filters
            found = held.page(
                session,
                dataset=said.get("dataset"),
                wanted=said.get("wanted"),
                text=said.get("text", ""),
                offset=query.offset,
                limit=query.size,
            )
            return Slice([_row(settings, each) for each in found.rows], found.total_count)

        text(
            _("这些记录所引用的记录尚未被接收：补上或更正那一条即可，它被接收后这里的记录自动上传，不必重新写入。"),
            "p",
            "soft",
        )
        filters = [
            Filter("dataset", _("数据集"), names.datasets(settings)),
            Filter("wanted", _("等待的数据集"), names.datasets(settings)),
            Filter("text", _("等待的主键或记录号"), is_personal=True),
        ]
        table = Table(
            visit,
            _columns(),
            fetch,
            filters=filters,
            empty=_("没有待补记录。"),
            hint=_("下级记录先于上级记录写入时会在此等待，上级被接收后自动上传。"),
        )
        await table.load()

    return Page(PATH, mark("待补记录"), show, mark("上报"), "hourglass_empty", WITH_PATIENTS, shows_patients=True)


def _columns() -> list[Column]:
    return [
        Column("dataset", _("数据集")),
        Column("row", _("记录号"), "link"),
        Column("field", _("数据元"), "code"),
        Column("value", _("原值"), "value"),
        Column("wanted", _("等待的记录"), "long"),
        Column("state", _("该记录的状态"), "tag"),
        Column("wanted_row", _("该记录号"), "link"),
        Column("held", _("待补自"), "instant"),
    ]


def _row(settings: Settings, each: Held) -> dict[str, object]:
    wanted = each.wanted
    key = ", ".join(f"{name}={value}" for name, value in wanted.key.items()) or each.wants
    path = address(each.destination, wanted.dataset, wanted.row_id) if wanted.row_id is not None else ""
    return {
        "dataset": names.dataset(settings, each.dataset),
        "row": Linked(str(each.row_id), address(each.destination, each.dataset, each.row_id)),
        "field": each.field,
        "value": each.value,
        "wanted": f"{names.dataset(settings, wanted.dataset)} {key}",
        "state": names.state(wanted.state),
        "wanted_row": Linked(str(wanted.row_id), path) if path else "",
        "held": minute(each.held_at),
    }
