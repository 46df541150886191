"""Fresh good records that nothing refers to and that never come again: what a fault is planted on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, TypeVar

from qianzhi.synthetic import resources
from qianzhi.synthetic.catalogue import SPECIALTIES
from qianzhi.synthetic.diary import FILLING_SECONDS_MAX, Change, Happening, Subject
from qianzhi.synthetic.people import age_years
from qianzhi.synthetic.resources import MONTHS_TOLD, Contact, Month, Point
from qianzhi.synthetic.staff import Department, Role, invent_member
from qianzhi.synthetic.visits import Diagnosis, Line, Referral, Visit, VisitKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from random import Random

    from qianzhi.synthetic.hospital import Hospital
    from qianzhi.synthetic.people import Person

S = TypeVar("S", Visit, Line, Referral)

SPARE_FIRST = 20_000  # running numbers of members and devices
GROWN_YEARS = 18
_MONTHS_BACK_MAX = 600
_TRIES_MAX = 100


class Spares:
    """Makes spare records for a hospital whose days have been lived; its own entries stay as they are."""

    def __init__(self, hospital: Hospital, rng: Random) -> None:
        self._hospital = hospital
        self._rng = rng
        self._made = 0
        self._month_back = MONTHS_TOLD
        self._cached: tuple[date | None, list[Happening]] = (None, [])
        self._makers: dict[str, Callable[[date], Subject | None]] = {
            "person": self._person,
            "service_point": self._point,
            "department": self._department,
            "staff": self._member,
            "device": self._device,
            "contacts": self._contact,
            "institution_business": self._month,
            "institution": lambda _: hospital.institution,
            "treatment_record": self._visit,
            "treatment_diagnose": self._diagnosis,
            "treatment_order": self._line,
            "treatment_referral": self._referral,
        }

    def make(self, dataset: str, day: date) -> Happening | None:
        """Return a good entry of that day; None when the day has nothing to build it on."""
        subject = self._makers[dataset](day)
        if subject is None:
            return None
        change = Change.MODIFY if dataset == "institution" else Change.NEW
        return self.entry(day, change, subject)

    def entry(self, day: date, change: Change, subject: Subject) -> Happening:
        """Return an entry late on a day, when everything else of that day but a visit over midnight is written."""
        at = datetime.combine(day, time(23)) + timedelta(seconds=self._rng.randrange(1500))
        return Happening(at, at + timedelta(seconds=self._rng.randrange(FILLING_SECONDS_MAX)), change, subject)

    def prescribed_visit(self, day: date) -> Visit | None:
        """Return a spare visit for which a prescription was written."""
        visit = self._pick(day, Visit, lambda visit: visit.prescribed)
        return replace(visit, number=self._name("Y")) if visit else None

    def diagnosis_of(self, visit: Visit) -> Diagnosis:
        """Return a spare diagnosis of a given visit."""
        return Diagnosis(
            self._name("ZY"), visit, visit.condition, main=False, made_at=visit.started_at + timedelta(minutes=1)
        )

    def entered(self, dataset: str, day: date, change: Change) -> Happening | None:
        """Return an entry of this day with this change, about a record that changes once a day at most."""
        known = [entry for entry in self._on(day) if entry.subject.subject == dataset and entry.change is change]
        return self._rng.choice(known) if known else None

    def _name(self, prefix: str) -> str:
        self._made += 1
        return f"{prefix}{self._made:09d}"

    def _number(self) -> int:
        self._made += 1
        return SPARE_FIRST + self._made

    def _person(self, day: date) -> Person | None:
        for _ in range(_TRIES_MAX):
            person = self._hospital.registry.register(self._rng, day)
            if person.id_kind == "01" and age_years(person.born_on, day) >= GROWN_YEARS:
                return replace(person, card_kind="3", card=self._name("Y"))
        return None

    def _point(self, _: date) -> Point:
        institution = self._hospital.institution
        return Point(self._name("FY"), "备用服务点", institution, institution.founded_on + timedelta(days=30))

    def _department(self, _: date) -> Department:
        return Department(replace(SPECIALTIES[0], code=f"Y{self._number():06d}", name="备用诊室"))

    def _member(self, _: date) -> Subject:
        first_on = self._hospital.plan.dates[0]
        member = invent_member(self._rng, self._number(), Role.DOCTOR, SPECIALTIES[0], first_on)
        self._hospital.staff.append(member)
        return member

    def _device(self, _: date) -> Subject:
        return resources.invent_device(self._rng, self._number(), self._hospital.institution)

    def _contact(self, _: date) -> Contact:
        return Contact(self._name("备用办公室"), self._hospital.institution.head, self._hospital.institution.phone)

    def _month(self, _: date) -> Month | None:
        """Return a month before all those told; None when the months run out."""
        if self._month_back == _MONTHS_BACK_MAX:
            return None
        self._month_back += 1
        return resources.invent_month(self._rng, self._hospital.plan.dates[0], self._month_back)

    def _visit(self, day: date) -> Visit | None:
        visit = self._pick(day, Visit, lambda visit: visit.kind is not VisitKind.TREATMENT)
        return replace(visit, number=self._name("Y")) if visit else None

    def _diagnosis(self, day: date) -> Diagnosis | None:
        visit = self._pick(day, Visit, _is_over)
        return self.diagnosis_of(visit) if visit else None

    def _line(self, day: date) -> Line | None:
        line = self._pick(day, Line, lambda line: line.packets is None)
        return replace(line, prescription=self._name("CY"), place=1) if line else None

    def _referral(self, day: date) -> Referral | None:
        referral = self._pick(day, Referral, lambda _: True)
        return replace(referral, number=self._name("ZZY")) if referral else None

    def _pick(self, day: date, kind: type[S], fits: Callable[[S], bool]) -> S | None:
        """Return some new record of this day."""
        new = [entry.subject for entry in self._on(day) if entry.change is Change.NEW]
        known = [subject for subject in new if isinstance(subject, kind) and fits(subject)]
        return self._rng.choice(known) if known else None

    def _on(self, day: date) -> list[Happening]:
        if self._cached[0] != day:
            self._cached = day, self._hospital.diary.on(day)
        return self._cached[1]


def _is_over(visit: Visit) -> bool:
    return visit.kind is VisitKind.TREATMENT and visit.ended_at is not None
