"""The parts of the gateway: what each does, and starting them anew."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from nicegui import ui

from qianzhi.console import notices
from qianzhi.console.dialogs import confirm
from qianzhi.console.layout import text
from qianzhi.console.pages import Page
from qianzhi.console.roles import ADMINISTRATORS
from qianzhi.console.tables import Column, Query, Slice, Table, Words, as_text, sliced, tagged
from qianzhi.console.text import _, mark, told
from qianzhi.runtime.home import End
from qianzhi.runtime.lives import Phase
from qianzhi.runtime.requests import EVERYTHING
from qianzhi.runtime.sources import load_settings
from qianzhi.runtime.supervisor import ask, read_states

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

LOOK_SECONDS: Final = 3.0
RESTARTED: Final = "console:part:restarted"
TITLES: Final = {
    "postgresql": mark("数据库服务"),
    "worker": mark("上传服务"),
    "health": mark("健康检查"),
    "console": mark("控制台"),
    "evidence": mark("调阅服务"),
    "gateway": mark("前置机"),  # the supervisor of the others
    "command": mark("命令行"),  # writes into the log, and runs for as long as it takes
}
PHASES: Final[Words] = {
    Phase.UP: (mark("运行中"), "good"),
    Phase.STARTING: (mark("正在启动"), "accent"),
    Phase.DOWN: (mark("等待重启"), "bad"),
    Phase.STOPPED: (mark("已停止"), "plain"),
}


def page(home: Home, _settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        await _Services(visit, home).show()

    return Page("/services", mark("服务"), show, mark("系统"), "settings_power", ADMINISTRATORS)


def part(name: str) -> str:
    """Return what people call a part."""
    return _(TITLES[name]) if name in TITLES else name


class _Services:
    def __init__(self, visit: Visit, home: Home) -> None:
        self._visit, self._home = visit, home

    async def show(self) -> None:
        text(_("点击一个部件可以重启它；依赖它的部件一起重启。全部重启会重新读取设置。"), "p", "soft")
        columns = [
            Column("title", _("部件")),
            Column("state", _("状态"), "tag"),
            Column("changed", _("状态时间")),
            Column("failures", _("连续失败"), "number"),
            Column("pid", _("进程号"), "code"),
            Column("last", _("上次结束"), "code"),
        ]
        self._table = Table(
            self._visit,
            columns,
            self._fetch,
            empty=_("没有监护进程在运行。"),
            hint=_("用 qianzhi gateway run 或系统服务启动。"),
            opened=self._open,
            tools=self._tools,
        )
        await self._table.load()
        ui.timer(LOOK_SECONDS, self._visit.handler(self._table.load))

    def _tools(self) -> None:
        button = ui.button(_("全部重启"), icon="restart_alt", on_click=self._visit.handler(self._everything))
        button.props("outline dense")

    def _fetch(self, _session: Session, query: Query) -> Slice:
        rows = [
            {
                "name": each.name,
                "title": part(each.name),
                "state": tagged(PHASES, each.phase),
                "changed": as_text(each.changed_at),
                "failures": each.failures,
                "pid": str(each.pid or ""),
                "last": told(each.last_end),
            }
            for each in read_states(self._home.end(End.GATEWAY).run)
        ]
        return sliced(rows, query)

    def _open(self, row: Mapping[str, object]) -> None:
        what = _("重启 {part}？进行中的工作会先完成或稍后重做，不会丢失数据。").format(part=row["title"])
        self._confirm(what, str(row["name"]))

    def _everything(self) -> None:
        self._confirm(_("重启全部部件？控制台会中断几秒，需要重新登录。"), EVERYTHING)

    def _confirm(self, what: str, part: str) -> None:
        confirm(self._visit, _("重启"), what, partial(self._restart, part), _("重启"))

    async def _restart(self, part: str) -> None:
        await self._visit.ask(_noted, self._visit, self._home, part)
        notices.done(_("已请求重启。"))


def _noted(session: Session, visit: Visit, home: Home, part: str) -> None:
    """Ask for the restart once it is on record who did; refused while the settings are wrong."""
    load_settings(home)
    visit.note(session, RESTARTED, part)
    session.commit()
    ask(home.end(End.GATEWAY).run, part)
