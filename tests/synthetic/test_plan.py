from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.synthetic import Plan


@pytest.mark.parametrize(
    "wrong",
    [
        {"people": 0},
        {"days": 0},
        {"fault_rate": 0.9},
        {"institution": "44A"},
        {"institution": "４４"},
        {"institution": "1" * 31},
        {"images": Path("images")},
        {"images": Path("/" + "x" * 200)},
    ],
)
def test_a_plan_outside_its_bounds_is_refused(wrong: dict[str, object], plan_of: Callable[..., Plan]) -> None:
    """Whatever no hospital could be says so at once and not in the middle of a run."""
    with pytest.raises(ConfigurationError):
        plan_of(**wrong)


def test_the_days_end_with_the_last_one(plan_of: Callable[..., Plan]) -> None:
    """Three days up to the first of March of a leap year begin on the 28th of February."""
    assert plan_of(days=3, last_on=date(2028, 3, 1)).dates == (date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1))
