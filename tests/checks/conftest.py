from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.checks import tiny

from qianzhi.checks.checker import Checked, checker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import polars as pl

    from qianzhi.specs.model import Dataset, Regulator


@pytest.fixture(scope="session")
def regulator() -> Regulator:
    """The tiny regulator."""
    return tiny.make_regulator(tiny.PERSON, tiny.VISIT)


@pytest.fixture(scope="session")
def visit() -> Dataset:
    """Its dataset with rules of every kind."""
    return tiny.VISIT


@pytest.fixture(scope="session")
def visits() -> Callable[..., pl.DataFrame]:
    """Makes a raw frame of good visits, each changed by one mapping."""

    def raw(*changes: Mapping[str, str | None]) -> pl.DataFrame:
        return tiny.make_raw(tiny.VISIT, [{**tiny.GOOD, **change} for change in changes])

    return raw


@pytest.fixture(scope="session")
def checked(regulator: Regulator, visit: Dataset, visits: Callable[..., pl.DataFrame]) -> Callable[..., Checked]:
    """Checks good visits, each changed by one mapping."""
    visit_checker = checker(regulator, visit)

    def check(*changes: Mapping[str, str | None]) -> Checked:
        return visit_checker.check(visits(*changes), as_of=tiny.AS_OF)

    return check


@pytest.fixture(scope="session")
def found(checked: Callable[..., Checked]) -> Callable[..., list[tuple[object, ...]]]:
    """Checks good visits, each changed by one mapping, and tells (row_id, code, class, field) of each finding."""

    def find(*changes: Mapping[str, str | None]) -> list[tuple[object, ...]]:
        return checked(*changes).findings.select("row_id", "code", "class", "field").rows()

    return find
