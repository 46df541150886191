from __future__ import annotations

import hashlib
import os
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from qianzhi.errors import OperatorError
from qianzhi.gateway.spool import Spool
from qianzhi.runtime import keyfile
from qianzhi.runtime.keyfile import KeyFile
from qianzhi.runtime.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

FIRST = UUID("0190f3a4-0000-4000-8000-000000000001")
SECOND = UUID("0190f3a4-0000-4000-8000-000000000002")
SEALED = b"sealed\x00\xff"


def digest(content: bytes) -> bytes:
    """Return the SHA-256 by which a batch is known."""
    return hashlib.sha256(content).digest()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path)


def test_what_is_written_is_read(spool: Spool) -> None:
    """Byte for byte, each batch its own."""
    spool.write(FIRST, SEALED)
    spool.write(SECOND, b"other")
    assert spool.read(FIRST, digest(SEALED)) == SEALED
    assert spool.read(SECOND, digest(b"other")) == b"other"


@pytest.mark.skipif(os.name == "nt", reason="there are no modes")
def test_only_the_owner_reads_the_spool(spool: Spool, tmp_path: Path) -> None:
    """Patients' data lies in it."""
    spool.write(FIRST, SEALED)
    assert stat.S_IMODE((tmp_path / str(FIRST)).stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", SEALED[:-1], SEALED + b"\x00", b"Sealed\x00\xff"])
def test_changed_bytes_are_not_sent(spool: Spool, tmp_path: Path, content: bytes) -> None:
    """The ledger promised others."""
    spool.write(FIRST, SEALED)
    (tmp_path / str(FIRST)).write_bytes(content)
    with pytest.raises(OperatorError, match="has changed in the spool"):
        spool.read(FIRST, digest(SEALED))


def test_missing_bytes_are_an_operators_business(spool: Spool) -> None:
    """Nothing else is sent in their place."""
    with pytest.raises(OperatorError, match="is missing from the spool"):
        spool.read(FIRST, digest(SEALED))


def test_a_settled_batch_is_forgotten(spool: Spool) -> None:
    """As often as one likes."""
    spool.write(FIRST, SEALED)
    spool.remove(FIRST)
    spool.remove(FIRST)
    with pytest.raises(OperatorError):
        spool.read(FIRST, digest(SEALED))


def test_a_sweep_leaves_what_is_promised(spool: Spool, tmp_path: Path) -> None:
    """It takes bytes that no commit promised and files that were half written; a second sweep finds nothing."""
    spool.write(FIRST, SEALED)
    spool.write(SECOND, b"never promised")
    (tmp_path / f".{SECOND}.0123.part").write_bytes(b"half")
    (tmp_path / "folder").mkdir()
    assert spool.sweep([FIRST], before=datetime(2000, 1, 1, tzinfo=UTC)) == 0, "what is young may yet be promised"
    later = datetime(2100, 1, 1, tzinfo=UTC)
    assert spool.sweep([FIRST], before=later) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([str(FIRST), "folder"])
    assert spool.sweep([FIRST], before=later) == 0
    assert spool.read(FIRST, digest(SEALED)) == SEALED


def test_a_full_disk_leaves_nothing_half_written(spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes before the commit, and the older bytes are whole."""
    spool.write(FIRST, SEALED)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        spool.write(FIRST, b"newer")
    monkeypatch.undo()
    assert spool.read(FIRST, digest(SEALED)) == SEALED
    assert [path.name for path in tmp_path.iterdir()] == [str(FIRST)]


def test_a_message_says_which_batch_and_nothing_of_it(spool: Spool, tmp_path: Path) -> None:
    """The id is enough to find it."""
    (tmp_path / str(FIRST)).write_bytes("张三".encode())
    with pytest.raises(OperatorError) as caught:
        spool.read(FIRST, digest(SEALED))
    assert str(FIRST) in caught.value.what
    assert "张三" not in repr(caught.value)


def test_settled_bytes_are_kept_as_long_as_they_are_to_be(tmp_path: Path) -> None:
    """They are nobody's business for some days, and then a sweep takes them; what is promised stays in any case."""
    spool = Spool(tmp_path, kept_for=timedelta(days=3))
    spool.write(FIRST, SEALED)
    spool.write(SECOND, b"promised")
    spool.remove(FIRST)
    written_at = datetime.fromtimestamp((tmp_path / str(FIRST)).stat().st_mtime, UTC)
    assert spool.sweep([SECOND], before=written_at + timedelta(days=2)) == 0
    assert spool.read(FIRST, digest(SEALED)) == SEALED
    assert spool.sweep([SECOND], before=written_at + timedelta(days=4)) == 1
    assert spool.read(SECOND, digest(b"promised")) == b"promised"


def test_an_encrypted_spool_reads_what_was_plain_and_writes_it_anew_when_asked(tmp_path: Path) -> None:
    """Switching encryption on stops no batch that was on its way; no byte of it stays plain after `rewrite`."""
    key = tmp_path / "key"
    keyfile.make(key, now=datetime(2026, 11, 20, tzinfo=UTC))
    folder = tmp_path / "spool"
    folder.mkdir()
    Spool(folder).write(FIRST, SEALED * 9)
    spool = Spool(folder, Vault(KeyFile(key)))
    spool.write(SECOND, b"encrypted" * 9)
    assert b"encrypted" not in (folder / str(SECOND)).read_bytes()
    assert spool.read(FIRST, digest(SEALED * 9)) == SEALED * 9
    assert (spool.rewrite(), spool.rewrite()) == (1, 0)
    assert SEALED not in (folder / str(FIRST)).read_bytes()
    assert spool.read(FIRST, digest(SEALED * 9)) == SEALED * 9
    assert spool.read(SECOND, digest(b"encrypted" * 9)) == b"encrypted" * 9


def test_one_batch_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    """Encrypted bytes belong to their own batch, whatever their file is called."""
    key = tmp_path / "key"
    keyfile.make(key, now=datetime(2026, 11, 20, tzinfo=UTC))
    spool = Spool(tmp_path, Vault(KeyFile(key)))
    spool.write(FIRST, SEALED)
    (tmp_path / str(FIRST)).rename(tmp_path / str(SECOND))
    with pytest.raises(OperatorError, match="put in the place of another"):
        spool.read(SECOND, digest(SEALED))
