"""Visits that never took place, with their diagnoses, prescriptions and referrals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from qianzhi.synthetic.catalogue import DRUGS, Condition, Drug
from qianzhi.synthetic.people import CHILD_YEARS, Person, age_years

if TYPE_CHECKING:
    from random import Random

    from qianzhi.synthetic.staff import Member

SUPPLY_DAYS = 7
HERB_PACKETS = 7
LINES_MAX = 5


class VisitKind(StrEnum):
    """What a visit is; only treatment is diagnosed and prescribed for."""

    TREATMENT = "treatment"
    ADVICE = "advice"
    QUESTION = "question"
    NURSING = "nursing"


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit. `ended_at` is None while it goes on; `point` is None at the institution itself."""

    subject: ClassVar[str] = "treatment_record"

    number: str
    kind: VisitKind
    person: Person
    doctor: Member
    condition: Condition
    point: str | None
    started_at: datetime
    ended_at: datetime | None
    again: bool  # 复诊: only such a visit may lead to a prescription
    prescribed: bool
    referred: bool
    allergy: str | None
    video: bool
    satisfaction: int | None
    note: str = "注意休息，清淡饮食"

    @property
    def identity(self) -> str:
        """What tells this visit from the others of the hospital."""
        return self.number


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One diagnosis of a visit; `main` on exactly one of them."""

    subject: ClassVar[str] = "treatment_diagnose"

    number: str
    visit: Visit
    condition: Condition
    main: bool
    made_at: datetime
    note: str = "依据病史诊断"

    @property
    def identity(self) -> str:
        """What tells this diagnosis from the others of the hospital."""
        return self.number


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a prescription, or one herb of it. `quantity` counts packs; for herbs, grams in one packet."""

    subject: ClassVar[str] = "treatment_order"

    prescription: str
    place: int
    visit: Visit
    drug: Drug
    quantity: Decimal
    packets: int | None
    written_at: datetime
    auditor: Member
    dispenser: Member
    composition: str | None
    note: str = "遵医嘱"

    @property
    def identity(self) -> str:
        """What tells this line from the others of the hospital."""
        return f"{self.prescription}{self.place:02d}"

    @property
    def amount(self) -> Decimal:
        """Yuan for the whole line, exact."""
        return self.drug.price * self.quantity * (self.packets or 1)

    @property
    def dose(self) -> Decimal:
        """What the patient takes at once, in the drug's unit; a packet of herbs is drunk in parts."""
        return self.drug.dose / self.drug.times if self.packets else self.drug.dose

    @property
    def total_dose(self) -> Decimal:
        """What the patient takes until the supply ends, in the drug's unit."""
        return self.dose * self.drug.times * (self.packets or SUPPLY_DAYS)


@dataclass(frozen=True, slots=True)
class Referral:
    """A patient sent on to another hospital."""

    subject: ClassVar[str] = "treatment_referral"

    number: str
    visit: Visit
    target_code: str
    target_name: str
    sent_at: datetime
    note: str = "线上指导用药"

    @property
    def identity(self) -> str:
        """What tells this referral from the others of the hospital."""
        return self.number


def fitting(person: Person, doctors: list[Member], on: date) -> list[tuple[Member, Condition]]:
    """Return which doctors could see this person on that day, and for what."""
    age = age_years(person.born_on, on)
    return [
        (doctor, condition)
        for doctor in doctors
        if doctor.specialty.children == (age < CHILD_YEARS)
        for condition in doctor.specialty.conditions
        if age >= condition.age_min and condition.sex in (None, person.sex)
    ]


def diagnose(visit: Visit) -> list[Diagnosis]:
    """Return the diagnoses of a visit: the main one, and for every second doctor's patient another one."""
    made_at = visit.started_at + timedelta(minutes=2)
    conditions = [visit.condition]
    others = [other for other in _possible(visit) if other.code != visit.condition.code]
    if others and visit.person.number % 2:
        conditions.append(others[0])
    return [
        Diagnosis(f"ZD{visit.number}{index + 1:02d}", visit, condition, index == 0, made_at)
        for index, condition in enumerate(conditions)
    ]


def prescribe(rng: Random, visit: Visit, pharmacists: list[Member]) -> list[Line]:
    """Return the lines of the one prescription of a visit."""
    stock = [DRUGS[code] for code in visit.doctor.specialty.drugs]
    herbs = stock[0].kind == "herb"
    least = 3 if herbs else 1
    chosen = rng.sample(stock, rng.randint(least, min(len(stock), LINES_MAX)))
    auditor, dispenser = rng.sample(pharmacists, 2)
    composition = "、".join(f"{drug.name}{drug.dose}克" for drug in chosen) if herbs else None
    return [
        Line(
            prescription=f"CF{visit.number}",
            place=index + 1,
            visit=visit,
            drug=drug,
            quantity=_quantity(drug),
            packets=HERB_PACKETS if herbs else None,
            written_at=visit.started_at + timedelta(minutes=3),
            auditor=auditor,
            dispenser=dispenser,
            composition=composition,
        )
        for index, drug in enumerate(chosen)
    ]


def refer(visit: Visit, sent_at: datetime) -> Referral:
    """Send the patient of a visit on."""
    return Referral(f"ZZ{visit.number}", visit, "440100000000000099", "示例中心医院", sent_at)


def _quantity(drug: Drug) -> Decimal:
    if drug.kind == "herb":
        return drug.dose
    return (drug.dose * drug.times * SUPPLY_DAYS / drug.pack).to_integral_value(ROUND_CEILING)


def _possible(visit: Visit) -> list[Condition]:
    return [condition for _, condition in fitting(visit.person, [visit.doctor], visit.started_at.date())]
