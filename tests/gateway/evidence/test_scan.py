from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.evidence.conftest import GUANGDONG, SAMPLES

from qianzhi.db import migrate
from qianzhi.db.server import Session, connect
from qianzhi.errors import OperatorError
from qianzhi.gateway.evidence import scan as scan_module
from qianzhi.gateway.evidence.scan import Scanned, named, scan
from qianzhi.gateway.evidence.shelf import Shelf
from qianzhi.ledger import evidence

Look = tuple[Callable[[], Scanned], Session]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that is looked through."""
    found = tmp_path / "media"
    found.mkdir()
    return found


@pytest.fixture
def look(database: str, folder: Path) -> Iterator[Look]:
    """Looks through the folder once more."""
    migrate.upgrade(database, "qianzhi.ledger", "gateway")
    with connect(database, application="test") as session:
        yield lambda: scan(session, "guangdong", GUANGDONG.ASKED, Shelf({"media": folder}), "media"), session


def known(session: Session, record: str) -> list[tuple[str, int, str]]:
    """Kind, number and media type of what is registered of a record."""
    listed = evidence.listed(session, "guangdong", record=record)
    return [(each["kind"], each["number"], each["media_type"]) for each in reversed(listed)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2019.prescription.pdf", ("2019", "prescription", 0)),
        ("2019.prescription.2.png", ("2019", "prescription", 2)),
        ("2019.doctor_video.mp4", ("2019", "doctor_video", 0)),
        ("2019.Doctor-Video.MP4", ("2019", "doctor_video", 0)),
        ("MZ.2019-03/1.audio.mp3".replace("/", "_"), ("MZ.2019-03_1", "audio", 0)),
        ("门诊7.audio.mp3", ("门诊7", "audio", 0)),
    ],
)
def test_names_that_follow_the_rule_say_record_kind_and_number(name: str, said: tuple[str, str, int]) -> None:
    """The number of a record may hold dots."""
    found = named(name, GUANGDONG.ASKED)

    assert found is not None
    assert (found.record, found.kind.name, found.number) == said


@pytest.mark.parametrize(
    "name", ["2019.mp4", "audio.mp3", ".audio.mp3", "2019.video.mp4", "2019.audio", "2019.audio.12345.mp3"]
)
def test_other_names_say_nothing(name: str) -> None:
    """They may lie there; nobody is bothered."""
    assert named(name, GUANGDONG.ASKED) is None


@given(st.text(max_size=50))
def test_any_name_is_read_or_passed_over(name: str) -> None:
    """No name raises."""
    named(name, GUANGDONG.ASKED)


def test_what_lies_in_a_folder_is_registered_and_what_is_gone_is_not(look: Look, folder: Path) -> None:
    """Also below it; a second look finds nothing new; a changed file is looked into again."""
    run, session = look
    (folder / "2026" / "11").mkdir(parents=True)
    shutil.copyfile(SAMPLES / "visit.mp4", folder / "1.doctor_video.mp4")
    shutil.copyfile(SAMPLES / "talk.mp3", folder / "2026" / "11" / "1.audio.mp3")
    (folder / "readme.txt").write_text("?", encoding="utf-8")

    assert run() == Scanned(added_count=2, unnamed_count=1)
    assert run() == Scanned(unchanged_count=2, unnamed_count=1)
    assert sorted(known(session, "1")) == [("audio", 0, "audio/mpeg"), ("doctor_video", 0, "video/mp4")]

    shutil.copyfile(SAMPLES / "visit.webm", folder / "1.doctor_video.mp4")
    (folder / "2026" / "11" / "1.audio.mp3").unlink()
    assert run() == Scanned(added_count=1, removed_count=1, unnamed_count=1)
    assert known(session, "1") == [("doctor_video", 0, "video/webm")]


def test_what_is_no_evidence_is_refused_with_its_reason(look: Look, folder: Path) -> None:
    """A page named like a video, a sound in the place of a video, half a file; the last sound one is unknown then."""
    run, session = look
    shutil.copyfile(SAMPLES / "visit.mp4", folder / "1.doctor_video.mp4")
    assert run().added_count == 1

    (folder / "1.doctor_video.mp4").write_bytes((SAMPLES / "visit.mp4").read_bytes()[:1000])
    (folder / "2.doctor_video.mp4").write_bytes(b"<html><script>alert(1)</script>")
    shutil.copyfile(SAMPLES / "talk.mp3", folder / "3.doctor_video.mp3")
    said = run()

    assert (said.refused_count, said.removed_count) == (3, 1)
    assert {Path(path).name[0]: why for path, why in said.refused}["3"] == (
        "A file of the type audio/mpeg is no video of the doctor's side."
    )
    assert known(session, "1") == []


@pytest.mark.skipif(sys.platform == "win32", reason="links take a right that accounts have not")
def test_links_hidden_files_and_odd_names_are_passed_over(look: Look, folder: Path, tmp_path: Path) -> None:
    """Nothing outside of the folder is read, whatever points there."""
    run, session = look
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copyfile(SAMPLES / "talk.mp3", outside / "1.audio.mp3")
    (folder / "way").symlink_to(outside)
    (folder / "1.audio.mp3").symlink_to(outside / "1.audio.mp3")
    shutil.copyfile(SAMPLES / "talk.mp3", folder / ".1.audio.mp3")
    (folder / os.fsdecode(b"\xff.audio.mp3")).write_bytes(b"")
    (folder / "1\n.audio.mp3").write_bytes(b"")

    assert run() == Scanned(unnamed_count=2)
    assert known(session, "1") == []


def test_a_folder_that_is_not_there_takes_nothing_away(look: Look, folder: Path) -> None:
    """A share that is lost for an hour is back afterwards."""
    run, session = look
    shutil.copyfile(SAMPLES / "talk.mp3", folder / "1.audio.mp3")
    run()
    folder.rename(folder.with_name("gone"))

    with pytest.raises(OperatorError):
        run()
    assert known(session, "1") == [("audio", 0, "audio/mpeg")]


def test_a_folder_of_too_many_files_is_told(look: Look, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of taking for gone what was not looked at."""
    run, _ = look
    monkeypatch.setattr(scan_module, "FILES_MAX", 3)
    for number in range(4):
        (folder / f"{number}.txt").write_bytes(b"")

    with pytest.raises(OperatorError):
        run()
