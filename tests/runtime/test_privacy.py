from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.runtime.privacy import DROPPED, NAMES, NUMBERS, cleaned, is_event
from qianzhi.specs.model import Severity

BATCH = UUID("01930000-0000-7000-8000-000000000001")


def test_counts_codes_states_and_identifiers_pass() -> None:
    """What says how the work goes stays in a log."""
    entry = {
        "dataset": "treatment_record",
        "code": "V06.1",
        "severity": Severity.WARNING,
        "batch": BATCH,
        "institution": "12440000455858456A",
        "rows": 20000,
        "seconds": 1.25,
        "row_ids": [1, 2, 3],
        "due_at": datetime(2026, 11, 20, 3, tzinfo=UTC),
        "constraint": None,
        "field": "ZJHM",
    }

    assert cleaned(entry) == {
        **entry,
        "severity": "warning",
        "batch": str(BATCH),
        "due_at": "2026-11-20T03:00:00+00:00",
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("XM", "Zhang San"),
        ("value", "1"),
        ("detail", 3),
        ("dataset", "张三"),
        ("dataset", "Zhang San"),
        ("field", "110101199003070000"),
        ("field", "11010119900307000X"),
        ("code", "110101900307000"),
        ("name", "13800138000"),
        ("state", "x" * 301),
        ("rows", "110101199003070000"),
        ("dataset", {"XM": 1}),
        ("row", object()),
    ],
)
def test_what_may_be_about_a_person_is_dropped(key: str, value: object) -> None:
    """An unknown key, a name in any script, an identity or telephone number, and free text do not pass."""
    assert cleaned({key: value}) == {key: DROPPED}


def test_lists_are_cleaned_and_bounded() -> None:
    """Every item is judged, and only the first twenty are kept."""
    assert cleaned({"ids": ["a", "张三"], "rows": list(range(100))}) == {"ids": ["a", DROPPED], "rows": list(range(20))}


@given(
    st.sampled_from(sorted(NAMES | NUMBERS)),
    st.text(st.characters(min_codepoint=0x3400, max_codepoint=0x9FFF), min_size=1),
)
def test_no_chinese_text_passes_under_any_name(key: str, text: str) -> None:
    """Names of things are written in ASCII; a patient's name never is."""
    assert cleaned({key: text}) == {key: DROPPED}


@given(
    st.sampled_from(sorted((NAMES | NUMBERS) - {"digest", "institution", "batch", "receipt"})),
    st.from_regex(r"\A\d{17}[0-9X]\Z"),
)
def test_no_identity_number_passes_as_text(key: str, number: str) -> None:
    """Eighteen digits are dropped wherever they are not an identifier of ours."""
    assert cleaned({key: number}) == {key: DROPPED}


def test_an_event_has_three_fixed_words() -> None:
    """`area:subject:action`, and nothing that was formatted in."""
    assert is_event("gateway:batch:sent")
    assert not is_event("gateway:batch")
    assert not is_event("Batch 7 of Zhang sent")
    assert not is_event(7)
