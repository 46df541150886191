from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qianzhi.errors import OperatorError
from qianzhi.ledger.blobs import Blobs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    """An empty store."""
    return Blobs(tmp_path)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=2_000))
def test_a_blob_is_found_by_its_sha256(blobs: Blobs, content: bytes) -> None:
    """Any bytes, none among them."""
    digest = blobs.put(content)
    assert digest == hashlib.sha256(content).digest()
    assert blobs.holds(digest)
    assert blobs.get(digest) == content


def test_a_blob_lies_under_the_first_two_digits_of_its_name(blobs: Blobs, tmp_path: Path) -> None:
    """A folder with millions of files is slow on every system."""
    digest = blobs.put(b"abc")  # the example of FIPS 180-2
    name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert blobs.path(digest) == tmp_path / "ba" / name
    assert (tmp_path / "ba" / name).read_bytes() == b"abc"


def test_a_blob_is_written_once(blobs: Blobs) -> None:
    """The same content again changes no file."""
    digest = blobs.put(b"abc")
    before = blobs.path(digest).stat()
    assert blobs.put(b"abc") == digest
    after = blobs.path(digest).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_was_never_put_is_not_held(blobs: Blobs) -> None:
    """Asking does not make it so."""
    digest = hashlib.sha256(b"abc").digest()
    assert not blobs.holds(digest)
    with pytest.raises(OperatorError, match="is missing"):
        blobs.get(digest)
    assert not blobs.holds(digest)


@pytest.mark.parametrize("content", [b"", b"ab", b"abd"])
def test_a_blob_that_changed_on_the_disk_is_not_given(blobs: Blobs, content: bytes) -> None:
    """Nothing is sent under the name of something else."""
    digest = blobs.put(b"abc")
    blobs.path(digest).write_bytes(content)
    with pytest.raises(OperatorError, match="has changed on the disk"):
        blobs.get(digest)


def test_a_full_disk_leaves_no_blob(blobs: Blobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither whole nor in part, and the next attempt succeeds."""

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            blobs.put(b"abc")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert blobs.get(blobs.put(b"abc")) == b"abc"


@pytest.mark.skipif(os.name == "nt", reason="there are no modes")
def test_only_the_owner_reads_blobs(blobs: Blobs) -> None:
    """Pictures of people lie in them."""
    path = blobs.path(blobs.put(b"abc"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
