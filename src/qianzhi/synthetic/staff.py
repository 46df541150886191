"""Doctors, pharmacists and nurses who do not exist, and the departments they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from qianzhi.synthetic.catalogue import AREAS, SPECIALTIES, Specialty
from qianzhi.synthetic.identity import id_number
from qianzhi.synthetic.people import FEMALE, MALE, invent_name, invent_phone

if TYPE_CHECKING:
    from random import Random

DOCTORS_PER_DEPARTMENT = 2
PHARMACISTS = 4
NURSES = 4
_AGES = (37, 58)
_WORKS_FROM_AGE = 24


class Role(StrEnum):
    """What somebody is licensed to do."""

    DOCTOR = "doctor"
    PHARMACIST = "pharmacist"
    NURSE = "nurse"


_TITLES = {Role.DOCTOR: "23", Role.PHARMACIST: "24", Role.NURSE: "25"}  # GB/T 8561, first two digits


@dataclass(frozen=True, slots=True)
class Department:
    """A department; one without conditions treats nobody."""

    subject: ClassVar[str] = "department"

    specialty: Specialty
    note: str = ""

    @property
    def identity(self) -> str:
        """What tells this department from the others."""
        return self.specialty.code


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of the staff. `rank`: 1 highest to 5, the last digit of the title."""

    subject: ClassVar[str] = "staff"

    number: str
    name: str
    sex: str
    born_on: date
    id_number: str
    specialty: Specialty
    role: Role
    rank: int
    works_from: date
    qualified_on: date
    licensed_on: date
    phone: str
    note: str = ""

    @property
    def identity(self) -> str:
        """What tells this member from the others."""
        return self.number

    @property
    def title(self) -> str:
        """The code of the professional title in GB/T 8561."""
        return f"{_TITLES[self.role]}{self.rank}"


def departments() -> list[Department]:
    """Return every department of the catalogue."""
    return [Department(specialty) for specialty in SPECIALTIES]


def invent_staff(rng: Random, today: date) -> list[Member]:
    """Invent the whole staff: doctors for every department that treats, pharmacists, nurses."""
    treating = [specialty for specialty in SPECIALTIES if specialty.conditions]
    pharmacy, nursing = SPECIALTIES[-2:]
    posts = [(Role.DOCTOR, specialty) for specialty in treating for _ in range(DOCTORS_PER_DEPARTMENT)]
    posts += [(Role.PHARMACIST, pharmacy)] * PHARMACISTS + [(Role.NURSE, nursing)] * NURSES
    return [invent_member(rng, index + 1, role, specialty, today) for index, (role, specialty) in enumerate(posts)]


def invent_member(rng: Random, number: int, role: Role, specialty: Specialty, today: date) -> Member:
    """Invent one member; equal running numbers give equal staff numbers."""
    sex = rng.choice((MALE, FEMALE))
    born_on = date(today.year - rng.randint(*_AGES), rng.randint(1, 12), rng.randint(1, 28))
    works_from = date(born_on.year + _WORKS_FROM_AGE, 7, 1)
    qualified_on = works_from + timedelta(days=365 + rng.randrange(200))
    sequence = number * 2 % 1000 + (1 if sex == MALE else 0)
    return Member(
        number=f"{role.value[0].upper()}{number:05d}",
        name=invent_name(rng),
        sex=sex,
        born_on=born_on,
        id_number=id_number(rng.choice(tuple(AREAS)), born_on, sequence),
        specialty=specialty,
        role=role,
        rank=rng.randint(1, 4),
        works_from=works_from,
        qualified_on=qualified_on,
        licensed_on=qualified_on + timedelta(days=30 + rng.randrange(90)),
        phone=invent_phone(rng),
    )
