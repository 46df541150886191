from __future__ import annotations

import random
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest
from id_validator import validator

from qianzhi.checks import identifiers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AREAS = ("440103", "110101", "659004", "310230")  # the last one is historical: Chongming was a county until 2016


def told(macro: Callable[[pl.Expr], pl.Expr], *texts: str | None) -> list[object]:
    """Return what a macro says of texts."""
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    return frame.select(macro(pl.col("text"))).to_series().to_list()


def id_check(first: str) -> str:
    """Compute the check digit of GB 11643 as the standard writes it: ISO 7064, MOD 11-2."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(first))
    return "0123456789X"[(12 - total % 11) % 11]


def uscc_check(first: str) -> str:
    """Compute the check sign of GB 32100: ISO 7064, MOD 31-3."""
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    total = sum(signs.index(sign) * pow(3, place, 31) for place, sign in enumerate(first))
    return signs[-total % 31]


def orgcode_check(first: str) -> str:
    """Compute the check sign of GB 11714."""
    weights = (3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(sign, 36) * weight for sign, weight in zip(first, weights, strict=True))
    return {10: "X", 11: "0"}.get(11 - total % 11, str(11 - total % 11))


@pytest.fixture(scope="module")
def numbers() -> Sequence[str]:
    """Citizens' numbers with right check digits."""
    chance = random.Random(11643)  # the same numbers in every run
    bodies = []
    for _ in range(2_000):
        birth = date(1930, 1, 1) + timedelta(days=chance.randrange(35_000))
        bodies.append(f"{chance.choice(AREAS)}{birth:%Y%m%d}{chance.randrange(1000):03d}")
    return [body + id_check(body) for body in bodies]


def test_numbers_with_right_check_digits_are_valid(numbers: Sequence[str]) -> None:
    """All eleven check digits come out right."""
    assert {number[-1] for number in numbers} == set("0123456789X")
    assert all(told(identifiers.id_valid, *numbers))


def test_a_changed_digit_makes_a_number_invalid(numbers: Sequence[str]) -> None:
    """The check finds every single wrong digit, and agrees with another implementation."""
    chance = random.Random(1)  # the same numbers in every run
    wrong = []
    for number in numbers:
        place = chance.randrange(14, 18)
        digit = chance.choice([sign for sign in "0123456789" if sign != number[place]])
        wrong.append(number[:place] + digit + number[place + 1 :])

    assert not any(told(identifiers.id_valid, *wrong))
    assert not any(validator.is_valid(number) for number in wrong[:20])
    # That one also asks for an area that was valid at birth, which some of ours were not.
    assert sum(validator.is_valid(number) for number in numbers[:20]) > 10


@pytest.mark.parametrize(
    "text",
    [
        "",
        "44010319800101001",  # 17
        "4401031980010100100",  # 19
        "44010319800230001" + id_check("44010319800230001"),  # 30 February
        "04010319800101001" + id_check("04010319800101001"),  # no area begins with 0
        "４４０１０３１９８００１０１００１０",
        "44010319800101001x",
        "440103800230001",  # 15 digits, 30 February
        "44010380013200",  # 14
        "无",
    ],
)
def test_what_is_no_number_is_invalid(text: str) -> None:
    """Length, date, area and signs are checked before the check digit."""
    assert told(identifiers.id_valid, text) == [False]


def test_the_old_form_of_fifteen_digits_is_valid() -> None:
    """It has no check digit, and lies in the twentieth century."""
    old = "440103800101001"

    assert told(identifiers.id_valid, old) == [True]
    assert told(identifiers.id_birth, old) == [date(1980, 1, 1)]
    assert told(identifiers.id_sex, old, "440103800101002") == ["1", "2"]


def test_birth_and_sex_stand_in_the_number() -> None:
    """Digits 7 to 14 are the date of birth; an odd seventeenth digit is male."""
    assert told(identifiers.id_birth, "440103198002290013", "440103198002300013", "无", None) == [
        date(1980, 2, 29),
        None,
        None,
        None,
    ]
    assert told(identifiers.id_sex, "440103198002290013", "440103198002290021", "无", None) == ["1", "2", None, None]


def test_areas_of_today_and_of_the_past_are_known() -> None:
    """GB/T 2260 as it is and as it was."""
    assert told(identifiers.id_area, *(f"{area}198001010013" for area in AREAS)) == [True] * 4
    assert told(identifiers.id_area, "999999198001010013", None) == [False, None]


def test_credit_codes_with_right_check_signs_are_valid() -> None:
    """Every check sign comes out right, and every other one is wrong."""
    chance = random.Random(32100)  # the same numbers in every run
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    firsts = [
        f"{chance.choice('159')}{chance.choice('12')}440103{''.join(chance.choices(signs, k=9))}" for _ in range(2_000)
    ]
    right = [first + uscc_check(first) for first in firsts]
    wrong = [first + signs[(signs.index(uscc_check(first)) + 1) % 31] for first in firsts]

    assert {code[-1] for code in right} == set(signs)
    assert all(told(identifiers.uscc_valid, *right))
    assert not any(told(identifiers.uscc_valid, *wrong))


def test_a_published_credit_code_is_valid() -> None:
    """The example that GB 32100-2015 is usually shown with, and what is no credit code."""
    assert told(identifiers.uscc_valid, "91350100M000100Y43", None) == [True, None]
    assert told(identifiers.uscc_valid, "91350100M000100Y44", "91350100I000100Y43", "9135", "") == [False] * 4


def test_organisation_codes_with_right_check_signs_are_valid() -> None:
    """With the hyphen or without it."""
    chance = random.Random(11714)  # the same numbers in every run
    firsts = ["".join(chance.choices("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=8)) for _ in range(2_000)]
    right = [first + orgcode_check(first) for first in firsts]

    assert {code[-1] for code in right} == set("0123456789X")
    assert all(told(identifiers.orgcode_valid, *right))
    assert all(told(identifiers.orgcode_valid, *(f"{code[:8]}-{code[8]}" for code in right)))
    assert not any(told(identifiers.orgcode_valid, *(code[:8] + str((int(code[8], 36) + 1) % 10) for code in right)))
    assert told(identifiers.orgcode_valid, None, "", "D2143569", "d2143569x") == [None, False, False, False]


def test_the_example_of_the_standard_is_valid() -> None:
    """GB 11714 computes D2143569-X."""
    assert told(identifiers.orgcode_valid, "D2143569X") == [True]


@pytest.mark.parametrize(
    "macro", [identifiers.id_valid, identifiers.uscc_valid, identifiers.orgcode_valid, identifiers.id_area]
)
def test_a_missing_text_is_neither_valid_nor_invalid(macro: Callable[[pl.Expr], pl.Expr]) -> None:
    """SQL does not know of nothing whether it is valid."""
    assert told(macro, None) == [None]
