"""Images in the agreed folder."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

import pytest

from qianzhi.errors import OperatorError
from qianzhi.gateway.official.folder import Folder

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"an image, for all that the folder knows"
DIGEST = hashlib.sha256(CONTENT).digest()
NAME = f"{DIGEST.hex()}.png"


@pytest.mark.parametrize(
    ("prefix", "spelt"),
    [
        ("D:\\agreed\\images", f"D:\\agreed\\images\\{NAME[:2]}\\{NAME}"),
        ("D:/agreed/", f"D:/agreed\\{NAME[:2]}\\{NAME}"),
        ("\\\\machine\\images\\", f"\\\\machine\\images\\{NAME[:2]}\\{NAME}"),
        ("/srv/images/", f"/srv/images/{NAME[:2]}/{NAME}"),
    ],
)
def test_a_path_is_spelt_as_the_official_side_sees_it(tmp_path: Path, prefix: str, spelt: str) -> None:
    """The prefix is theirs, the file is here; both name the same."""
    assert Folder(tmp_path, prefix).put(DIGEST, "image/png", CONTENT) == spelt
    assert (tmp_path / NAME[:2] / NAME).read_bytes() == CONTENT


def test_an_image_is_kept_once(tmp_path: Path) -> None:
    """What is there already is not written again; what is there and is not the image, is."""
    folder = Folder(tmp_path, "D:\\i")
    folder.put(DIGEST, "image/png", CONTENT)
    file = tmp_path / NAME[:2] / NAME
    before = file.stat().st_mtime_ns, file.stat().st_ino
    folder.put(DIGEST, "image/png", CONTENT)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before
    file.write_bytes(b"x" * len(CONTENT))
    folder.put(DIGEST, "image/png", CONTENT)
    assert file.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [NAME]


@pytest.mark.skipif(os.name == "nt", reason="there the folder's own rights say it")
def test_the_official_account_may_read_what_is_put_there(tmp_path: Path) -> None:
    """The files of everything else are their owner's alone; these are for others to read, and for nobody to write."""
    Folder(tmp_path, "/i").put(DIGEST, "image/png", CONTENT)
    file = tmp_path / NAME[:2] / NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o755


def test_a_folder_that_is_not_mounted_is_not_made(tmp_path: Path) -> None:
    """A folder of ours in its place would take images that nobody else ever sees."""
    with pytest.raises(OperatorError, match="no such folder"):
        Folder(tmp_path / "share", "D:\\i").put(DIGEST, "image/png", CONTENT)
    assert not (tmp_path / "share").exists()


@pytest.mark.skipif(os.name == "nt", reason="rights are said otherwise there")
def test_a_folder_that_cannot_be_written_is_for_an_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy says what to do, and nothing is left half-written."""
    if os.geteuid() == 0:  # root writes anywhere
        monkeypatch.setattr("qianzhi.runtime.files.os.open", _refused)
    else:
        tmp_path.chmod(0o555)
    with pytest.raises(OperatorError, match="cannot be put") as caught:
        Folder(tmp_path, "D:\\i").put(DIGEST, "image/png", CONTENT)
    assert "right to write" in caught.value.remedy
    tmp_path.chmod(0o755)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def _refused(*_: object) -> int:
    raise PermissionError(13, "Permission denied")


def test_a_full_disk_is_for_an_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image is not there afterwards, whole or in part."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qianzhi.runtime.files.os.fsync", full)
    with pytest.raises(OperatorError, match="No space left"):
        Folder(tmp_path, "D:\\i").put(DIGEST, "image/png", CONTENT)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
