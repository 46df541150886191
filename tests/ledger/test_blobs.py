from __future__ import annotations

import hashlib
import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qianzhi.errors import OperatorError
from qianzhi.ledger.blobs import Blobs
from qianzhi.runtime import keyfile
from qianzhi.runtime.keyfile import KeyFile
from qianzhi.runtime.vault import Vault

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


def test_what_is_old_and_not_in_use_is_removed(blobs: Blobs) -> None:
    """Neither what is young nor what somebody still needs; other files of the folder are not touched."""
    old, used, young = (blobs.put(content) for content in (b"old", b"used", b"young"))
    stranger = blobs.path(old).with_name("readme")
    stranger.write_bytes(b"")
    stored_at = datetime(2026, 1, 1, tzinfo=UTC)
    for path in (blobs.path(old), blobs.path(used), stranger):
        os.utime(path, (stored_at.timestamp(),) * 2)
    assert blobs.remove_unused({used}, before=stored_at) == 0
    assert blobs.remove_unused({used}, before=stored_at + timedelta(seconds=1)) == 1
    assert [blobs.holds(each) for each in (old, used, young)] == [False, True, True]
    assert stranger.exists()


def test_encrypted_blobs_are_known_by_their_content(tmp_path: Path) -> None:
    """The name stays the SHA-256 of the image; what was plain is read as before, and written anew when asked."""
    key = tmp_path / "key"
    keyfile.make(key, now=datetime(2026, 11, 20, tzinfo=UTC))
    plain, blobs = Blobs(tmp_path / "blobs"), Blobs(tmp_path / "blobs", Vault(KeyFile(key)))
    first, second = plain.put(b"first" * 9), blobs.put(b"second" * 9)
    assert second == hashlib.sha256(b"second" * 9).digest()
    before = blobs.path(second).read_bytes()
    assert (blobs.put(b"first" * 9), blobs.put(b"second" * 9)) == (first, second)
    assert blobs.path(second).read_bytes() == before, "it is written once"
    assert (blobs.rewrite(), blobs.rewrite()) == (1, 0)
    assert [b"first" in blobs.path(first).read_bytes(), b"second" in before] == [False, False]
    assert (blobs.get(first), blobs.get(second)) == (b"first" * 9, b"second" * 9)
    keyfile.rotate(key, now=datetime(2026, 11, 21, tzinfo=UTC))
    assert blobs.rewrite() == 2
    assert blobs.get(first) == b"first" * 9
    with pytest.raises(OperatorError, match="no key file is set"):
        plain.get(first)
