"""A hospital's own codes become standard ones, and what is not covered is counted."""

from __future__ import annotations

import polars as pl
import pytest

from qianzhi.codes.domain import Domain, domain
from qianzhi.codes.mapping import COUNTS, CodeMap, coverage, parse_code_map
from qianzhi.errors import ConfigurationError
from qianzhi.specs.model import CodeSystem, Status


@pytest.fixture
def sex() -> Domain:
    """Sex, as GB/T 2261.1 has it."""
    codes = {"0": "未知的性别", "1": "男性", "2": "女性", "9": "未说明的性别"}
    return domain(CodeSystem("GB/T 2261.1", "性别代码", "GB/T 2261.1-2003", Status.FOUND, codes))


LOCAL = "local,standard,note\nM,1,男\nF,2,\n男,1,\n".encode()


def test_local_codes_become_standard_ones(sex: Domain) -> None:
    """A mapped value changes, blanks around it aside; every other stays for the checks to name."""
    mapped = parse_code_map(LOCAL, sex, name="sex.csv").apply(
        pl.Series("XBDM", ["M", " F ", "男", "1", " Z", "", None])
    )
    assert mapped.to_list() == ["1", "2", "1", "1", " Z", "", None]
    assert mapped.name == "XBDM"
    assert mapped.dtype == pl.String


@pytest.mark.parametrize("values", [[], [None, None]])
def test_nothing_to_map(sex: Domain, values: list[None]) -> None:
    """An empty column and a column of missing values stay as they are."""
    series = pl.Series("XBDM", values, dtype=pl.String)
    assert parse_code_map(LOCAL, sex, name="sex.csv").apply(series).to_list() == values
    assert CodeMap("GB/T 2261.1", {}).apply(series).to_list() == values


def test_empty_map_changes_nothing() -> None:
    """A map without rows leaves every value."""
    assert CodeMap("GB/T 2261.1", {}).apply(pl.Series("XBDM", ["M"])).to_list() == ["M"]


def test_coverage_counts_rows(sex: Domain) -> None:
    """A value is covered when it is mapped or standard itself; missing values need no code."""
    counts = pl.DataFrame({"local": ["M", "1", "Z", "", None, "X"], "rows": [50, 30, 15, 7, 8, 5]}, schema=COUNTS)
    found = coverage(parse_code_map(LOCAL, sex, name="sex.csv"), sex, counts)
    assert found.frame.rows() == [("M", 50, "1"), ("1", 30, "1"), ("Z", 15, None), ("X", 5, None)]
    assert found.missing["local"].to_list() == ["Z", "X"]
    assert found.share == pytest.approx(0.8)


def test_coverage_of_nothing_is_whole(sex: Domain) -> None:
    """Where no value was counted, none is missing."""
    found = coverage(parse_code_map(LOCAL, sex, name="sex.csv"), sex, pl.DataFrame(schema=COUNTS))
    assert found.share == 1.0
    assert found.frame.schema == {"local": pl.String, "rows": pl.Int64, "standard": pl.String}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"local;standard;note\n", "line 1: its first line is not the header"),
        (b"", "line 1: its first line is not the header"),
        (b"local,standard,note\nM,1\n", "line 2: there are 2 cells"),
        (b"local,standard,note\nM,1,\nF,,\n", "line 3: a code is empty"),
        (b"local,standard,note\nM,1,\n\nM,2,\n", "line 4: the local code of line 2 comes again"),
        (b"local,standard,note\nM,7,\n", "line 2: '7' is no code of GB/T 2261.1"),
        ("local,standard,note\n男,1,\n".encode("gb18030"), "line 1: it is not UTF-8"),
    ],
)
def test_wrong_map_is_refused(sex: Domain, content: bytes, message: str) -> None:
    """A map is refused with the line that is wrong."""
    with pytest.raises(ConfigurationError) as caught:
        parse_code_map(content, sex, name="sex.csv")
    assert caught.value.what == f"The code map sex.csv, {message}."
    assert caught.value.remedy


def test_huge_map_is_refused(sex: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the bound is refused before it is parsed."""
    monkeypatch.setattr("qianzhi.codes.mapping.MAP_BYTES_MAX", 10)
    with pytest.raises(ConfigurationError, match="larger than 10 bytes"):
        parse_code_map(LOCAL, sex, name="sex.csv")


def test_mark_of_a_spreadsheet_is_no_part_of_the_header(sex: Domain) -> None:
    """A CSV file with a byte order mark is read."""
    assert parse_code_map(b"\xef\xbb\xbf" + LOCAL, sex, name="sex.csv").rows["男"] == "1"
