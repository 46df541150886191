"""The upload log: what each dataset sent on each day, and below that each batch."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Final

from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.tables import Column, Filter, Linked, Query, Slice, Table, Tagged, minute
from qianzhi.console.text import _, mark, told
from qianzhi.gateway.pages import names
from qianzhi.gateway.views import uploads
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.views.uploads import Upload, UploadDay
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

PATH: Final = "/uploads"
BATCHES: Final = "/batches"
DAYS_SHOWN: Final = 30
KIB: Final = 1024


def page(_home: Home, settings: Settings) -> Page:
    """Return the page of days."""

    async def show(visit: Visit) -> None:
        order = {name: at for at, name in enumerate(names.datasets(settings))}

        def fetch(session: Session, query: Query) -> Slice:
            until_on = _day(query.filters, "until_on") or clock.local_now().date()
            found = uploads.days(
                session,
                since_on=_day(query.filters, "since_on") or _first_day(until_on),
                until_on=until_on,
                dataset=query.filters.get("dataset"),
            )
            found.sort(key=lambda each: (-each.on.toordinal(), each.destination, order.get(each.dataset, len(order))))
            rows = [_day_row(settings, each) for each in found[query.offset : query.offset + query.size]]
            return Slice(rows, len(found))

        filters = [
            Filter("dataset", _("数据集"), names.datasets(settings)),
            Filter("since_on", _("起始日期"), kind="date"),
            Filter("until_on", _("截止日期"), kind="date"),
        ]
        hint = _("不选起始日期时，显示截至截止日期的 {count} 天。").format(count=DAYS_SHOWN)
        await Table(visit, _day_columns(), fetch, filters=filters, empty=_("没有上传。"), hint=hint).load()

    return Page(PATH, mark("上传日志"), show, mark("上报"), "cloud_upload")


def batches_page(_home: Home, settings: Settings) -> Page:
    """Return the page of the batches of a day; it is reached from the log."""

    async def show(visit: Visit) -> None:
        on, dataset = _day(visit.query, "on") or clock.local_now().date(), visit.query.get("dataset")

        def fetch(session: Session, query: Query) -> Slice:
            found = uploads.batches(session, on, dataset=dataset, offset=query.offset, limit=query.size + 1)
            rows = [_batch_row(settings, each) for each in found[: query.size]]
            return Slice(rows, query.offset + len(found))  # one more tells that there is another page

        with element("p", "soft"):
            title = names.dataset(settings, dataset) if dataset else _("全部数据集")
            text(_("{on} · {dataset}").format(on=on.isoformat(), dataset=title))
        await Table(visit, _batch_columns(), fetch, empty=_("没有批次。")).load()

    return Page(BATCHES, mark("批次"), show)


def _day(given: Mapping[str, str], name: str) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat(given.get(name, ""))
    return None


def _first_day(until_on: date) -> date:
    return date.fromordinal(max(1, until_on.toordinal() - DAYS_SHOWN + 1))


def _day_columns() -> list[Column]:
    return [
        Column("on", _("日期")),
        Column("dataset", _("数据集")),
        Column("destination", _("上报目标")),
        Column("batches", _("批次"), "count"),
        Column("submitted", _("提交"), "number"),
        Column("accepted", _("接收"), "number"),
        Column("failed", _("失败"), "number"),
        Column("under_way", _("未回执"), "number"),
        Column("delivered", _("已送达"), "number"),
        Column("share", _("接收率"), "tag"),
        Column("size", _("大小"), "number"),
    ]


def _day_row(settings: Settings, each: UploadDay) -> dict[str, object]:
    path = f"{BATCHES}?on={each.on.isoformat()}&dataset={each.dataset}"
    settled = each.submitted - each.under_way - each.delivered
    return {
        "on": each.on,
        "dataset": names.dataset(settings, each.dataset),
        "destination": each.destination,
        "batches": Linked(f"{each.batch_count:,}", path),
        "submitted": each.submitted,
        "accepted": each.accepted,
        "failed": each.failed,
        "under_way": each.under_way,
        "delivered": each.delivered,
        "share": _share(each.accepted, settled),
        "size": _size(each.byte_count),
    }


def _batch_columns() -> list[Column]:
    return [
        Column("sealed", _("封装时间"), "instant"),
        Column("batch", _("批次"), "code"),
        Column("dataset", _("数据集")),
        Column("cycle", _("周期")),
        Column("state", _("状态"), "tag"),
        Column("rows", _("记录"), "number"),
        Column("accepted", _("接收"), "number"),
        Column("failed", _("失败"), "number"),
        Column("size", _("大小"), "number"),
        Column("attempts", _("尝试"), "number"),
        Column("last", _("最后一次")),
        Column("took", _("用时（秒）"), "number"),
    ]


def _batch_row(settings: Settings, each: Upload) -> dict[str, object]:
    last = each.attempts[-1].outcome if each.attempts else ""
    return {
        "sealed": minute(each.sealed_at),
        "batch": str(each.batch_id)[:8],
        "dataset": names.dataset(settings, each.dataset),
        "cycle": names.cycle(each.cycle),
        "state": names.batch_state(each.state),
        "rows": each.row_count,
        "accepted": each.accepted,
        "failed": each.failed,
        "size": _size(each.byte_count),
        "attempts": len(each.attempts),
        "last": _("回执") if last == "receipt" else _("已送达") if last == "delivered" else told(last),
        "took": f"{each.took_seconds:.1f}",
    }


def _share(accepted: int, settled: int) -> Tagged | None:
    if not settled:
        return None
    share = accepted / settled
    return Tagged(f"{share:.1%}", "good" if accepted == settled else "warn" if share > 1 / 2 else "bad")


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KB", "MB"):
        if size < KIB:
            return f"{size:.0f} {unit}"
        size /= KIB
    return f"{size:.1f} GB"
