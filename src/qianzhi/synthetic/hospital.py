"""The life of a synthetic hospital: it opens, registers people, sees them, corrects itself, withdraws."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import count, islice
from random import Random
from typing import TYPE_CHECKING

from qianzhi.synthetic import resources
from qianzhi.synthetic.catalogue import SPECIALTIES
from qianzhi.synthetic.diary import Change, Diary, Happening, Subject
from qianzhi.synthetic.people import Person, Registry, invent_phone
from qianzhi.synthetic.staff import Department, Role, departments, invent_member, invent_staff
from qianzhi.synthetic.visits import (
    Diagnosis,
    Line,
    Referral,
    Visit,
    VisitKind,
    diagnose,
    fitting,
    prescribe,
    refer,
)

if TYPE_CHECKING:
    from qianzhi.synthetic.plan import Plan

FIRST_DAY_SHARE = 0.5  # of the people, registered before the first visits
VISITS_PER_PERSON = 0.3  # a day
TREATMENT_SHARE = 0.75
REFERRAL_SHARE = 0.08
AGAIN_SHARE = 0.9  # of the treatments
ALLERGY_SHARE = 0.1
VIDEO_SHARE = 0.6
VISIT_SECONDS = (300, 1500)
OPEN_SHARE = 0.03  # of the treatments: still going on at midnight
CORRECTION_SHARE = 0.03  # of what is alive, a day
WITHDRAWAL_SHARE = 0.02
CORRECTIONS_COUNT_MAX = 2000  # a day and kind
OTHER_KINDS = (VisitKind.ADVICE, VisitKind.QUESTION, VisitKind.NURSING)
ALLERGIES = ("青霉素过敏", "磺胺类药物过敏", "海鲜过敏")
CORRECTED = ("person", "treatment_record", "treatment_diagnose", "treatment_order", "treatment_referral")
TOPPED_UP = ("service_point", "department", "staff", "device", "contacts", "institution_business")
PASSING_FIRST = 900  # running numbers of members and devices that stay two days


class Hospital:
    """One hospital of a plan; its days must be lived in order."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = Random(plan.seed)  # noqa: S311  # made-up people, no secrets
        self.diary = Diary(self.rng)
        self.registry = Registry()
        self.institution = resources.invent_institution(self.rng, plan.institution, plan.dates[0])
        self.points = resources.invent_points(self.rng, self.institution)
        self.staff = invent_staff(self.rng, plan.dates[0])
        self.people: list[Person] = []
        self._doctors = [member for member in self.staff if member.role is Role.DOCTOR]
        self._pharmacists = [member for member in self.staff if member.role is Role.PHARMACIST]
        self._numbers = count(1)
        self._open: list[Visit] = []
        self._passing: dict[date, list[Subject]] = {}
        self._passed = count(1)

    def live(self, day: date) -> None:
        """Let one day pass."""
        if day == self.plan.dates[0]:
            self._open_hospital(day)
        self._pass_through(day)
        self._register(day)
        self._finish_open(day)
        self._see_patients(day)
        self._correct(day)
        self._withdraw(day)
        self._top_up(day)

    def moment(self, day: date, first_hour: float, last_hour: float) -> datetime:
        """Return some second between two hours of a day."""
        midnight = datetime.combine(day, time())
        return midnight + timedelta(seconds=self.rng.randint(int(first_hour * 3600), int(last_hour * 3600)))

    def _visit(self, day: date, kind: VisitKind, started_at: datetime) -> Visit | None:
        """Let somebody begin to see a doctor; None when nobody of this hospital treats who came."""
        person = self.rng.choice(self.people)
        choices = fitting(person, self._doctors, day)
        if not choices:
            return None
        doctor, condition = self.rng.choice(choices)
        return Visit(
            number=f"{day:%Y%m%d}{next(self._numbers):06d}",
            kind=kind,
            person=person,
            doctor=doctor,
            condition=condition,
            point=self.rng.choice([None, *(point.code for point in self.points)]),
            started_at=started_at,
            ended_at=None,
            again=kind is VisitKind.TREATMENT and self.rng.random() < AGAIN_SHARE,
            prescribed=False,
            referred=False,
            allergy=self.rng.choice(ALLERGIES) if self.rng.random() < ALLERGY_SHARE else None,
            video=self.rng.random() < VIDEO_SHARE,
            satisfaction=self.rng.randint(1, 3),
        )

    def _open_hospital(self, day: date) -> None:
        belongings: list[Subject] = [self.institution, *self.points, *departments(), *self.staff]
        belongings += resources.invent_devices(self.rng, self.institution)
        belongings += resources.invent_contacts(self.rng)
        belongings += resources.invent_months(self.rng, day)
        at = self.moment(day, 0.2, 0.5)
        for belonging in belongings:
            self.diary.enter(at, Change.NEW, belonging)
            at += timedelta(seconds=self.rng.randint(5, 60))

    def _pass_through(self, day: date) -> None:
        """Bring in things nothing else refers to, correct them on the next day, withdraw them on the one after."""
        for subject in self._passing.pop(day - timedelta(days=2), []):
            self.diary.enter(self.moment(day, 9, 12), Change.REVOKE, subject)
        yesterday = day - timedelta(days=1)
        self._passing[yesterday] = [changed(subject, self.rng, day) for subject in self._passing.get(yesterday, [])]
        for subject in self._passing[yesterday]:
            self.diary.enter(self.moment(day, 9, 12), Change.MODIFY, subject)
        self._passing[day] = self._invent_passing(day)
        for subject in self._passing[day]:
            self.diary.enter(self.moment(day, 7, 8), Change.NEW, subject)

    def _invent_passing(self, day: date) -> list[Subject]:
        number = next(self._passed)
        guest = invent_member(self.rng, PASSING_FIRST + number, Role.DOCTOR, SPECIALTIES[0], self.plan.dates[0])
        self.staff.append(guest)
        return [
            self.registry.register(self.rng, day),
            Department(replace(SPECIALTIES[0], code=f"T{number:04d}", name=f"临时诊室{number}")),
            guest,
            resources.invent_device(self.rng, PASSING_FIRST + number, self.institution),
            resources.Contact(f"临时办公室{number}", self.institution.head, self.institution.phone),
        ]

    def _register(self, day: date) -> None:
        """Register the day's share of the people."""
        for _ in range(self._arriving(day)):
            person = self.registry.register(self.rng, day)
            self.people.append(person)
            self.diary.enter(self.moment(day, 1.5, 7.9), Change.NEW, person)

    def _arriving(self, day: date) -> int:
        place = self.plan.dates.index(day)
        first = max(min(self.plan.people, self.plan.rows_per_dataset), int(self.plan.people * FIRST_DAY_SHARE))
        if place == 0:
            return first if self.plan.days > 1 else self.plan.people
        rest = self.plan.people - first
        days = self.plan.days - 1
        return rest * place // days - rest * (place - 1) // days

    def _finish_open(self, day: date) -> None:
        """End what went over midnight: the visit comes again as a modification, its diagnoses follow."""
        for visit in self._open:
            ended_at = self.moment(day, 0.1, 0.8)
            ended = replace(visit, ended_at=ended_at, prescribed=visit.again)
            self.diary.enter(ended_at, Change.MODIFY, ended)
            self._treat(ended, ended_at)
        self._open = []

    def _see_patients(self, day: date) -> None:
        least = min(len(self.people), self.plan.rows_per_dataset)
        treatments = max(least, round(len(self.people) * VISITS_PER_PERSON * TREATMENT_SHARE))
        others = max(least // 2, round(len(self.people) * VISITS_PER_PERSON * (1 - TREATMENT_SHARE)))
        kinds = [VisitKind.TREATMENT] * treatments + [OTHER_KINDS[index % 3] for index in range(others)]
        first = day == self.plan.dates[0]
        referred = max(least if first else 1, round(treatments * REFERRAL_SHARE))
        for index, kind in enumerate(kinds):
            self._see(day, kind, referred=index < referred and kind is VisitKind.TREATMENT)
        for _ in range(round(treatments * OPEN_SHARE)):
            visit = self._visit(day, VisitKind.TREATMENT, self.moment(day, 23.5, 23.9))
            if visit is not None:
                self.diary.enter(visit.started_at, Change.NEW, visit)
                self._open.append(visit)

    def _see(self, day: date, kind: VisitKind, *, referred: bool) -> None:
        """Hold a whole visit on one day."""
        begun = self._visit(day, kind, self.moment(day, 8, 22.5))
        if begun is None:
            return
        ended_at = begun.started_at + timedelta(seconds=self.rng.randint(*VISIT_SECONDS))
        visit = replace(begun, ended_at=ended_at, prescribed=begun.again, referred=referred)
        self.diary.enter(ended_at, Change.NEW, visit)
        if kind is VisitKind.TREATMENT:
            self._treat(visit, ended_at)

    def _treat(self, visit: Visit, ended_at: datetime) -> None:
        """Diagnose, prescribe and refer; entered after the visit itself."""
        entries: list[Subject] = list(diagnose(visit))
        if visit.prescribed:
            entries += prescribe(self.rng, visit, self._pharmacists)
        if visit.referred:
            entries.append(refer(visit, ended_at))
        for index, entry in enumerate(entries):
            self.diary.enter(ended_at + timedelta(seconds=30 + index), Change.NEW, entry)

    def _correct(self, day: date) -> None:
        """Correct some of what was said on earlier days."""
        for subject in CORRECTED:
            before = self._before(day, subject)
            chosen = self._sample(before, CORRECTION_SHARE)
            for happening in chosen:
                self.diary.enter(self.moment(day, 9, 22), Change.MODIFY, changed(happening.subject, self.rng, day))

    def _withdraw(self, day: date) -> None:
        """Withdraw some of what nothing else refers to."""
        for subject in CORRECTED[1:]:
            free = [happening for happening in self._before(day, subject) if _is_free(happening.subject)]
            for happening in self._sample(free, WITHDRAWAL_SHARE):
                self.diary.enter(self.moment(day, 9, 22), Change.REVOKE, happening.subject)

    def _top_up(self, day: date) -> None:
        """Correct more, until every dataset has its rows of the day; the institution itself as often as it takes."""
        for subject in (*TOPPED_UP, *CORRECTED):
            lacking = max(0, self.plan.rows_per_dataset - self.diary.count(day, subject))
            for happening in islice(self._before(day, subject), lacking):
                self.diary.enter(self.moment(day, 9, 22), Change.MODIFY, changed(happening.subject, self.rng, day))
        at = self.moment(day, 8, 9)
        while self.diary.count(day, "institution") < self.plan.rows_per_dataset:
            at += timedelta(seconds=self.rng.randint(60, 1800))
            self.institution = replace(self.institution, note=f"{at:%H:%M}核对")
            self.diary.enter(at, Change.MODIFY, self.institution)

    def _before(self, day: date, subject: str) -> list[Happening]:
        """Return what is alive and has not changed on this day."""
        return [happening for happening in self.diary.alive(subject) if happening.at.date() < day]

    def _sample(self, happenings: list[Happening], share: float) -> list[Happening]:
        """Return the share of them, and one of them at least, so that every change is shown every day."""
        chosen = min(max(round(len(happenings) * share), 1), len(happenings), CORRECTIONS_COUNT_MAX)
        return self.rng.sample(happenings, chosen)


def changed(subject: Subject, rng: Random, day: date) -> Subject:
    """Return the same thing after a harmless correction: nothing that other records repeat."""
    match subject:
        case resources.Contact():
            return replace(subject, phone=resources.invent_landline(rng))
        case resources.Month():
            return replace(subject, doctors_daily=rng.randint(5, 24))
        case Person():
            return replace(subject, phone=invent_phone(rng))
        case _:
            return replace(subject, note=f"{day:%m月%d日}更正")


def _is_free(subject: Subject) -> bool:
    """Say whether nothing can refer to this record."""
    match subject:
        case Visit():
            return subject.kind is not VisitKind.TREATMENT
        case Diagnosis():
            return not subject.main
        case _:
            return isinstance(subject, Line | Referral)
