"""The page on which whoever is signed in changes the password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.console import notices
from qianzhi.console.forms import Form, Input
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.passwords import CHARACTERS_MAX, CHARACTERS_MIN
from qianzhi.console.text import _, mark

if TYPE_CHECKING:
    from qianzhi.console.entrance import Entrance
    from qianzhi.console.visit import Visit


def page(entrance: Entrance) -> Page:
    """Return the page; it is reached from the account's menu."""

    def show(visit: Visit) -> None:
        async def save(values: dict[str, str]) -> dict[str, str]:
            if values["wanted"] != values["again"]:
                return {"again": _("两次输入的密码不一致")}
            await visit.work(entrance.change_password, visit.live, values["present"], values["wanted"])
            form.fill(dict.fromkeys(values, ""))
            notices.done(_("密码已修改，其他设备上的登录已全部退出。"))
            return {}

        if visit.live.who.is_database:
            notices.notice(
                _("这是数据库账号 {name} 的密码。").format(name=visit.live.who.account),
                _("修改后，业务系统连接中间库所用的密码也随之改变，请同时修改各业务系统的配置。"),
                tone="warn",
            )
        with element("section", "card"):
            text(
                _("新密码为 {least} 至 {most} 个字符，须含大写字母、小写字母、数字和符号中的三种。").format(
                    least=CHARACTERS_MIN, most=CHARACTERS_MAX
                ),
                "p",
                "soft",
            )
            form = Form(visit, _inputs(), save, button=_("修改密码"), narrow=True)

    return Page("/password", mark("修改密码"), show)


def _inputs() -> list[Input]:
    bound = CHARACTERS_MAX
    return [
        Input(
            "present",
            _("当前密码"),
            "password",
            is_required=True,
            characters_max=bound,
            autocomplete="current-password",
        ),
        Input("wanted", _("新密码"), "password", is_required=True, characters_max=bound, autocomplete="new-password"),
        Input(
            "again",
            _("再次输入新密码"),
            "password",
            is_required=True,
            characters_max=bound,
            autocomplete="new-password",
        ),
    ]
