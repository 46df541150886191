"""The white-list: which networks may reach the staging tables."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qianzhi.console import notices
from qianzhi.console.dialogs import confirm
from qianzhi.console.forms import Form, Input
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.roles import ADMINISTRATORS
from qianzhi.console.tables import Column, Query, Slice, Table, sliced
from qianzhi.console.text import _, mark, told
from qianzhi.errors import ConfigurationError
from qianzhi.gateway import whitelist
from qianzhi.runtime.sources import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.whitelist import Changed
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

NETWORK_CHARACTERS_MAX = 60


def page(home: Home, _settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        await _List(visit, home).show()

    return Page("/whitelist", mark("白名单"), show, mark("系统"), "shield", ADMINISTRATORS)


class _List:
    def __init__(self, visit: Visit, home: Home) -> None:
        self._visit, self._home = visit, home

    async def show(self) -> None:
        settings = load_settings(self._home)
        if settings.gateway.database.dsn is not None:
            notices.notice(
                _("数据库由本单位自行管理，白名单在数据库服务器的 pg_hba.conf 中维护。"),
                "\n".join(whitelist.rules(settings)),
            )
            return
        text(_("只有这些网段可以用数据库账号写入中间表；本机始终可以。改动立即生效，不需要重启。"), "p", "soft")
        self._table = Table(
            self._visit,
            [Column("network", _("网段"), "code")],
            self._fetch,
            empty=_("白名单为空。"),
            hint=_("现在只有本机可以写入。"),
            opened=self._open,
        )
        await self._table.load()
        hint = _("如 192.0.2.0/24，单台机器如 192.0.2.7")
        field = Input("network", _("网段"), hint=hint, is_required=True, characters_max=NETWORK_CHARACTERS_MAX)
        with element("section", "card"):
            text(_("允许一个网段"), "h2")
            self._form = Form(self._visit, [field], self._add, button=_("允许"), narrow=True)

    def _fetch(self, _session: Session, query: Query) -> Slice:
        networks = load_settings(self._home).gateway.whitelist
        rows = [{"network": network} for network in networks]
        return sliced(rows, query)

    async def _add(self, values: dict[str, str]) -> dict[str, str]:
        try:
            whitelist.normal(values["network"])
        except ConfigurationError as error:
            return {"network": f"{told(error.what)} {told(error.remedy)}"}
        await self._change(whitelist.add, values["network"])
        self._form.fill({"network": ""})
        return {}

    def _open(self, row: Mapping[str, object]) -> None:
        network = str(row["network"])
        what = _("来自 {network} 的现有连接会立即断开。").format(network=network)
        confirm(self._visit, _("移出白名单"), what, partial(self._change, whitelist.remove, network), _("移出"))

    async def _change(self, change: Callable[..., Changed], network: str) -> None:
        changed = await self._visit.work(change, self._home, network, actor=self._visit.live.who.actor)
        await self._table.load()
        notices.done(_("已生效，断开 {count} 个连接。").format(count=changed.ended_count))
