from __future__ import annotations

from datetime import date
from random import Random

import pytest

from qianzhi.synthetic.people import Registry, age_months, age_years


@pytest.mark.parametrize(
    ("born_on", "at", "years"),
    [
        (date(2000, 2, 29), date(2026, 2, 28), 25),
        (date(2000, 2, 29), date(2026, 3, 1), 26),
        (date(1980, 11, 19), date(2026, 11, 19), 46),
        (date(1980, 11, 20), date(2026, 11, 19), 45),
    ],
)
def test_age_counts_full_years(born_on: date, at: date, years: int) -> None:
    """A year is full on the birthday, and on the first of March for a leap day."""
    assert age_years(born_on, at) == years


@pytest.mark.parametrize(
    ("born_on", "at", "text"),
    [
        (date(2025, 12, 3), date(2026, 11, 19), "11 16/30"),  # the form that the client sends
        (date(2026, 1, 31), date(2026, 3, 1), "1 0/30"),
        (date(2026, 10, 19), date(2026, 11, 19), "1 0/30"),
        (date(2025, 11, 19), date(2026, 11, 19), None),
    ],
)
def test_infants_have_months_and_thirtieths(born_on: date, at: date, text: str | None) -> None:
    """Below one year the age is told as months and days of thirty; later it is not told."""
    assert age_months(born_on, at) == text


def test_nobody_shares_a_number_or_a_card() -> None:
    """However many are registered, identity numbers and cards are unique."""
    registry, rng = Registry(), Random(3)  # made-up people
    people = [registry.register(rng, date(2026, 11, 19)) for _ in range(20_000)]
    assert len({person.id_number for person in people}) == len(people)
    assert len({person.identity for person in people}) == len(people)


def test_phones_are_given_to_nobody() -> None:
    """Invented mobile numbers stand in the range 10…, which no operator has."""
    registry, rng = Registry(), Random(4)  # made-up people
    phones = [registry.register(rng, date(2026, 11, 19)).phone for _ in range(100)]
    assert all(phone.startswith("10") and len(phone) == 11 for phone in phones)
