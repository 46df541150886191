"""Which delivered row a line speaks of."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.gateway.official import matching
from qianzhi.gateway.official.lines import LINE
from qianzhi.gateway.official.matching import match
from qianzhi.ledger.deliveries import DELIVERY

KEY = {"key_hash": 1, "key_check": 2}


def lines(*said: dict[str, Any]) -> pl.DataFrame:
    """Return sound lines of one record, told at 100 unless said otherwise."""
    rows = [
        KEY | {"told_us": 100, "accepted": True, "dataset": "d"} | each | {"place": at} for at, each in enumerate(said)
    ]
    return pl.DataFrame(rows, schema=LINE)


def delivered(*rows: dict[str, Any]) -> pl.DataFrame:
    """Return deliveries of the record, numbered from 1 over there as here."""
    return pl.DataFrame(
        [KEY | {"row_id": at, "remote_id": at} | row for at, row in enumerate(rows, 1)], schema=DELIVERY
    )


@pytest.mark.parametrize(("told", "row_id"), [(9, None), (10, 1), (19, 1), (20, 2), (500, 3)])
def test_a_line_speaks_of_the_newest_row_that_was_there(told: int, row_id: int | None) -> None:
    """What was delivered later cannot have been meant."""
    found = match(lines({"told_us": told}), delivered(*({"delivered_us": at} for at in (10, 20, 30))))
    assert found.news["row_id"].to_list() == ([] if row_id is None else [row_id])
    assert found.unmatched["trouble"].to_list() == ([matching.NOT_DELIVERED] if row_id is None else [])


def test_of_two_rows_of_one_instant_the_later_number_is_newer() -> None:
    """Clocks of databases count microseconds, and may stand still."""
    found = match(lines({}), delivered({"delivered_us": 10}, {"delivered_us": 10}))
    assert found.news["row_id"].to_list() == [2]


def test_a_number_or_a_time_of_the_event_tells_versions_apart() -> None:
    """A number that is none of the record's rows says nothing: it may be one of the console's own."""
    versions = delivered({"delivered_us": 10, "occurred_us": 5}, {"delivered_us": 20, "occurred_us": 6})
    said = ({"remote_id": 1}, {"remote_id": 99}, {"occurred_us": 5}, {"occurred_us": 7})
    found = match(lines(*said), versions)
    assert found.news.select("place", "row_id").rows() == [(0, 1), (1, 2), (2, 1)]
    assert found.unmatched.select("place", "trouble").rows() == [(3, matching.OTHER_VERSION)]


def test_a_row_that_was_recognised_later_is_known_by_its_event() -> None:
    """The console spoke before the ledger knew of the row; a line that names no event settles nothing."""
    versions = delivered({"delivered_us": 200, "occurred_us": 5}, {"delivered_us": 201, "occurred_us": 6})
    found = match(lines({"occurred_us": 6}, {"occurred_us": 7}, {}), versions)
    assert found.news.select("place", "row_id").rows() == [(0, 2)]
    assert found.unmatched["trouble"].to_list() == [matching.NOT_DELIVERED] * 2


def test_another_record_of_the_same_hash_is_not_meant() -> None:
    """A hit by the first hash is verified by the second."""
    found = match(lines({"key_check": 3}), delivered({"delivered_us": 10}))
    assert found.news.is_empty()


def test_what_is_known_changes_nothing_and_what_contradicts_is_told() -> None:
    """The first word on a row stands."""
    answered = delivered({"delivered_us": 10, "answer": 1})
    found = match(lines({"accepted": True}, {"accepted": False}), answered)
    assert (found.news.height, found.known["place"].to_list()) == (0, [0])
    assert found.unmatched.select("place", "trouble").rows() == [(1, matching.CONTRADICTS)]


def test_a_file_that_says_both_of_a_row_says_nothing() -> None:
    """Neither word is believed."""
    found = match(lines({"accepted": True}, {"accepted": False}), delivered({"delivered_us": 10}))
    assert found.news.is_empty()
    assert found.unmatched["trouble"].to_list() == [matching.BOTH, matching.BOTH]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.one_of(st.none(), st.integers(1, 6))), max_size=8),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([None, 0, 1])), max_size=5),
)
def test_every_line_has_one_place(
    said: list[tuple[int, bool, int | None]], there: list[tuple[int, int | None]]
) -> None:
    """It is news, known, or left over; and no row gets two words."""
    given_lines = lines(*({"told_us": told, "accepted": word, "remote_id": nr} for told, word, nr in said))
    found = match(given_lines, delivered(*({"delivered_us": at, "answer": known} for at, known in there)))
    places = [*found.news["place"], *found.known["place"], *found.unmatched["place"]]
    assert sorted(places) == list(range(len(said)))
    assert (
        found.news.group_by("row_id").agg(pl.col("accepted").n_unique())["accepted"].to_list()
        == [1] * found.news["row_id"].n_unique()
    )
    assert (found.news["delivered_us"] <= found.news["told_us"]).all()
