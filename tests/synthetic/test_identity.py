from __future__ import annotations

from datetime import date

import pytest
from id_validator import validator

from qianzhi.synthetic.catalogue import AREAS
from qianzhi.synthetic.identity import credit_code, id_check, id_number, organisation_code


def test_id_numbers_are_valid_for_an_independent_validator() -> None:
    """Every sequence of every county gives a number that id-validator takes, with the sex that its parity says."""
    for place, area in enumerate(AREAS):
        for sequence in range(place, 1000, 331):
            number = id_number(area, date(1990, 5, 1 + place), sequence)
            assert validator.is_valid(number), number
            assert validator.get_info(number)["sex"] == sequence % 2


@pytest.mark.parametrize(("body", "sign"), [("11010519491231002", "X"), ("44052418800101001", "4")])
def test_check_digits_are_those_the_standard_prints(body: str, sign: str) -> None:
    """The two examples of GB 11643 come out."""
    assert id_check(body) == sign


def test_a_credit_code_has_the_check_sign_the_standard_prints() -> None:
    """The example of GB 32100, whose organisation code is not numeric, comes out."""
    assert credit_code("91", "350100", "M000100Y4") == "91350100M000100Y43"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("00000000", "000000000"),  # sum 0: 11 stands as 0
        ("00000005", "000000051"),  # 5 x 2 = 10: 11 - 10
        ("00000006", "00000006X"),  # 6 x 2 = 12, rest 1: 10 stands as X
        ("10000000", "100000008"),  # 1 x 3: 11 - 3
    ],
)
def test_organisation_codes_follow_the_weights(body: str, code: str) -> None:
    """GB 11714 by hand: weights 3 7 9 10 5 8 4 2, eleven less the rest."""
    assert organisation_code(body) == code
