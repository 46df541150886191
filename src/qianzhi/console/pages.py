"""Pages as data, and how each is served: to whom it is meant, in the visitor's language, with errors told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Final

import structlog
from nicegui import ui

from qianzhi.console import layout, notices
from qianzhi.console.base import safe_path
from qianzhi.console.calls import finished
from qianzhi.console.guard import LIVE
from qianzhi.console.roles import EVERYBODY, Role
from qianzhi.console.signin import chosen_language, is_dark
from qianzhi.console.text import Language, _, mark, speak
from qianzhi.console.visit import Desk, Visit
from qianzhi.errors import QianzhiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from qianzhi.console.sessions import Live

RESPONSE_SECONDS_MAX: Final = 20.0
QUERY_ITEMS_MAX: Final = 20
QUERY_CHARACTERS_MAX: Final = 200

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class Page:
    """
    A page of the console; `title` and `section` are texts marked for translation.

    `show` builds it below its heading. What a page without a `section` shows is reached by links, not by the
    navigation. `shows_patients` closes a page to roles that see none, and has every table on it audited.
    """

    path: str
    title: str
    show: Callable[[Visit], Awaitable[None] | None]
    section: str = ""
    icon: str = "article"
    roles: frozenset[Role] = EVERYBODY
    shows_patients: bool = False

    def is_open_to(self, role: Role) -> bool:
        """Tell whether a role may see it."""
        return role in self.roles and (role.sees_patients or not self.shows_patients)


@dataclass(frozen=True, slots=True)
class Site:
    """What a console is made of: its name (marked for translation), whose it is, and its pages in order."""

    title: str
    institution: str
    pages: tuple[Page, ...]


def register(site: Site, desk: Desk) -> None:
    """Serve the pages; once in a process."""
    for page in site.pages:
        ui.page(page.path, response_timeout=RESPONSE_SECONDS_MAX)(_served(site, page, desk))
    nowhere = Page("/{path:path}", mark("没有此页面"), _lead_back)
    ui.page(nowhere.path)(_served(site, nowhere, desk, status=404))


def _lead_back(visit: Visit) -> None:
    notices.notice(_("没有此页面。"), _("请从左侧导航重新选择。"), link=visit.link("/"), link_title=_("返回首页"))


def _served(site: Site, page: Page, desk: Desk, status: int = 200) -> Callable[[], Awaitable[None]]:
    async def serve() -> None:
        client = ui.context.client
        request = client.request
        live: Live = request.scope[LIVE]
        visit = Visit(desk, live, page, chosen_language(request), is_dark(request), _query(request), _here(request))
        speak(visit.language)
        client.page = _dressed(page.path, visit.language, dark=visit.is_dark)
        client.title = f"{_(page.title)} · {_(site.title)}"
        client.status_code = status
        with layout.frame(site, visit):
            if not page.is_open_to(visit.role):
                client.status_code = 403
                notices.closed()
                return
            await _show(page, visit)

    return serve


async def _show(page: Page, visit: Visit) -> None:
    try:
        await finished(page.show(visit))
    except QianzhiError as error:
        notices.problem(error)
    except Exception:
        log.exception("console:page:failed", route=page.path)
        notices.unexpected()


def _query(request: Request) -> dict[str, str]:
    items = islice(request.query_params.items(), QUERY_ITEMS_MAX)
    return {key[:QUERY_CHARACTERS_MAX]: value[:QUERY_CHARACTERS_MAX] for key, value in items}


def _here(request: Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return safe_path(request.url.path + query) or "/"


@cache
def _dressed(path: str, language: Language, *, dark: bool) -> ui.page:
    """Return the page as the toolkit knows it, in a language and theme: what its text is made from."""
    return ui.page(path, language=language.tag, dark=dark, response_timeout=RESPONSE_SECONDS_MAX)  # type: ignore[arg-type]  # a tag it knows
