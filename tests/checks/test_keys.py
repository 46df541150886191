from __future__ import annotations

import struct

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.checks.keys import content_hash, is_complete, key_check, key_hash, key_text

# Computed with the reference implementation of xxHash; the lengths reach every branch of XXH3.
XXH3_64 = {
    "": 0x2D06800538D394C2,
    "a": 0xE6C632B61E964E1F,
    "ab": 0xA873719C24D5735C,
    "abc": 0x78AF5F94892F3950,
    "MZ1": 0x9975EC3EB583AC08,
    "MZ12": 0x6D7D09C1A62045C0,
    "12345678": 0x62E29B4CAD9E2EF6,
    "123456789": 0x72DCB18B67A17DFF,
    "张三": 0xE4E305B5A0207282,
    "1234567890123456": 0xD6CFFF267D11AD76,
    "12345678901234567": 0xE4C4D5CF2C91C94E,
    "x" * 64: 0x269CB9F6ACF81244,
    "患者" * 16: 0xE9E8F071F62DC060,
    "0123456789" * 12 + "01234567": 0x2F83C9540EE32C9C,
    "0123456789" * 12 + "012345678": 0x629D0D760A7CA820,
    "y" * 240: 0x5E839BA32D77D222,
    "y" * 241: 0x97295E4657A9E196,
    "测试" * 200: 0xD6369D7C3D20B9FA,
    "0123456789" * 200: 0xBB5C092B45E50578,
}
_PRIMES = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
_MASK = 2**64 - 1

values = st.none() | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)


def _rotated(number: int, bits: int) -> int:
    return (number << bits | number >> (64 - bits)) & _MASK


def _round(lane: int, word: int) -> int:
    return _rotated((lane + word * _PRIMES[1]) & _MASK, 31) * _PRIMES[0] & _MASK


def xxh64(content: bytes) -> int:
    """Return XXH64 with seed 0, written from its specification."""
    p1, p2, p3, p4, p5 = _PRIMES
    full = len(content) // 32 * 32
    lanes = [(p1 + p2) & _MASK, p2, 0, -p1 & _MASK]
    for at in range(0, full, 32):
        lanes = [_round(lane, word) for lane, word in zip(lanes, struct.unpack_from("<4Q", content, at), strict=True)]
    state = p5
    if full:
        state = sum(_rotated(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            state = ((state ^ _round(0, lane)) * p1 + p4) & _MASK
    state = (state + len(content)) & _MASK
    rest = content[full:]
    while len(rest) >= 8:
        state = (_rotated(state ^ _round(0, struct.unpack_from("<Q", rest)[0]), 27) * p1 + p4) & _MASK
        rest = rest[8:]
    if len(rest) >= 4:
        state = (_rotated(state ^ struct.unpack_from("<I", rest)[0] * p1 & _MASK, 23) * p2 + p3) & _MASK
        rest = rest[4:]
    for byte in rest:
        state = _rotated(state ^ byte * p5 & _MASK, 11) * p1 & _MASK
    for shift, factor in ((33, p2), (29, p3), (32, 1)):
        state = (state ^ state >> shift) * factor & _MASK
    return state


def signed(number: int) -> int:
    """Return the same 64 bits as PostgreSQL's bigint holds them."""
    return int(struct.unpack("<q", struct.pack("<Q", number))[0])


def hashed(*row: str | None) -> tuple[int, int]:
    """Return key_hash and key_check of one key."""
    names = [f"F{number}" for number in range(len(row))]
    frame = pl.DataFrame([row], schema=dict.fromkeys(names, pl.String), orient="row")
    probe, check = frame.select(probe=key_hash(names), check=key_check(names)).row(0)
    return probe, check


@pytest.mark.parametrize(("text", "number"), XXH3_64.items(), ids=[str(len(text)) for text in XXH3_64])
def test_a_key_is_probed_by_xxh3(text: str, number: int) -> None:
    """The first hash is XXH3 with 64 bits over the text in UTF-8, whatever its length."""
    assert hashed(text)[0] == signed(number)


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00\x1f"), max_size=60), min_size=1, max_size=4)
)
def test_a_key_is_verified_by_xxh64(row: list[str]) -> None:
    """The second hash is XXH64 over the values joined with U+001F."""
    assert hashed(*row)[1] == signed(xxh64("\x1f".join(row).encode()))


def test_a_key_of_several_fields_is_its_joined_values() -> None:
    """JGDM and MZH of a visit make one text."""
    frame = pl.DataFrame({"JGDM": ["4400"], "MZH": ["MZ1"]})
    assert frame.select(key_text(["JGDM", "MZH"])).item() == "4400\x1fMZ1"


def test_case_and_inner_blanks_make_another_key() -> None:
    """A key is compared letter by letter."""
    assert len({hashed("mz 1"), hashed("MZ 1"), hashed("MZ1"), hashed("MZ  1")}) == 4


@given(st.lists(values, min_size=3, max_size=3), st.lists(values, min_size=3, max_size=3))
def test_different_keys_have_different_texts(one: list[str | None], other: list[str | None]) -> None:
    """No value can pose as two, nor as an absent one, whatever separators it holds."""
    names = ["A", "B", "C"]
    frame = pl.DataFrame([one, other], schema=dict.fromkeys(names, pl.String), orient="row")
    texts = frame.select(text=key_text(names))["text"]
    assert (texts[0] == texts[1]) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("A\x1fB", "C"), ("A", "B\x1fC")),
        (("A\x1f", "B"), ("A", "\x1fB")),
        ((None, "A"), ("", "A")),
        ((None, "\x1fA"), ("\x1f", "A")),
        ((None, "\x01A"), ("\x1f", "A")),
        (("AB", "C"), ("A", "BC")),
    ],
)
def test_the_separator_cannot_be_forged(one: tuple[str | None, ...], other: tuple[str | None, ...]) -> None:
    """Values that would join to one text are kept apart, in both hashes."""
    assert not set(hashed(*one)) & set(hashed(*other))


def test_a_key_is_complete_when_every_field_says_something() -> None:
    """One absent field leaves a key incomplete."""
    rows = [("A", "B"), (None, "B"), ("A", None), (None, None)]
    frame = pl.DataFrame(rows, schema=["A", "B"], orient="row")
    assert frame.select(complete=is_complete(["A", "B"]))["complete"].to_list() == [True, False, False, False]


def test_contents_differ_when_a_value_moves_to_the_next_field() -> None:
    """The hash of a whole row sees which field a value stands in, and an empty one apart from an absent one."""
    frame = pl.DataFrame([("A", None), (None, "A"), ("A", ""), ("A", None)], schema=["A", "B"], orient="row")
    first, moved, empty, again = frame.select(content=content_hash(["A", "B"]))["content"]
    assert len({first, moved, empty}) == 3
    assert first == again
