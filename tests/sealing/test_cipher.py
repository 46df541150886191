from __future__ import annotations

import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qianzhi.errors import OperatorError
from qianzhi.sealing import cipher
from qianzhi.sealing.cipher import CHUNK_BYTES, HEAD_BYTES

KEY = bytes(range(32))
NAME = "blob 00"
TAG_BYTES = 16
BORDERS = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1]

salts = st.binary(min_size=32, max_size=32)


def encrypted(content: bytes, *, key: bytes = KEY, name: str = NAME, salt: bytes = b"s" * 32) -> bytes:
    """Return the encrypted file."""
    return b"".join(cipher.encrypt((content,), key, salt, name))


def decrypted(file: bytes, *, key: bytes = KEY, name: str = NAME, step: int = 1 << 20) -> bytes:
    """Return the content of an encrypted file that is read in steps of some size."""
    rest = file[HEAD_BYTES:]
    blocks = (rest[at : at + step] for at in range(0, len(rest), step))
    return b"".join(cipher.decrypt(blocks, file[:HEAD_BYTES], key, name))


@settings(deadline=None, max_examples=60)
@given(content=st.binary(max_size=3_000), salt=salts, step=st.integers(1, 4_000))
def test_any_bytes_come_back(content: bytes, salt: bytes, step: int) -> None:
    """However the file is cut when it is read, and nothing of the content can be seen in it."""
    file = encrypted(content, salt=salt)
    assert cipher.is_encrypted(file)
    assert len(file) == cipher.encrypted_size(len(content))
    assert decrypted(file, step=step) == content
    assert len(content) < 8 or content not in file[HEAD_BYTES:]


@pytest.mark.parametrize("size", BORDERS)
@pytest.mark.parametrize("step", [1_000, CHUNK_BYTES, CHUNK_BYTES + TAG_BYTES, 1 << 20])
def test_any_border_of_a_chunk_comes_back(size: int, step: int) -> None:
    """Content that ends just before, on and after a border, read and written in blocks of other sizes."""
    content = secrets.token_bytes(size)
    blocks = [content[at : at + step] for at in range(0, size, step)]
    file = b"".join(cipher.encrypt(blocks, KEY, b"s" * 32, NAME))
    assert file == encrypted(content)
    assert len(file) == cipher.encrypted_size(size)
    assert cipher.content_size(len(file)) == size
    assert decrypted(file, step=step) == content


@settings(deadline=None, max_examples=150)
@given(content=st.binary(max_size=400), data=st.data())
def test_any_flipped_bit_is_refused(content: bytes, data: st.DataObject) -> None:
    """In the head as in a chunk or its tag; in the mark it is no encrypted file any more."""
    file = bytearray(encrypted(content))
    bit = data.draw(st.integers(0, len(file) * 8 - 1))
    file[bit // 8] ^= 1 << bit % 8
    if cipher.is_encrypted(bytes(file)):
        with pytest.raises(OperatorError, match="is not what was written"):
            decrypted(bytes(file))
    else:
        assert bit < 64


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2 * CHUNK_BYTES + 3 * TAG_BYTES + 9))
def test_a_file_that_is_cut_off_is_refused(kept: int) -> None:
    """Also where exactly the last chunk is missing."""
    file = encrypted(b"x" * (2 * CHUNK_BYTES + 10))
    with pytest.raises(OperatorError, match="is not what was written"):
        decrypted(file[: HEAD_BYTES + kept])
    with pytest.raises(OperatorError, match="is not what was written"):
        decrypted(file[: HEAD_BYTES + CHUNK_BYTES + TAG_BYTES])


def test_chunks_can_be_neither_swapped_nor_repeated_nor_taken_from_another_file() -> None:
    """Each chunk is bound to its number and its file."""
    one, other = (encrypted(letter * 3 * CHUNK_BYTES, salt=letter * 32) for letter in (b"a", b"b"))
    size = CHUNK_BYTES + TAG_BYTES
    head, first, second, last = (one[:HEAD_BYTES], *(one[HEAD_BYTES + at * size :][:size] for at in range(3)))
    foreign = other[HEAD_BYTES:][:size]
    for chunks in ((second, first, last), (first, first, last), (foreign, second, last), (first, last), (last,)):
        with pytest.raises(OperatorError, match="is not what was written"):
            decrypted(head + b"".join(chunks))
    with pytest.raises(OperatorError, match="is not what was written"):
        decrypted(one + b"\x00")


def test_a_file_is_bound_to_its_name_and_its_key() -> None:
    """A file in the place of another one, or read with another key, is refused."""
    file = encrypted(b"content")
    with pytest.raises(OperatorError, match="The encrypted blob 01 is not what was written"):
        decrypted(file, name="blob 01")
    with pytest.raises(OperatorError, match="is not what was written"):
        decrypted(file, key=bytes(32))


def test_equal_content_makes_different_files() -> None:
    """Who sees two files cannot tell whether they hold the same."""
    one, other = (encrypted(b"content" * 9, salt=salt * 32) for salt in (b"1", b"2"))
    assert one[HEAD_BYTES:] != other[HEAD_BYTES:]


def test_the_key_that_a_file_needs_is_told() -> None:
    """By an id that is not the key."""
    file = encrypted(b"content")
    assert cipher.key_id_of(file) == cipher.key_id(KEY) != cipher.key_id(bytes(32))
    assert KEY[:8] not in file


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20)), st.sampled_from([b"", b"QIANZHI\x01", b"QIANZHI\x00", b"QIANZHI\x00\x00"]))
def test_a_plain_file_holds_its_content_and_is_never_taken_for_another_kind(blocks: list[bytes], mark: bytes) -> None:
    """Whatever the content is, and mostly the file is just that."""
    content = mark + b"".join(blocks)
    file = b"".join(cipher.plain([mark, *blocks]))
    assert not cipher.is_encrypted(file)
    assert cipher.without_mark(file) == content
    assert file == content or content.startswith(b"QIANZHI")


def test_a_secret_is_wrapped_and_unwrapped() -> None:
    """The key of something else travels under ours, bound to what it is for."""
    wrapped = cipher.wrap(KEY, b"data key", b"s" * 32, "archive 1")
    assert b"data key" not in wrapped
    assert cipher.unwrap(KEY, wrapped, "archive 1") == b"data key"
    with pytest.raises(OperatorError):
        cipher.unwrap(KEY, wrapped, "archive 2")
