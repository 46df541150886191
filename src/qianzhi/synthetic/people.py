"""People who do not exist."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, ClassVar

from qianzhi.errors import OperatorError
from qianzhi.synthetic.catalogue import AREAS, SURNAMES, SYLLABLES_FIRST, SYLLABLES_SECOND
from qianzhi.synthetic.identity import id_number

if TYPE_CHECKING:
    from random import Random

MALE, FEMALE = "1", "2"
CHILD_YEARS = 14
OLDEST_YEARS = 92
_DAYS_PER_YEAR = 365.2425
_CARDLESS_SHARE = 0.4
_PASSPORT_SHARE = 0.02
_INFANT_SHARE = 0.02
_INFANT_DAYS = (40, 350)
_TRIES_MAX = 100


@dataclass(frozen=True, slots=True)
class Person:
    """Someone registered with the hospital. `card_kind`: 9 means that the identity number stands for a card."""

    subject: ClassVar[str] = "person"

    number: int
    name: str
    sex: str
    born_on: date
    id_kind: str
    id_number: str
    card_kind: str
    card: str
    area: str
    phone: str
    contact: str
    note: str = ""

    @property
    def identity(self) -> str:
        """What tells this person from all others of the hospital."""
        return f"{self.card_kind}/{self.card}"


def invent_person(rng: Random, number: int, today: date) -> Person:
    """Invent the person with this running number; equal numbers of two calls give equal cards."""
    sex = rng.choice((MALE, FEMALE))
    born_on = _birth(rng, today)
    area = rng.choice(tuple(AREAS))
    passport = rng.random() < _PASSPORT_SHARE
    document = f"E{number:08d}" if passport else id_number(area, born_on, _sequence(number, sex))
    cardless = rng.random() < _CARDLESS_SHARE or passport
    return Person(
        number=number,
        name=invent_name(rng),
        sex=sex,
        born_on=born_on,
        id_kind="03" if passport else "01",
        id_number=document,
        card_kind="9" if cardless else rng.choice("13"),
        card=document if cardless else f"K{number:09d}",
        area=area,
        phone=invent_phone(rng),
        contact=invent_name(rng),
    )


class Registry:
    """Gives every person a running number, and no two of them one identity number."""

    def __init__(self) -> None:
        self._numbers: set[str] = set()

    def register(self, rng: Random, today: date) -> Person:
        """Return somebody new."""
        for _ in range(_TRIES_MAX):
            person = invent_person(rng, len(self._numbers) + 1, today)
            if person.id_number not in self._numbers:
                self._numbers.add(person.id_number)
                return person
        raise OperatorError("No free identity number was found.", remedy="Ask for fewer people.")


def invent_name(rng: Random) -> str:
    """Put a name together from three lists of syllables."""
    return rng.choice(SURNAMES) + rng.choice(SYLLABLES_FIRST) + rng.choice(SYLLABLES_SECOND)


def invent_phone(rng: Random) -> str:
    """Return a mobile number in a range that is given to nobody (10…)."""
    return f"10{rng.randrange(10**9):09d}"


def age_years(born_on: date, at: date) -> int:
    """Count full years."""
    return at.year - born_on.year - ((at.month, at.day) < (born_on.month, born_on.day))


def age_months(born_on: date, at: date) -> str | None:
    """Return the age of an infant as months and thirtieths (`11 16/30`); None from one year on."""
    if age_years(born_on, at) >= 1:
        return None
    months = (at.year - born_on.year) * 12 + at.month - born_on.month - (at.day < born_on.day)
    days = (at - _months_after(born_on, months)).days
    return f"{months} {min(max(days, 0), 29)}/30"


def _months_after(born_on: date, months: int) -> date:
    year, month = divmod(born_on.year * 12 + born_on.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    return first + timedelta(days=born_on.day - 1)


def _birth(rng: Random, today: date) -> date:
    if rng.random() < _INFANT_SHARE:
        return today - timedelta(days=rng.randint(*_INFANT_DAYS))
    return today - timedelta(days=int(rng.triangular(2, OLDEST_YEARS, 40) * _DAYS_PER_YEAR))


def _sequence(number: int, sex: str) -> int:
    """Three digits, odd for men; people born on one day in one county differ as far as three digits can tell."""
    return number * 2 % 1000 + (1 if sex == MALE else 0)
