"""Where every document that a regulator wants stands on a day. Pure."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from qianzhi.gateway.diagnosis import Health
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qianzhi.ledger.documents import Version
    from qianzhi.specs.paperwork import Document, Paperwork

REMINDER_DAYS: Final = (7, 30, 60)
"""Before a document expires somebody is told, louder as it comes nearer."""


class State(StrEnum):
    """Where a document stands."""

    MISSING = "missing"  # never brought
    PRESENT = "present"  # here, and not handed in
    SUBMITTED = "submitted"  # handed in, nothing said yet
    REVIEWED = "reviewed"  # as it should be, by the regulator's word
    RETURNED = "returned"  # to be brought again, for a reason
    EXPIRED = "expired"  # its year is over


STATES: Final = {
    State.MISSING: Text("缺少", "missing"),
    State.PRESENT: Text("已上传，待提交", "present"),
    State.SUBMITTED: Text("已提交，待审核", "submitted"),
    State.REVIEWED: Text("审核通过", "reviewed"),
    State.RETURNED: Text("已退回", "returned"),
    State.EXPIRED: Text("已过期", "expired"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One document of the list."""

    document: Document
    state: State
    version: Version | None = None  # the newest
    expires_on: date | None = None
    days_left: int | None = None
    reminder_days: int | None = None  # which of REMINDER_DAYS has begun; 0: it is too late

    @property
    def is_settled(self) -> bool:
        """Whether nobody must do anything about it now."""
        at_rest = self.state in {State.SUBMITTED, State.REVIEWED}
        return (at_rest and self.reminder_days is None) or (self.state is State.MISSING and not self.document.required)

    def as_json(self) -> dict[str, Any]:
        """Return the public form."""
        version = self.version
        return {
            "document": self.document.key,
            "title_zh": self.document.title.zh,
            "title_en": self.document.title.en,
            "required": self.document.required,
            "accepts": list(self.document.accepts),
            "state": self.state.value,
            "reason": version.reason if version else "",
            "dated_on": version.dated_on.isoformat() if version else None,
            "expires_on": self.expires_on.isoformat() if self.expires_on else None,
            "days_left": self.days_left,
            "reminder_days": self.reminder_days,
            "file_name": version.file_name if version else None,
            "digest": version.digest.hex() if version else None,
            "source": self.document.source,
        }


def checklist(paperwork: Paperwork, versions: Iterable[Version], on: date) -> list[Line]:
    """Return every document of the regulator's list in its order; `versions` come newest first."""
    newest: dict[str, Version] = {}
    for version in versions:
        newest.setdefault(version.document, version)
    return [_line(document, newest.get(document.key), on) for document in paperwork.documents]


def urgent(lines: Sequence[Line]) -> list[Line]:
    """Return what somebody must do something about, the soonest to expire first."""
    return sorted((line for line in lines if not line.is_settled), key=lambda line: line.expires_on or date.max)


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole list in one sentence."""

    health: Health
    what: Text
    remedy: Text


def summary(lines: Sequence[Line]) -> Summary:
    """Return what somebody who looks after the gateway must know of the list."""
    returned = sum(line.state is State.RETURNED for line in lines)
    expired = sum(line.state is State.EXPIRED for line in lines)
    missing = sum(line.state is State.MISSING and line.document.required for line in lines)
    ending = [line for line in lines if line.state is not State.EXPIRED and line.reminder_days is not None]
    days = min((line.days_left or 0 for line in ending), default=0)
    said = [
        (returned, f"{returned} 份已退回", f"{returned} were returned"),
        (expired, f"{expired} 份已过期", f"{expired} have expired"),
        (
            len(ending),
            f"{len(ending)} 份将到期（最早 {days} 天后）",
            f"{len(ending)} expire soon (first in {days} days)",
        ),
        (missing, f"{missing} 份缺少", f"{missing} are missing"),
    ]
    chinese, english = (tuple(each[at] for each in said if each[0]) for at in (1, 2))
    if not chinese:
        return Summary(
            Health.WELL, Text("所需文档齐全。", "Every document that is asked for is in order."), Text("", "")
        )
    return Summary(
        Health.ILL if returned or expired else Health.NOTE,
        Text(f"文档：{'，'.join(map(str, chinese))}。", f"Of the documents {', '.join(map(str, english))}."),
        Text(
            "在控制台的“文档上传”页面查看并上传，或运行 `qianzhi gateway documents list`。",
            "See the console's page Documents, or `qianzhi gateway documents list`, and bring them.",
        ),
    )


def expiry(document: Document, dated_on: date) -> date | None:
    """Return the first day on which a document of that day is no longer valid; None: it stays valid."""
    if document.valid_months is None:
        return None
    months = dated_on.month - 1 + document.valid_months
    year, month = dated_on.year + months // 12, months % 12 + 1
    return date(year, month, min(dated_on.day, calendar.monthrange(year, month)[1]))


def reminder(days_left: int) -> int | None:
    """Return which of the reminders has begun; 0 on the day of expiry and after it, None while there is time."""
    if days_left <= 0:
        return 0
    return next((days for days in REMINDER_DAYS if days_left <= days), None)


def _line(document: Document, version: Version | None, on: date) -> Line:
    if version is None:
        return Line(document, State.MISSING)
    state = State(version.step) if version.step else State.PRESENT
    expires_on = expiry(document, version.dated_on)
    if expires_on is None:
        return Line(document, state, version)
    left = (expires_on - on).days
    return Line(document, State.EXPIRED if left <= 0 else state, version, expires_on, left, reminder(left))
