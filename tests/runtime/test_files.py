from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from qianzhi.runtime.files import write_durably


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
