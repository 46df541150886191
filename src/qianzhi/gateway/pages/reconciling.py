"""Rows of official tables that the ledger does not know: somebody looks at them and decides, and deliveries go on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from nicegui import ui

from qianzhi.console import notices, progress
from qianzhi.console.dialogs import dialog
from qianzhi.console.layout import element, text
from qianzhi.console.text import _
from qianzhi.gateway import assembly
from qianzhi.gateway.official.reconciling import reconcile, unknown
from qianzhi.gateway.pages import names
from qianzhi.ledger import tally

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from qianzhi.console.progress import Progress
    from qianzhi.console.visit import Visit
    from qianzhi.gateway.official.door import Machine
    from qianzhi.gateway.official.horizon import Beyond
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings
    from qianzhi.specs.model import Regulator


@dataclass(frozen=True, slots=True)
class _Place:
    dsn: str
    name: str
    machine: Machine
    regulator: Regulator


class Reconciling:
    """What the page of results says of one official machine's tables."""

    def __init__(self, visit: Visit, home: Home, settings: Settings, destination: str) -> None:
        self._visit = visit
        self._settings = settings
        said = settings.gateway.destinations[destination]
        chosen = assembly.destination(home, settings, destination)
        self._place = _Place(
            assembly.owner_dsn(home, settings), destination, assembly.front_machine(said), chosen.regulator
        )

    async def show(self) -> None:
        """Tell what waits, and offer to look."""
        waiting = await self._visit.ask(tally.troubles, self._place.name)
        if waiting:
            what = _("{count} 个批次未能送达 {name}。").format(count=len(waiting), name=self._place.name)
            remedy = _("原因见上传日志和体检。若官方表中有本机台账不知道的记录，请先核对。")
            notices.notice(what, remedy, tone="warn")
        with element("div", "actions"):
            ui.button(_("核对官方表"), on_click=self._visit.handler(self._look)).props("outline no-caps")

    async def _look(self) -> None:
        found = await progress.run(self._visit, _("正在核对官方表"), partial(_unknown, self._place))
        if found is None:
            return
        if not found:
            notices.done(_("官方表中的记录都在本机台账中，或已核对。"))
            return
        with dialog(_("官方表中有本机台账不知道的记录")) as asked:
            for each in found:
                title = names.dataset(self._settings, each.dataset)
                told = _("{dataset}：{count} 条（ID {first} 至 {last}）")
                count = f"{each.row_count:,}"
                text(told.format(dataset=title, count=count, first=each.first, last=each.last), "p")
            text(
                _(
                    "若本机刚从较早的备份恢复，请先让业务系统补写备份之后的记录，再选“可能是本机写入的”："
                    "已在官方表中的记为已送达，其余照常送达。"
                ),
                "p",
                "soft",
            )
            with element("div", "actions"):
                for title, may_be_ours in ((_("可能是本机写入的"), True), (_("都不是本机写入的"), False)):
                    act = self._deciding(asked.close, may_be_ours=may_be_ours)
                    ui.button(title, on_click=self._visit.handler(act)).props("unelevated no-caps")
                ui.button(_("取消"), on_click=asked.close).props("flat no-caps")
        asked.open()

    def _deciding(self, close: Callable[[], None], *, may_be_ours: bool) -> Callable[[], Awaitable[None]]:
        do = partial(_reconciled, self._place, may_be_ours=may_be_ours, actor=self._visit.live.who.actor)

        async def decide() -> None:
            close()
            if await progress.run(self._visit, _("正在记录决定"), do) is not None:
                notices.done(_("已记录，下次尝试时继续送达。"))

        return decide


def _unknown(place: _Place, _progress: Progress) -> Sequence[Beyond]:
    return list(unknown(place.dsn, place.name, place.machine, place.regulator))


def _reconciled(place: _Place, _progress: Progress, *, may_be_ours: bool, actor: str) -> Sequence[Beyond]:
    return list(reconcile(place.dsn, place.name, place.machine, place.regulator, may_be_ours=may_be_ours, actor=actor))
