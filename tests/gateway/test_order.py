from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.checks.tiny import make_dataset, make_raw

from qianzhi.gateway.order import behind

DATASET = make_dataset([])


def staged(*rows: tuple[int, str | None, str | None]) -> pl.DataFrame:
    """Return raw rows of (row_id, key, time)."""
    raw = make_raw(DATASET, [{"JGDM": "1", "MZH": key, "SJSCSJ": at, "CXBZ": "1"} for _, key, at in rows])
    return raw.with_columns(row_id=pl.Series([row_id for row_id, *_ in rows], dtype=pl.Int64))


def later(raw: pl.DataFrame, *groups: list[int]) -> list[int]:
    """Return the rows that are behind, given the groups of rows that share a key."""
    numbered = [(row_id, number) for number, group in enumerate(groups) for row_id in group]
    repeated = pl.DataFrame(numbered, schema={"row_id": pl.Int64, "key_text_hash": pl.Int64}, orient="row")
    found = behind(raw, repeated, DATASET)
    assert found.dtype == pl.Int64
    return sorted(found.to_list())


def test_the_earliest_row_of_a_group_is_not_behind() -> None:
    """By the time it happened, not by the order of arrival."""
    raw = staged((1, "A", "2026-11-19 12:00:00"), (2, "A", "2026-11-19 11:00:00"), (3, "A", "2026-11-19 13:00:00"))
    assert later(raw, [1, 2, 3]) == [1, 3]


def test_rows_of_one_second_go_by_their_id() -> None:
    """However the group lists them."""
    raw = staged((9, "A", "2026-11-19 11:00:00"), (8, "A", "2026-11-19 11:00:00"))
    assert later(raw, [9, 8]) == [9]


def test_rows_without_a_readable_time_come_last() -> None:
    """One that is absent and one that is nonsense, after every other."""
    raw = staged((1, "A", None), (2, "A", "soon"), (3, "A", "2026-11-19 11:00:00"))
    assert later(raw, [1, 2, 3]) == [1, 2]
    assert later(raw.filter(pl.col("row_id") < 3), [1, 2]) == [2]


def test_groups_do_not_mix() -> None:
    """Each has a first row of its own."""
    raw = staged((1, "A", "2026-11-19 11:00:00"), (2, "B", "2026-11-19 12:00:00"), (3, "A", "2026-11-19 10:00:00"))
    assert later(raw, [1, 3], [2]) == [1]


def test_nothing_is_behind_nothing() -> None:
    """No groups, no rows."""
    assert later(staged()) == []


def test_rows_without_a_whole_key_have_no_order() -> None:
    """They name no record, so none of them waits for another."""
    raw = staged((1, None, None), (2, " ", None), (3, "", None), (4, "A", None), (5, "A", None))
    assert later(raw, [1, 2, 3], [4, 5]) == [5]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABC"), st.none() | st.integers(0, 3)), max_size=12))
def test_exactly_one_row_of_each_group_is_not_behind(rows: list[tuple[str, int | None]]) -> None:
    """It is the least by time and id."""
    raw = staged(
        *(
            (row_id, key, None if at is None else f"2026-11-19 1{at}:00:00")
            for row_id, (key, at) in enumerate(rows, start=1)
        )
    )
    groups: dict[str, list[tuple[bool, int, int]]] = {}
    for row_id, (key, at) in enumerate(rows, start=1):
        groups.setdefault(key, []).append((at is None, at or 0, row_id))
    first = {min(group)[2] for group in groups.values()}
    shared = [[row_id for *_, row_id in group] for group in groups.values()]
    assert later(raw, *shared) == [row_id for row_id in range(1, len(rows) + 1) if row_id not in first]
