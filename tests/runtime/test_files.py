from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from qianzhi.runtime import files
from qianzhi.runtime.files import is_full, make_folder_durably, write_durably, written_durably


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists instead of modes")
def test_a_written_file_is_its_owners_only(tmp_path: Path) -> None:
    """Whatever the umask, nobody else reads the file, also when one that others could read stood there."""
    path = tmp_path / "key"
    path.write_bytes(b"old")
    path.chmod(0o644)

    write_durably(path, b"new")

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk costs the new content, never the old."""
    path = tmp_path / "state"
    write_durably(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"new")

    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_a_folder_is_on_the_disk_before_anything_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made is entered in its parent for good; making it again does no harm."""
    flushed: list[Path] = []
    monkeypatch.setattr(files, "_flush_folder", flushed.append)
    for _ in range(2):
        make_folder_durably(tmp_path / "new")
    assert flushed == [tmp_path, tmp_path]
    assert os.name == "nt" or stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_file_written_in_parts_stands_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """Also when whoever writes it breaks off."""
    path = tmp_path / "rows"
    with written_durably(path) as file:
        file.write(b"one")
        assert not path.exists()
        file.write(b"two")
    assert path.read_bytes() == b"onetwo"
    with pytest.raises(TypeError), written_durably(path) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert path.read_bytes() == b"onetwo"
    assert [each.name for each in tmp_path.iterdir()] == ["rows"]


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EFBIG, True), (errno.EACCES, False)])
def test_want_of_room_is_told_from_other_failures(number: int, *, full: bool) -> None:
    """Only then is waiting, or making room, of any use."""
    assert is_full(OSError(number, "said")) is full
