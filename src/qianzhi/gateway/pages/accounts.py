"""Who may use the console: named accounts with their roles."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from nicegui import ui

from qianzhi.console import accounts, notices
from qianzhi.console.dialogs import dialog
from qianzhi.console.forms import Form, Input
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.roles import ADMINISTRATORS, Role
from qianzhi.console.tables import Column, Query, Slice, Table, Tagged, as_text, sliced
from qianzhi.console.text import _, mark
from qianzhi.gateway import assembly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

PASSWORD_BYTES = 12


def page(_home: Home, settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        await _Accounts(visit, settings).show()

    return Page("/accounts", mark("账号管理"), show, mark("系统"), "group", ADMINISTRATORS)


class _Accounts:
    def __init__(self, visit: Visit, settings: Settings) -> None:
        self._visit = visit
        self._taken = {*assembly.roles(settings), assembly.OWNER}

    async def show(self) -> None:
        columns = [
            Column("name", _("账号"), "code"),
            Column("role", _("角色")),
            Column("state", _("状态"), "tag"),
            Column("last", _("上次登录")),
            Column("password", _("密码设置时间")),
        ]
        self._table = Table(
            self._visit,
            columns,
            _fetch,
            empty=_("还没有账号。"),
            hint=_("现在只有数据库账号可以登录。"),
            opened=self._open,
            tools=self._tools,
        )
        await self._table.load()

    def _tools(self) -> None:
        ui.button(_("新增账号"), icon="add", on_click=self._visit.handler(self._add)).props("unelevated no-caps dense")

    def _add(self) -> None:
        async def save(values: dict[str, str]) -> dict[str, str]:
            password = _password()
            await self._visit.ask(
                accounts.add,
                values["name"],
                Role(values["role"]),
                password,
                actor=self._visit.live.who.actor,
                taken=self._taken,
            )
            asked.close()
            await self._table.load()
            _tell_password(values["name"], password)
            return {}

        with dialog(_("新增账号")) as asked:
            hint = _("2 至 32 个小写字母、数字或 . _ -")
            inputs = [
                Input("name", _("账号"), hint=hint, is_required=True, characters_max=32),
                Input("role", _("角色"), options=_roles(), value=Role.OPERATOR.value, is_required=True),
            ]
            Form(self._visit, inputs, save, button=_("新增"), narrow=True)
            with element("div", "actions"):
                ui.button(_("取消"), on_click=asked.close).props("flat no-caps")
        asked.open()

    def _open(self, row: Mapping[str, object]) -> None:
        name, enabled, actor = str(row["name"]), bool(row["enabled"]), self._visit.live.who.actor

        async def reset() -> None:
            password = _password()
            await self._visit.ask(accounts.set_password, name, password, actor=actor)
            await settled()
            _tell_password(name, password)

        async def switch() -> None:
            await self._visit.ask(accounts.set_enabled, name, enabled=not enabled, actor=actor)
            await settled()
            notices.done(_("已保存。"))

        async def change(values: dict[str, str]) -> dict[str, str]:
            await self._visit.ask(accounts.set_role, name, Role(values["role"]), actor=actor)
            await settled()
            notices.done(_("已保存。"))
            return {}

        async def settled() -> None:
            self._visit.desk.sessions.end_of(name)
            asked.close()
            await self._table.load()

        with dialog(name) as asked:
            role = Input("role", _("角色"), options=_roles(), value=str(row["role_key"]))
            Form(self._visit, [role], change, button=_("保存角色"), narrow=True)
            text(_("任何修改都会使该账号立即退出登录。"), "p", "soft")
            with element("div", "actions"):
                ui.button(_("重置密码"), on_click=self._visit.handler(reset)).props("outline no-caps")
                title = _("停用") if enabled else _("启用")
                ui.button(title, on_click=self._visit.handler(switch)).props("outline no-caps")
                ui.button(_("关闭"), on_click=asked.close).props("flat no-caps")
        asked.open()


def _fetch(session: Session, query: Query) -> Slice:
    found = accounts.listed(session)
    rows = [
        {
            "name": each.name,
            "role": _(each.role.label),
            "role_key": each.role.value,
            "enabled": each.enabled,
            "state": Tagged(_("已启用"), "good") if each.enabled else Tagged(_("已停用"), "bad"),
            "last": as_text(each.last_signed_in_at) or _("从未"),
            "password": each.password_set_at,
        }
        for each in found
    ]
    return sliced(rows, query)


def _roles() -> dict[str, str]:
    return {role.value: _(role.label) for role in Role}


def _password() -> str:
    return f"{secrets.token_urlsafe(PASSWORD_BYTES)}-aA1"  # every kind of character is in it


def _tell_password(name: str, password: str) -> None:
    """Show a password once, to be handed over."""
    with dialog(_("账号 {name} 的初始密码").format(name=name), stays=True) as told:
        text(password, "p", "code")
        text(_("密码只显示这一次，请转交本人并提醒其登录后修改。"), "p", "soft")
        ui.button(_("知道了"), on_click=told.close).props("unelevated no-caps")
    told.open()
