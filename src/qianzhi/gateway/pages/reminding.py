"""The reminder as pages show it: what the check ahead of the cut-off found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.console import notices
from qianzhi.console.text import _
from qianzhi.gateway import reminder
from qianzhi.gateway.pages import check, names
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.reminder import Reminder
    from qianzhi.runtime.settings import Settings


async def banner(visit: Visit, settings: Settings) -> None:
    """Draw a notice for each destination whose reminder stands."""
    for found in await visit.ask(_standing, list(settings.gateway.destinations)):
        what = _("{count} 条待传记录有错误，{hour} 截止前更正才能在今晚通过。").format(
            count=f"{found.error_count:,}", hour=f"{found.cut_off:%H:%M}"
        )
        which = _("、").join(f"{names.dataset(settings, name)} {count:,}" for name, count in found.errors.items())
        sees = visit.role.sees_patients
        link = visit.link(check.PATH) if sees else ""
        notices.notice(what, which, tone="warn", link=link, link_title=_("立即校验"))


def _standing(session: Session, destinations: list[str]) -> list[Reminder]:
    now = clock.local_now()
    found = (reminder.standing(session, each, local_now=now) for each in destinations)
    return [each for each in found if each is not None]
