"""What a synthetic hospital owns: itself, service points, devices, offices, the figures of its months."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from qianzhi.synthetic.catalogue import AREAS, DEVICES, OFFICES, POINTS
from qianzhi.synthetic.identity import credit_code, organisation_code
from qianzhi.synthetic.people import invent_name

if TYPE_CHECKING:
    from random import Random

MONTHS_TOLD = 12
_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Institution:
    """The internet hospital and the physical one behind it."""

    subject: ClassVar[str] = "institution"

    code: str
    credit_code: str
    name: str
    physical_credit_code: str
    physical_name: str
    area: str
    address: str
    founded_on: date
    licensed_until: date
    licence: str
    head: str
    phone: str
    capital: Decimal  # ten thousand yuan
    partner_code: str
    partner_name: str
    partner_until: date
    note: str = ""

    @property
    def identity(self) -> str:
        """What tells this institution from the others."""
        return self.code


@dataclass(frozen=True, slots=True)
class Point:
    """A place where patients of the internet hospital are served."""

    subject: ClassVar[str] = "service_point"

    code: str
    name: str
    institution: Institution
    founded_on: date
    note: str = ""

    @property
    def identity(self) -> str:
        """What tells this point from the others."""
        return self.code


@dataclass(frozen=True, slots=True)
class Device:
    """A server, a network device or a piece of software."""

    subject: ClassVar[str] = "device"

    code: str
    name: str
    kind: str
    count: int
    bought_on: date
    price: Decimal
    life_years: int
    note: str = ""

    @property
    def identity(self) -> str:
        """What tells this device from the others."""
        return self.code


@dataclass(frozen=True, slots=True)
class Contact:
    """An administrative office with its head."""

    subject: ClassVar[str] = "contacts"

    office: str
    head: str
    phone: str

    @property
    def identity(self) -> str:
        """What tells this office from the others."""
        return self.office


@dataclass(frozen=True, slots=True)
class Month:
    """The figures of one month, in yuan."""

    subject: ClassVar[str] = "institution_business"

    month: str  # YYYYMM
    staff: int
    income: Decimal
    spending: Decimal
    liquid: Decimal
    invested: Decimal
    fixed: Decimal
    intangible: Decimal
    debt: Decimal
    doctors_daily: int

    @property
    def identity(self) -> str:
        """What tells this month from the others."""
        return self.month

    @property
    def assets(self) -> Decimal:
        """All assets."""
        return self.liquid + self.invested + self.fixed + self.intangible


def invent_institution(rng: Random, code: str, first_on: date) -> Institution:
    """Invent the hospital that opens its data on `first_on`."""
    area = rng.choice(tuple(AREAS))
    syllable = rng.choice("和康宁安仁济惠泽")
    physical = f"{AREAS[area]}{syllable}示例医院"
    return Institution(
        code=code,
        credit_code=_credit_code(rng, "12", area),
        name=f"{physical}互联网医院",
        physical_credit_code=_credit_code(rng, "12", area),
        physical_name=physical,
        area=area,
        address=f"广东省{AREAS[area]}示例路{rng.randint(1, 200)}号",
        founded_on=first_on - _YEAR * 2 - timedelta(days=rng.randrange(300)),
        licensed_until=first_on + _YEAR * 3,
        licence=f"PDY{rng.randrange(10**14):014d}",
        head=invent_name(rng),
        phone=invent_landline(rng),
        capital=Decimal(rng.randint(500, 5000)),
        partner_code=_credit_code(rng, "91", area),
        partner_name=f"{AREAS[area]}{syllable}示例科技有限公司",
        partner_until=first_on + _YEAR * 2,
    )


def invent_points(rng: Random, institution: Institution) -> list[Point]:
    """Invent the service points."""
    return [
        Point(f"FW{index + 1:03d}", name, institution, institution.founded_on + timedelta(days=30 + rng.randrange(300)))
        for index, name in enumerate(POINTS)
    ]


def invent_devices(rng: Random, institution: Institution) -> list[Device]:
    """Invent the devices."""
    return [invent_device(rng, index + 1, institution) for index in range(len(DEVICES))]


def invent_device(rng: Random, number: int, institution: Institution) -> Device:
    """Invent one device; equal running numbers give equal codes."""
    name, kind = DEVICES[(number - 1) % len(DEVICES)]
    return Device(
        code=f"SB{number:05d}",
        name=name,
        kind=kind,
        count=rng.randint(1, 8),
        bought_on=institution.founded_on + timedelta(days=rng.randrange(300)),
        price=Decimal(rng.randint(1000, 900_000)) + Decimal("0.50"),
        life_years=rng.randint(5, 10),
    )


def invent_contacts(rng: Random) -> list[Contact]:
    """Invent the administrative offices."""
    return [Contact(office, invent_name(rng), invent_landline(rng)) for office in OFFICES]


def invent_months(rng: Random, first_on: date) -> list[Month]:
    """Invent the figures of the twelve months before the month of `first_on`."""
    return [invent_month(rng, first_on, back) for back in range(MONTHS_TOLD, 0, -1)]


def invent_month(rng: Random, day: date, back: int) -> Month:
    """Invent the figures of the month so many months before that of `day`."""
    year, month = divmod(day.year * 12 + day.month - 1 - back, 12)
    return Month(
        month=f"{year:04d}{month + 1:02d}",
        staff=rng.randint(60, 400),
        income=_yuan(rng, 500_000),
        spending=_yuan(rng, 400_000),
        liquid=_yuan(rng, 3_000_000),
        invested=_yuan(rng, 200_000),
        fixed=_yuan(rng, 5_000_000),
        intangible=_yuan(rng, 300_000),
        debt=_yuan(rng, 1_000_000),
        doctors_daily=rng.randint(5, 24),
    )


def invent_landline(rng: Random) -> str:
    """Return a number of the area code 020 whose exchange (0…) is given to nobody."""
    return f"0200{rng.randrange(10**7):07d}"


def _yuan(rng: Random, most: int) -> Decimal:
    return Decimal(rng.randint(most, most * 200)) / 100


def _credit_code(rng: Random, prefix: str, area: str) -> str:
    return credit_code(prefix, area, organisation_code(f"{rng.randrange(10**8):08d}"))
