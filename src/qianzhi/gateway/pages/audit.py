"""The audit: who looked at patients' data, who signed in, who changed what."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from qianzhi.console.pages import Page
from qianzhi.console.roles import ADMINISTRATORS
from qianzhi.console.tables import Column, Filter, Query, Slice, Table, as_text, tagged
from qianzhi.console.text import _, mark
from qianzhi.gateway.views.choice import instants
from qianzhi.ledger import audit
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qianzhi.console.notices import Tone
    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.ledger.audit import Entry

PATH: Final = "/audit"
DETAIL_CHARACTERS_MAX: Final = 300
KINDS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "looks": (
        mark("查看与导出"),
        ("console:page:%", "resources:records:downloaded", "gateway:archive:%", "documents:secrets:%"),
    ),
    "sessions": (mark("登录与退出"), ("console:session:%",)),
    "changes": (
        mark("更改"),
        (
            "console:account:%",
            "console:part:%",
            "database:%",
            "resources:records:saved",
            "gateway:results:%",
            "gateway:rows:%",
        ),
    ),
    "checks": (mark("截止前校验"), ("check:%",)),
}
_TOLD_ELSEWHERE: Final = frozenset({"count", "filters", "destination", "checked_at"})
EVENTS: Final[Mapping[str, tuple[str, Tone]]] = {
    "console:page:viewed": (mark("查看"), "plain"),
    "console:page:exported": (mark("导出"), "warn"),
    "resources:records:downloaded": (mark("导出"), "warn"),
    "gateway:archive:restored": (mark("提取归档"), "warn"),
    "documents:secrets:printed": (mark("打印数据库密码"), "warn"),
    "console:session:opened": (mark("登录"), "good"),
    "console:session:refused": (mark("登录被拒"), "bad"),
    "console:session:ended": (mark("退出登录"), "plain"),
    "console:account:added": (mark("新增账号"), "accent"),
    "console:account:password": (mark("修改密码"), "accent"),
    "console:account:enabled": (mark("启用账号"), "accent"),
    "console:account:disabled": (mark("停用账号"), "accent"),
    "console:account:role": (mark("修改角色"), "accent"),
    "console:part:restarted": (mark("重启"), "accent"),
    "database:whitelist:changed": (mark("修改白名单"), "accent"),
    "resources:records:saved": (mark("保存记录"), "accent"),
    "gateway:results:imported": (mark("导入官方结果"), "accent"),
    "gateway:rows:reconciled": (mark("核对官方表"), "accent"),
    "gateway:rows:missed": (mark("官方表缺记录"), "warn"),
    "check:reminder:raised": (mark("有错误"), "bad"),
    "check:reminder:clear": (mark("无错误"), "good"),
}


def page(titles: Mapping[str, str]) -> Page:
    """Return the page; `titles` say what the pages are called that somebody may have looked at (path to title)."""

    async def show(visit: Visit) -> None:
        def fetch(session: Session, query: Query) -> Slice:
            found, count = audit.chosen(session, _choice(query.filters), offset=query.offset, limit=query.size)
            note = _("只能翻看最近的 {count} 条，请用筛选缩小范围。").format(count=audit.COUNTED_MAX)
            rows = [_row(each, titles) for each in found]
            return Slice(rows, count, note=note if count >= audit.COUNTED_MAX else "")

        filters = [
            Filter("kind", _("类别"), {key: _(word) for key, (word, _patterns) in KINDS.items()}),
            Filter("actor", _("账号")),
            Filter("since_on", _("起始日期"), kind="date"),
            Filter("until_on", _("截止日期"), kind="date"),
        ]
        await Table(visit, _columns(), fetch, filters=filters).load()

    return Page(PATH, mark("审计"), show, mark("系统"), "policy", ADMINISTRATORS)


def _choice(filters: Mapping[str, str]) -> audit.Choice:
    days: dict[str, date] = {}
    for name in ("since_on", "until_on"):
        with suppress(ValueError):
            days[name] = date.fromisoformat(filters.get(name, ""))
    since, until = instants(days.get("since_on"), days.get("until_on"), clock.LOCAL)
    kind = KINDS.get(filters.get("kind", ""))
    return audit.Choice(kind[1] if kind else None, filters.get("actor", ""), since, until)


def _columns() -> list[Column]:
    return [
        Column("at", _("时间")),
        Column("actor", _("账号"), "code"),
        Column("event", _("事件"), "tag"),
        Column("subject", _("对象"), "long"),
        Column("detail", _("说明"), "long"),
    ]


def _row(each: Entry, titles: Mapping[str, str]) -> dict[str, object]:
    return {
        "at": as_text(each.happened_at),
        "actor": each.actor.removeprefix("console:").removeprefix("database:"),
        "event": tagged(EVENTS, each.event),
        "subject": _(titles[each.subject]) if each.subject in titles else each.subject,
        "detail": _said(each.detail)[:DETAIL_CHARACTERS_MAX],
    }


def _said(detail: Mapping[str, Any]) -> str:
    """Return what an entry says besides: how many rows first, then by what they were chosen, and whatever else."""
    parts = [_("{count} 条").format(count=f"{detail['count']:,}")] if isinstance(detail.get("count"), int) else []
    parts += [str(detail["filters"])] if detail.get("filters") else []
    rest = {name: _plain(value) for name, value in detail.items() if name not in _TOLD_ELSEWHERE}
    return " · ".join([*parts, *(f"{name}={value}" for name, value in rest.items() if value)])


def _plain(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
