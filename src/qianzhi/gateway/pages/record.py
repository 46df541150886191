"""The history of one record: each version, where it is, what it changed, what was found in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from qianzhi import regulators
from qianzhi.console import notices
from qianzhi.console.layout import element, text
from qianzhi.console.pages import Page
from qianzhi.console.roles import WITH_PATIENTS
from qianzhi.console.tables import Column, as_text, facts, plain
from qianzhi.console.text import _, language, mark
from qianzhi.gateway.pages import names
from qianzhi.gateway.views import records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.console.visit import Visit
    from qianzhi.db.server import Session
    from qianzhi.gateway.views.failed import Failed
    from qianzhi.gateway.views.records import History, Place, Version
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

PATH: Final = "/record"
ROW_DIGITS_MAX: Final = 18


def address(destination: str, dataset: str, row_id: int) -> str:
    """Return where the history of a row's record is shown."""
    return f"{PATH}?{urlencode({'destination': destination, 'dataset': dataset, 'row': row_id})}"


def page(_home: Home, settings: Settings) -> Page:
    """Return the page; it is reached from the number of a row."""

    async def show(visit: Visit) -> None:
        found = await visit.ask(_read, visit, settings)
        if isinstance(found, Archived):
            remedy = _("需要时运行 qianzhi gateway archive restore {archive}，另存为文件查看。")
            notices.empty(
                _("这条记录已归档到 {file}。").format(file=found.file), remedy.format(archive=found.archive_id)
            )
            return
        if found is None:
            notices.empty(_("找不到这条记录。"), _("请从失败记录或待补记录中选择。"))
            return
        _draw(visit, settings, found)

    return Page(PATH, mark("记录历史"), show, roles=WITH_PATIENTS, shows_patients=True)


@dataclass(frozen=True, slots=True)
class Archived:
    """Where a row is that has left its staging table."""

    archive_id: int
    file: str


def _read(session: Session, visit: Visit, settings: Settings) -> History | Archived | None:
    """Return what the address asks for, and put on record that it was looked at."""
    name, dataset, row = (visit.query.get(key, "") for key in ("destination", "dataset", "row"))
    said = settings.gateway.destinations.get(name)
    if said is None or not (row.isascii() and row.isdigit() and len(row) <= ROW_DIGITS_MAX):
        return None
    regulator = regulators.regulator(said.regulator)
    if dataset not in {each.name for each in regulator.datasets}:
        return None
    found = records.history_of_row(session, regulator, dataset, int(row), language=language().value)
    if found is None:
        archive = records.archive_of_row(session, regulator, dataset, int(row))
        return Archived(*archive) if archive is not None else None
    visit.looked(session, {"dataset": dataset, "row": row}, len(found.versions))
    return found


def _draw(visit: Visit, settings: Settings, found: History) -> None:
    with element("section", "card"):
        text(names.dataset(settings, found.dataset), "h2")
        facts(found.key)
    if found.is_bounded:
        notices.notice(_("只显示最近的 {count} 个版本。").format(count=records.VERSIONS_MAX))
    for number, version in reversed(list(enumerate(found.versions, start=1))):
        _draw_version(visit, number, version)


def _draw_version(visit: Visit, number: int, version: Version) -> None:
    with element("section", "card version"):
        with element("header"):
            text(_("第 {number} 版").format(number=number), "b")
            text(names.change(version.change), "span", "tag accent")
            text(_("记录号 {row}").format(row=version.row_id), "span", "soft")
            if version.occurred:
                text(_("数据产生时间 {at}").format(at=version.occurred), "span", "soft")
        for place in version.places:
            _draw_place(place)
        if version.findings:
            plain(visit, _finding_columns(), [_finding(each) for each in version.findings])
        if version.differences:
            blamed = {each.field: names.severity(each.severity) for each in _mildest_first(version.findings)}
            rows = [
                {
                    "field": each.field,
                    "title": each.title,
                    "before": each.before,
                    "after": each.after,
                    "blamed": blamed.get(each.field),
                }
                for each in version.differences
            ]
            plain(visit, _difference_columns(is_first=number == 1, is_blamed=any(row["blamed"] for row in rows)), rows)


def _mildest_first(findings: Sequence[Failed]) -> list[Failed]:
    """Return them so that of a field's findings the gravest comes last."""
    return sorted(findings, key=lambda each: each.severity == "error")


def _draw_place(place: Place) -> None:
    tagged = names.state(place.state)
    with element("div", "actions"):
        text(place.destination, "span", "soft")
        text(tagged.word, "span", f"tag {tagged.tone}")
        if place.state_at is not None:
            text(as_text(place.state_at), "span", "soft")
        if place.wants:
            text(_("等待 {wants}").format(wants=place.wants), "span")
        if place.batch_id is not None:
            text(_("批次 {batch}").format(batch=place.batch_id), "span", "soft code")


def _finding_columns() -> list[Column]:
    return [
        Column("severity", _("级别"), "tag"),
        Column("field", _("数据元"), "code"),
        Column("value", _("原值"), "value"),
        Column("reason", _("原因"), "long"),
        Column("remedy", _("处理方法"), "long"),
        Column("code", _("规则"), "code"),
    ]


def _finding(each: Failed) -> dict[str, object]:
    return {
        "severity": names.severity(each.severity),
        "field": each.field,
        "value": each.value,
        "reason": each.reason,
        "remedy": each.remedy,
        "code": each.code,
    }


def _difference_columns(*, is_first: bool, is_blamed: bool) -> list[Column]:
    return [
        *([Column("blamed", _("级别"), "tag")] if is_blamed else []),
        Column("field", _("数据元"), "code"),
        Column("title", _("名称")),
        *([] if is_first else [Column("before", _("原值"), "long")]),
        Column("after", _("值") if is_first else _("新值"), "long"),
    ]
