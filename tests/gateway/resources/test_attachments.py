from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.resources.conftest import drawn

from qianzhi.errors import SenderError
from qianzhi.gateway.resources import attachments
from qianzhi.gateway.resources.attachments import attached


def packed(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return content.getvalue()


def test_pictures_come_alone_or_in_an_archive() -> None:
    """Folders in front of a name and capital letters do not matter."""
    found = attached([("A.JPG", b"a"), ("all.zip", packed(("照片/B.jpg", b"b"), ("c.png", b"c")))])

    assert found.files == {"a.jpg": b"a", "b.jpg": b"b", "c.png": b"c"}
    assert found.find(r"D:\photos\b.JPG") == ("b.jpg", b"b")
    assert (found.find("d.jpg"), found.remarks) == (None, [])


def test_names_that_windows_wrote_in_gbk_are_read() -> None:
    """The archives of Chinese Windows do not say UTF-8 of their names."""
    content = packed(("ab.jpg", b"a"))
    name = "张".encode("gb18030")
    assert len(name) == 2

    assert attached([("x.zip", content.replace(b"ab.jpg", name + b".jpg"))]).files == {"张.jpg": b"a"}


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "b/../../a.jpg", r"..\a.jpg", r"C:\a.jpg", r"\\host\a.jpg"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    """Nothing is ever written under a name from an archive, and such an archive is not trusted either."""
    found = attached([("x.zip", packed((name, b"a"), ("good.jpg", b"g")))])

    assert list(found.files) == ["good.jpg"]
    assert [each.code for each in found.remarks] == ["file-refused"]


def test_archives_within_archives_are_not_opened() -> None:
    """A bomb of nested archives stays what it is."""
    found = attached([("x.zip", packed(("inner.jpg", packed(("a.jpg", drawn())))))])

    assert (found.files, [each.value for each in found.remarks]) == ({}, ["inner.jpg"])


def test_an_archive_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it unpacks to is counted while it is read, whatever it says of itself."""
    monkeypatch.setattr(attachments, "FILES_BYTES_MAX", 2**20)
    content = packed(*((f"{at}.jpg", b"\0" * 2**18) for at in range(5)))
    assert len(content) < 2**14

    with pytest.raises(SenderError):
        attached([("x.zip", content)])


def test_a_member_larger_than_a_picture_is_refused() -> None:
    """It is not even unpacked."""
    found = attached([("x.zip", packed(("big.jpg", b"\0" * (20 * 2**20 + 1)), ("a.jpg", b"a")))])

    assert (list(found.files), [each.value for each in found.remarks]) == (["a.jpg"], ["big.jpg"])


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounded in number too."""
    monkeypatch.setattr(attachments, "FILES_MAX", 3)

    with pytest.raises(SenderError):
        attached([("x.zip", packed(*((f"{at}.jpg", b"a") for at in range(4))))])


def test_a_member_that_lies_about_its_size_is_refused() -> None:
    """The size that its header states is not believed."""
    content = bytearray(packed(("a.jpg", b"\0" * 1000)))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (10).to_bytes(4, "little")

    found = attached([("x.zip", bytes(content))])

    assert (found.files, [each.code for each in found.remarks]) == ({}, ["file-refused"])


def test_two_pictures_of_one_name_are_told_apart_by_nobody() -> None:
    """The second is refused, unless it is the same."""
    found = attached([("a.jpg", b"a"), ("x.zip", packed(("A.jpg", b"b"), ("f/a.JPG", b"a")))])

    assert found.files == {"a.jpg": b"a"}
    assert [each.value for each in found.remarks] == ["A.jpg"]


@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_archive_is_a_remark_and_nothing_else(tail: bytes, at: int, sign: int) -> None:
    """Whatever bytes come, they are files, remarks or a refusal."""
    content = bytearray(packed(("a.jpg", drawn()), ("b.jpg", b"b")))
    content[at] = sign
    for damaged in (bytes(content), bytes(content) + tail, b"PK\x03\x04" + tail):
        try:
            attached([("x.zip", damaged)])
        except SenderError:
            continue
