"""Today at a glance: where the rows are, how the last thirty days were, and what asks for work before the cut-off."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from nicegui import ui

from qianzhi.console import charts, notices
from qianzhi.console.charts import Series
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.tables import Column, Linked, plain
from qianzhi.console.text import _, mark
from qianzhi.gateway import assembly
from qianzhi.gateway.pages import failed, held, names, reminding
from qianzhi.gateway.views.today import today
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.notices import Tone
    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.views.today import DatasetNow, DayOfDataset, Due, Today
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

REFRESH_SECONDS: Final = 60.0
NEAR_SECONDS: Final = 6 * 3600.0  # before a cut-off: findings that are open now will not be accepted tonight
_COUNTS: Final = ("staged", "submitted", "accepted", "failed")
_SHOWN: Final = (*_COUNTS, "delivered")


def page(home: Home, settings: Settings) -> Page:
    """Return the page."""

    async def show(visit: Visit) -> None:
        drawn = _Today(visit, home, settings)
        with element("div", "answer") as place:
            await drawn.show()

        async def refresh() -> None:
            place.clear()
            with place:
                await drawn.show()

        ui.timer(REFRESH_SECONDS, visit.handler(refresh), immediate=False)

    return Page("/", mark("今日概览"), show, mark("上报"), "dashboard")


class _Today:
    def __init__(self, visit: Visit, home: Home, settings: Settings) -> None:
        self._visit = visit
        self._home = home
        self._settings = settings

    async def show(self) -> None:
        """Ask and draw."""
        seen = await self._visit.ask(self._read)
        if not seen.due:
            notices.empty(_("还没有上报目标。"), _("请先运行 qianzhi gateway init。"))
            return
        self._remind(seen)
        await reminding.banner(self._visit, self._settings)
        self._figures(seen)
        with element("div", "halves"):
            self._days(seen)
            self._datasets(seen)
        plain(self._visit, self._columns(seen), [self._row(each) for each in seen.datasets])

    def _read(self, session: Session) -> Today:
        return today(session, assembly.destinations(self._home, self._settings), now=clock.now())

    def _remind(self, seen: Today) -> None:
        if not seen.open_errors:
            return
        due = min(seen.due, key=lambda each: each.seconds_to_cut_off)
        what = _("{count} 个错误尚未解决。").format(count=f"{seen.open_errors:,}")
        remedy = _("请在 {at} 前更正并重新写入中间表，否则今晚不会被接收。").format(at=f"{due.cut_off_at:%H:%M}")
        near = due.seconds_to_cut_off < NEAR_SECONDS
        path = f"{failed.PATH}?state=open&severity=error"
        sees = self._visit.role.sees_patients
        notices.notice(
            what,
            remedy,
            tone="bad" if near else "warn",
            link=self._visit.link(path) if sees else "",
            link_title=_("查看失败记录"),
        )

    def _figures(self, seen: Today) -> None:
        total = {name: sum(getattr(each.day, name) for each in seen.datasets) for name in _COUNTS}
        held_count = sum(each.held for each in seen.datasets)
        waiting = sum(each.waiting for each in seen.datasets)
        with element("section", "cards"):
            _figure(_("今日入表"), seen.staged, hint=_("等待上传 {count}").format(count=f"{waiting:,}"))
            _figure(_("今日提交"), total["submitted"])
            _figure(_("今日接收"), total["accepted"], "good" if total["accepted"] else "plain")
            ended = sum(each.day.ended for each in seen.datasets)
            hint = _("其中 {count} 条未发送").format(count=f"{ended:,}") if ended else ""
            _figure(_("今日失败"), total["failed"], "bad" if total["failed"] else "plain", hint)
            if delivered := sum(each.delivered for each in seen.datasets):
                _figure(_("已送达"), delivered, "accent", _("等待官方结果"))
            _figure(_("当前待补"), held_count, "warn" if held_count else "plain")
            for due in seen.due:
                _time_left(due, several=len(seen.due) > 1)

    def _days(self, seen: Today) -> None:
        days: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SHOWN, 0))
        for day in seen.days:
            _add(days[f"{day.on:%m-%d}"], day)
        with element("section", "card"):
            text(_("最近 {count} 天").format(count=len(days)), "h2")
            series = [
                Series(_("已接收"), [day["accepted"] for day in days.values()], "good"),
                Series(_("失败"), [day["failed"] for day in days.values()], "bad"),
            ]
            if any(day["delivered"] for day in days.values()):
                series.append(Series(_("已送达"), [day["delivered"] for day in days.values()], "accent"))
            charts.bars(self._visit, list(days), series)

    def _datasets(self, seen: Today) -> None:
        by_name: dict[str, list[DatasetNow]] = defaultdict(list)
        for each in seen.datasets:
            by_name[each.day.dataset].append(each)
        with element("section", "card"):
            text(_("今日各数据集"), "h2")
            series = [
                Series(_("已接收"), [sum(each.day.accepted for each in found) for found in by_name.values()], "good"),
                Series(_("失败"), [sum(each.day.failed for each in found) for found in by_name.values()], "bad"),
                Series(_("待补"), [sum(each.held for each in found) for found in by_name.values()], "warn"),
            ]
            titles = [names.dataset(self._settings, name) for name in by_name]
            charts.bars(self._visit, titles, series, lying=True)

    def _columns(self, seen: Today) -> list[Column]:
        several = [Column("destination", _("上报目标"))] if len(seen.due) > 1 else []
        return [
            Column("dataset", _("数据集")),
            *several,
            Column("staged", _("今日入表"), "number"),
            Column("submitted", _("今日提交"), "number"),
            Column("accepted", _("今日接收"), "number"),
            Column("failed", _("今日失败"), "number"),
            Column("waiting", _("等待上传"), "number"),
            Column("under_way", _("上传中"), "number"),
            *([Column("delivered", _("已送达"), "number")] if any(each.delivered for each in seen.datasets) else []),
            Column("held", _("待补"), "count"),
            Column("open_errors", _("未解决错误"), "count"),
        ]

    def _row(self, each: DatasetNow) -> Mapping[str, object]:
        day, sees = each.day, self._visit.role.sees_patients
        to = f"dataset={day.dataset}"
        wrong = f"{each.open_errors:,}"
        waits = f"{each.held:,}"
        return {
            "dataset": names.dataset(self._settings, day.dataset),
            "destination": day.destination,
            **{name: getattr(day, name) for name in _COUNTS},
            "waiting": each.waiting,
            "under_way": each.under_way,
            "delivered": each.delivered,
            "held": Linked(waits, f"{held.PATH}?{to}") if sees and each.held else waits,
            "open_errors": Linked(wrong, f"{failed.PATH}?{to}&state=open&severity=error")
            if sees and each.open_errors
            else wrong,
        }


def _figure(label: str, value: int | str, tone: Tone = "plain", hint: str = "") -> None:
    with element("div", f"card figure {tone}"):
        text(label, "span", "label")
        text(f"{value:,}" if isinstance(value, int) else value, "span", "value")
        if hint:
            text(hint, "span", "hint")


def _time_left(due: Due, *, several: bool) -> None:
    minutes = int(due.seconds_to_cut_off // 60)
    left = _("{hours} 小时 {minutes} 分").format(hours=minutes // 60, minutes=minutes % 60)
    label = _("距截止（{name}）").format(name=due.destination) if several else _("距截止")
    when = {"cut_off": f"{due.cut_off_at:%H:%M}", "cycle": f"{due.cycle_at:%H:%M}"}
    _figure(label, left, "accent", _("{cut_off} 截止，{cycle} 上传").format(**when))


def _add(counts: dict[str, int], day: DayOfDataset) -> None:
    for name in counts:
        counts[name] += getattr(day, name)
