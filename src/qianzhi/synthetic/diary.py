"""What happened in a hospital, day by day, and what is alive after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from qianzhi.synthetic.people import Person
from qianzhi.synthetic.resources import Contact, Device, Institution, Month, Point
from qianzhi.synthetic.staff import Department, Member
from qianzhi.synthetic.visits import Diagnosis, Line, Referral, Visit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime
    from random import Random

Subject = (
    Institution | Point | Department | Member | Device | Contact | Month | Person | Visit | Diagnosis | Line | Referral
)

FILLING_SECONDS_MAX = 1200


class Change(StrEnum):
    """What happened to a subject."""

    NEW = "new"
    MODIFY = "modify"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Happening:
    """One entry: the subject as it is after the change; `filled_at` is when the row was written."""

    at: datetime
    filled_at: datetime
    change: Change
    subject: Subject


class Diary:
    """Takes the entries in the order of time and knows the last one of everything alive."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._days: dict[date, list[Happening]] = {}
        self._alive: dict[str, dict[str, Happening]] = {}

    def enter(self, at: datetime, change: Change, subject: Subject) -> Happening:
        """Write one entry down."""
        filled_at = at + timedelta(seconds=self._rng.randrange(FILLING_SECONDS_MAX))
        happening = Happening(at, filled_at, change, subject)
        self._days.setdefault(at.date(), []).append(happening)
        alive = self._alive.setdefault(subject.subject, {})
        alive.pop(subject.identity, None)  # what changed last stands last
        if change is not Change.REVOKE:
            alive[subject.identity] = happening
        return happening

    def on(self, day: date) -> list[Happening]:
        """Return the entries of a day, in the order of time."""
        return sorted(self._days.get(day, []), key=lambda happening: happening.at)

    def count(self, day: date, subject: str) -> int:
        """Count the entries of a day about one kind of subject."""
        return sum(happening.subject.subject == subject for happening in self._days.get(day, []))

    def alive(self, subject: str) -> Iterator[Happening]:
        """Yield the last entry of everything of a kind that is alive, the longest unchanged first."""
        yield from list(self._alive.get(subject, {}).values())
