from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qianzhi.errors import OperatorError
from qianzhi.gateway import parquet
from qianzhi.gateway.parquet import Checksum, Label
from qianzhi.runtime import keyfile
from qianzhi.runtime.keyfile import KeyFile

LABEL = Label("guangdong", "person", "V3.0", "2026-01", 1)
NOW = datetime(2026, 11, 20, tzinfo=UTC)
FRAME = pl.DataFrame({"row_id": [3, 5, 8], "XM": ["张三", None, ""], "JGDM": ["44000", "44000", None]})
values = st.lists(st.tuples(st.none() | st.text(max_size=8), st.none() | st.text(max_size=8)), min_size=1, max_size=30)


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    """A key file."""
    keyfile.make(tmp_path / "key", now=NOW)
    return KeyFile(tmp_path / "key")


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values, st.integers(1, 7), st.booleans())
def test_any_rows_come_back(
    tmp_path: Path, keys: KeyFile, rows: list[tuple[str | None, str | None]], cut: int, encrypted: bool
) -> None:
    """Texts of any characters, the empty one and nothing at all, in frames of any height, with a key and without."""
    frame = pl.DataFrame(
        {"row_id": range(len(rows)), "XM": [one for one, _ in rows], "JGDM": [other for _, other in rows]},
        schema={"row_id": pl.Int64, "XM": pl.String, "JGDM": pl.String},
    )
    path, used = tmp_path / "rows.parquet", keys if encrypted else None
    written = parquet.write(path, frame.iter_slices(cut), LABEL, ["XM"], used)
    assert pl.concat(parquet.frames_of(path, used)).equals(frame)
    assert parquet.contents_of(path, used) == written
    assert written.row_count == len(rows)


def test_every_change_of_a_value_changes_the_digest() -> None:
    """Also one that moves a character to the next row or column, or makes nothing of the empty text."""
    changes = [
        FRAME,
        FRAME.with_columns(row_id=pl.Series([3, 5, 9])),
        FRAME.with_columns(XM=pl.Series(["张", "三", ""])),
        FRAME.with_columns(XM=pl.Series(["张三", "", None])),
        FRAME.with_columns(XM=pl.Series(["张三", None, None])),
        FRAME.rename({"XM": "JGDM", "JGDM": "XM"}),
        FRAME.head(2),
        FRAME.reverse(),
    ]
    seen = set()
    for frame in changes:
        checksum = Checksum()
        checksum.add(frame)
        seen.add(checksum.contents())
    assert len(seen) == len(changes)


def test_a_file_says_what_it_is(tmp_path: Path, keys: KeyFile) -> None:
    """Regulator, dataset, edition, month and number of rows stand in the footer, readable without the key."""
    path = tmp_path / "rows.parquet"
    parquet.write(path, [FRAME], LABEL, ["XM"], keys)
    assert parquet.label_of(path) == (LABEL, keys.newest.key_id)
    assert pq.read_metadata(path).num_rows == 3
    assert parquet.names_of(path) == ["row_id", "XM", "JGDM"]
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_personal_columns_are_encrypted_and_the_others_are_not(tmp_path: Path, keys: KeyFile) -> None:
    """Who has no key can still count by institution, and sees neither a value nor its bounds."""
    path = tmp_path / "rows.parquet"
    secret = FRAME.with_columns(XM=pl.Series(["SECRETNAME"] * 3))
    parquet.write(path, [secret], LABEL, ["XM"], keys)
    assert b"SECRETNAME" not in path.read_bytes()
    assert pq.ParquetFile(path).read(columns=["JGDM"])["JGDM"].to_pylist() == ["44000", "44000", None]
    with pytest.raises(OSError, match=r"(?i)decrypt"):
        pq.ParquetFile(path).read(columns=["XM"])
    with pytest.raises(OperatorError, match="no key file is set"):
        list(parquet.frames_of(path, None))
    parquet.write(path, [secret], LABEL, ["XM"], None)
    assert b"SECRETNAME" in path.read_bytes(), "what is plain can be found by this test"


def test_another_key_reads_nothing_and_an_older_version_does(tmp_path: Path, keys: KeyFile) -> None:
    """A rotation leaves archives readable."""
    path = tmp_path / "rows.parquet"
    parquet.write(path, [FRAME], LABEL, ["XM"], keys)
    keyfile.make(tmp_path / "other", now=NOW)
    with pytest.raises(OperatorError, match="is not in"):
        list(parquet.frames_of(path, KeyFile(tmp_path / "other")))
    keyfile.rotate(tmp_path / "key", now=NOW)
    assert pl.concat(parquet.frames_of(path, keys)).equals(FRAME)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, keys: KeyFile, share: float) -> None:
    """Wherever."""
    path = tmp_path / "rows.parquet"
    parquet.write(path, [FRAME], LABEL, ["XM"], keys)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(OperatorError, match="damaged, cut off or missing"):
        parquet.contents_of(path, keys)


def test_a_flipped_bit_never_changes_a_personal_value(tmp_path: Path, keys: KeyFile) -> None:
    """They are authenticated: a reader gets them as they were or not at all; the digest of the file tells any flip."""
    path = tmp_path / "rows.parquet"
    parquet.write(path, [FRAME], LABEL, ["XM", "JGDM"], keys)
    content, before, refused = path.read_bytes(), parquet.digest_of(path), 0
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert parquet.digest_of(path) != before
        try:
            found = pl.concat(parquet.frames_of(path, keys))
        except OperatorError:
            refused += 1
        else:
            assert found.drop("row_id").equals(FRAME.drop("row_id"))
    assert refused > len(content) / 7 / 2


def test_without_the_key_no_file_is_begun(tmp_path: Path, keys: KeyFile) -> None:
    """Nothing lies in the clear beside it either."""
    keys.path.rename(tmp_path / "away")
    with pytest.raises(OperatorError, match="cannot be read"):
        parquet.write(tmp_path / "rows.parquet", [FRAME], LABEL, ["XM"], keys)
    assert sorted(each.name for each in tmp_path.iterdir()) == [".key.lock", "away"]


def test_the_data_keys_belong_to_their_own_label(tmp_path: Path, keys: KeyFile) -> None:
    """A wrapped key is unwrapped for the archive only that it was made for."""
    client = parquet._Keys(keys, LABEL)
    wrapped = client.wrap_key(b"k" * 32, keys.newest.key_id.hex())
    assert client.unwrap_key(wrapped, keys.newest.key_id.hex()) == b"k" * 32
    other = parquet._Keys(keys, Label("guangdong", "person", "V3.0", "2026-02", 1))
    with pytest.raises(OperatorError, match="2026-02"):
        other.unwrap_key(wrapped, keys.newest.key_id.hex())
