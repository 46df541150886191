"""The frame around every page: navigation, header, heading."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from nicegui import ui

from qianzhi.console import assets
from qianzhi.console.text import Language, _

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nicegui.element import Element

    from qianzhi.console.pages import Site
    from qianzhi.console.visit import Visit


def element(tag: str, classes: str = "", **attributes: str) -> Element:
    """Make a plain element of HTML; attributes are set as they are, never parsed."""
    made = ui.element(tag)
    if classes:
        made.classes(classes)
    for name, value in attributes.items():
        made.props[name.rstrip("_").replace("_", "-")] = value
    return made


def text(content: str, tag: str = "span", classes: str = "", **attributes: str) -> Element:
    """Show a text as text, whatever stands in it."""
    with element(tag, classes, **attributes) as made:
        ui.label(content).classes("inline")
    return made


@contextmanager
def frame(site: Site, visit: Visit) -> Iterator[None]:
    """Draw what surrounds a page; what is made within stands below its heading."""
    ui.add_head_html(f'<link rel="stylesheet" href="{visit.link(assets.address("console.css"))}">')
    with element("div", "frame"):
        _top(site, visit)
        _side(site, visit)
        with element("div", "main"):  # the toolkit draws the element main around everything
            with element("div", "head"):
                text(_(visit.page.title), "h1")
            yield


def _top(site: Site, visit: Visit) -> None:
    with element("header", "top"):
        text("前", classes="mark", aria_hidden="true")
        text(_(site.title), classes="name")
        if site.institution:
            text(site.institution, classes="institution")
        element("span", "gap")
        other = Language.EN if visit.language is Language.ZH else Language.ZH
        _post(visit, "/language", "language", other.value, "English" if other is Language.EN else "中文")
        theme = ("light", _("浅色")) if visit.is_dark else ("dark", _("深色"))
        _post(visit, "/language", "theme", *theme)
        with element("details", "who"):
            text(visit.live.who.account, "summary")
            with element("div", "menu"):
                text(_(visit.role.label), "div", "role")
                text(_("修改密码"), "a", "quiet", href=visit.link("/password"))
                _post(visit, "/sign-out", "everywhere", "0", _("退出登录"))
                _post(visit, "/sign-out", "everywhere", "1", _("在所有设备退出"))


def _post(visit: Visit, path: str, name: str, value: str, title: str) -> None:
    """Draw a button that sends a plain form, so that it works whatever state the page is in."""
    with element("form", method="post", action=visit.link(path)):
        element("input", type="hidden", name="next", value=visit.here)
        text(title, "button", "quiet", type="submit", name=name, value=value)


def _side(site: Site, visit: Visit) -> None:
    with element("aside", "side"), element("nav"):
        section = ""
        for page in site.pages:
            if not page.section or not page.is_open_to(visit.role):
                continue
            if page.section != section:
                section = page.section
                text(_(section), "h2")
            here = {"aria_current": "page"} if page is visit.page else {}
            with element("a", "here" if here else "", href=visit.link(page.path), **here):
                ui.icon(page.icon)
                text(_(page.title))
