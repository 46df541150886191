"""The service log: what the parts of the gateway said, the newest first."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from qianzhi.console.pages import Page
from qianzhi.console.tables import Column, Filter, Query, Slice, Table, Words, as_text, tagged
from qianzhi.console.text import _, mark
from qianzhi.gateway.pages.services import part
from qianzhi.gateway.views import journal
from qianzhi.gateway.views.journal import Wanted
from qianzhi.runtime import clock
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.views.journal import Line
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

PATH: Final = "/log"
DETAIL_CHARACTERS_MAX: Final = 600
_LEVELS: Final[Words] = {
    "debug": (mark("调试"), "plain"),
    "info": (mark("信息"), "plain"),
    "warning": (mark("警告"), "warn"),
    "error": (mark("错误"), "bad"),
    "critical": (mark("严重"), "bad"),
}


def page(home: Home, _settings: Settings) -> Page:
    """Return the page; logs hold no value of a record, so every role may see them."""
    folder = home.end(End.GATEWAY).log

    async def show(visit: Visit) -> None:
        def fetch(_session: Session, query: Query) -> Slice:
            return _read(folder, query)

        levels = {key: _(word) for key, (word, _tone) in _LEVELS.items() if key not in {"debug", "critical"}}
        filters = [
            Filter("part", _("部件"), {name: part(name) for name in journal.parts(folder)}),
            Filter("level", _("最低级别"), levels),
            Filter("on", _("日期"), kind="date"),
            Filter("text", _("包含")),
        ]
        await Table(visit, _columns(), fetch, filters=filters, empty=_("没有日志。")).load()

    return Page(PATH, mark("服务日志"), show, mark("系统"), "receipt_long")


def _read(folder: Path, query: Query) -> Slice:
    until = query.offset + query.size
    found = journal.read(folder, _wanted(query.filters), limit=min(until + 1, journal.LINES_MAX))
    rows = [_row(each) for each in found.lines[query.offset : until]]
    note = _("只能翻看最近的 {count} 条，请用筛选缩小范围。").format(count=journal.LINES_MAX)
    return Slice(rows, len(found.lines), note=note if until >= journal.LINES_MAX and found.is_bounded else "")


def _wanted(filters: Mapping[str, str]) -> Wanted:
    since = None
    with suppress(ValueError):
        since = datetime.fromisoformat(filters.get("on", "")).replace(tzinfo=clock.LOCAL)
    return Wanted(
        parts=frozenset({filters["part"]} if "part" in filters else ()),
        level=filters.get("level", "debug"),
        since=since,
        until=since + timedelta(days=1) if since is not None else None,
        text=filters.get("text", ""),
    )


def _columns() -> list[Column]:
    return [
        Column("at", _("时间")),
        Column("level", _("级别"), "tag"),
        Column("part", _("部件")),
        Column("event", _("事件"), "code"),
        Column("detail", _("说明"), "long"),
    ]


def _row(line: Line) -> dict[str, object]:
    told = {key: value for key, value in line.details.items() if key != "frames" and value is not None}
    said = "  ".join(f"{key}={_plain(value)}" for key, value in told.items())
    return {
        "at": as_text(line.at),
        "level": tagged(_LEVELS, line.level),
        "part": part(line.part),
        "event": line.event,
        "detail": said[:DETAIL_CHARACTERS_MAX],
    }


def _plain(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
