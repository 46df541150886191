"""What people are told besides data: what went wrong and what to do, that there is nothing, that it was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nicegui import ui

from qianzhi.console.layout import element, text
from qianzhi.console.text import _, told

if TYPE_CHECKING:
    from qianzhi.errors import QianzhiError

Tone = Literal["plain", "accent", "good", "warn", "bad"]
_ICONS: dict[Tone, str] = {
    "plain": "info",
    "accent": "info",
    "good": "check_circle",
    "warn": "warning",
    "bad": "error",
}


def notice(what: str, remedy: str = "", *, tone: Tone = "accent", link: str = "", link_title: str = "") -> None:
    """Show a sentence with what to do, and where."""
    with element("div", f"notice {tone}", role="status"):
        ui.icon(_ICONS[tone])
        text(what, "div", "what")
        if remedy:
            _with_commands(remedy)
        if link:
            text(link_title, "a", "go", href=link)


def _with_commands(remedy: str) -> None:
    """Show what to do; what stands between backticks is typed as it is."""
    with element("div", "remedy"):
        for at, part in enumerate(remedy.split("`")):
            if part:
                text(part, "code" if at % 2 else "span")


def problem(error: QianzhiError) -> None:
    """Show an error of ours where the page would have been."""
    notice(told(error.what), told(error.remedy), tone="bad")


def unexpected() -> None:
    """Show that something failed which nobody foresaw; what it was stands in the log."""
    notice(_("此页面出错。"), _("请查看服务日志，或运行 qianzhi gateway doctor。"), tone="bad")


def closed() -> None:
    """Show that a page is not for this role."""
    notice(_("您的角色不能查看此页面。"), _("如需查看，请联系管理员调整角色。"), tone="warn")


def empty(what: str, hint: str = "", icon: str = "inbox") -> None:
    """Show that there is nothing, and what that means."""
    with element("div", "empty"):
        ui.icon(icon)
        text(what, "div", "what")
        if hint:
            text(hint, "div")


def tell(error: QianzhiError) -> None:
    """Tell an error in passing, where an action failed."""
    ui.notify(
        f"{told(error.what)} {told(error.remedy)}", type="negative", position="top", timeout=10_000, close_button="✕"
    )


def tell_unexpected() -> None:
    """Tell in passing that an action failed in a way nobody foresaw."""
    ui.notify(_("操作失败，请查看服务日志。"), type="negative", position="top", timeout=10_000, close_button="✕")


def done(what: str) -> None:
    """Tell in passing that an action succeeded."""
    ui.notify(what, type="positive", position="top")
