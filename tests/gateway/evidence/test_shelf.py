from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from qianzhi.errors import SenderError
from qianzhi.gateway.evidence.shelf import Shelf
from qianzhi.ledger.evidence import Media


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """One folder with one file, and a secret beside it."""
    folder = tmp_path / "media"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.mp3").write_bytes(b"sound")
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "media-other").mkdir()
    (tmp_path / "media-other" / "b").write_bytes(b"other")
    return Shelf({"media": folder})


def entry(path: Path) -> Media:
    """How a file is registered."""
    found = path.stat()
    return Media(1, "audio", "1", "file", str(path), "audio/mpeg", found.st_size, found.st_mtime_ns)


def test_a_file_below_a_folder_is_opened(shelf: Shelf) -> None:
    """By its real path."""
    path = shelf.folders["media"] / "deep" / ".." / "deep" / "a.mp3"
    with shelf.admit(path).file as file:
        assert file.read() == b"sound"


@pytest.mark.parametrize(
    "text",
    [
        "{root}/media/../secret",
        "{root}/secret",
        "{root}/media-other/b",
        "{root}/media/deep",
        "{root}/media/none.mp3",
        "{root}/media/deep/a.mp3\0.png",
        "media/deep/a.mp3",
        "..",
        "",
        "/etc/passwd",
        "/dev/zero",
        "/proc/self/environ",
        "\\\\server\\share\\a.mp3",
        "//server/share/a.mp3",
        "C:\\media\\a.mp3",
        "{root}/media/..\\..\\secret",
        "{root}/media/" + "a" * 5000,
        "file:///etc/passwd",
    ],
)
def test_nothing_else_is_opened(shelf: Shelf, text: str, tmp_path: Path) -> None:
    """Parents, neighbours whose name begins alike, folders, devices, other machines, and what is no path."""
    with pytest.raises(SenderError):
        shelf.admit(Path(text.format(root=tmp_path)))


@pytest.mark.skipif(sys.platform == "win32", reason="links take a right that accounts have not")
def test_links_lead_nowhere(shelf: Shelf, tmp_path: Path) -> None:
    """Neither a file nor a folder that is a link leads out, also if it became one later."""
    folder = shelf.folders["media"]
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "way").symlink_to(tmp_path)
    (folder / "circle").symlink_to(folder / "circle")
    for path in (folder / "link", folder / "way" / "secret", folder / "circle"):
        with pytest.raises(SenderError):
            shelf.admit(path)

    good = folder / "deep" / "a.mp3"
    registered = entry(good)
    opened = shelf.open(registered)
    assert opened is not None
    opened.file.close()
    (folder / "deep").rename(tmp_path / "elsewhere")
    (folder / "deep").symlink_to(tmp_path / "elsewhere")
    assert shelf.open(registered) is None


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_a_pipe_keeps_nobody_waiting(shelf: Shelf) -> None:
    """Opening it would never end."""
    pipe = shelf.folders["media"] / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(SenderError):
        shelf.admit(pipe)


def test_a_file_that_changed_or_is_gone_is_not_opened(shelf: Shelf) -> None:
    """What was looked into is what is shown."""
    path = shelf.folders["media"] / "deep" / "a.mp3"
    registered = entry(path)
    path.write_bytes(b"another")

    assert shelf.open(registered) is None
    path.unlink()
    assert shelf.open(registered) is None


def test_a_folder_that_is_no_longer_named_shows_nothing(shelf: Shelf) -> None:
    """Settings count at the moment of showing."""
    path = shelf.folders["media"] / "deep" / "a.mp3"

    assert Shelf({}).open(entry(path)) is None
