from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.gateway.evidence.ranges import RANGES_MAX, content_range, ranges_of


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        (None, None),
        ("bytes=0-9", [range(10)]),
        ("BYTES=0-", [range(100)]),
        ("bytes=-1", [range(99, 100)]),
        ("bytes=-1000", [range(100)]),
        ("bytes=90-1000", [range(90, 100)]),
        ("bytes=0-0, 5-5", [range(1), range(5, 6)]),
        ("bytes=100-", []),
        ("bytes=-0", []),
        ("bytes=100-,0-0", [range(1)]),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=2-1", None),
        ("bytes=0x0-1", None),
        ("bytes=１-２", None),
        ("items=0-1", None),
        ("bytes=0-99,0-99", None),  # more than there is: a way to be sent a file many times
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(RANGES_MAX + 1)), None),
        ("bytes=0-" + "9" * 600, None),
    ],
)
def test_headers_mean_what_the_standard_says(header: str | None, parts: list[range] | None) -> None:
    """RFC 9110, 14.1.2 and 14.2: what cannot be read or is abusive is the whole file; nothing to give is 416."""
    assert ranges_of(header, 100) == parts


@given(st.text(alphabet="bytes=0123456789-, x", max_size=60), st.integers(0, 10**12))
def test_parts_lie_within_the_file_and_are_no_more_than_it(header: str, size: int) -> None:
    """For every header and size."""
    parts = ranges_of(header, size)

    for part in parts or ():
        assert 0 <= part.start < part.stop <= size
        assert content_range(part, size) == f"bytes {part[0]}-{part[-1]}/{size}"
    assert sum(map(len, parts or ())) <= size


def test_any_part_of_any_file_can_be_asked_for() -> None:
    """An independent reading: the bytes of a slice."""
    content = bytes(range(20))
    for first in range(20):
        for last in range(first, 20):
            parts = ranges_of(f"bytes={first}-{last}", 20) or []
            assert [content[part.start : part.stop] for part in parts] == [content[first : last + 1]]
