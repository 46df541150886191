"""`qianzhi gateway evidence`, `media` and `selftest`, as an operator types them."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path

import pytest
from tests.cli.conftest import _undone, ask, call  # noqa: F401 - a fixture is asked for by being here
from tests.gateway.evidence.conftest import BASE, DEFAULT, GUANGDONG, SAMPLES, Site

from qianzhi.errors import ConfigurationError, OperatorError, SenderError
from qianzhi.gateway import assembly, service
from qianzhi.gateway.evidence import asking
from qianzhi.gateway.evidence import assembly as evidence_assembly
from qianzhi.gateway.evidence.keys import LOOK_SECONDS
from qianzhi.runtime import clock, workbooks
from qianzhi.runtime.home import Home
from qianzhi.runtime.parts import Process
from qianzhi.runtime.sources import write_settings


def test_a_service_that_is_well_passes_its_self_test(site: Site, record: str) -> None:
    """Four kinds of evidence, each fetched in part, and every refusal; exit code 0."""
    file = site.folder / f"{record}.pdf"
    file.write_bytes(b"%PDF-1.4\n%%EOF\n")
    site.register(record, "prescription", str(file))
    site.put(record, "doctor_video", "visit.mp4")
    site.put(record, "patient_video", "visit.webm")

    checks = ask(site.home.path, "gateway", "selftest", "--record", record, "--language", "en")

    assert [check["what"] for check in checks if check["passed"] is not True] == ["audio of the conversation"]
    assert [(check["what"], check["wanted"]) for check in checks[-6:]] == [
        ("wrong token", "401"),
        ("time of the past", "401"),
        ("time of the future", "401"),
        ("time in milliseconds", "202"),
        ("no record number", "202"),
        ("unknown record", "404"),
    ]
    assert {check["wanted"] for check in checks if check["what"] == "Range"} == {"206"}
    shown = call(site.home.path, "gateway", "selftest", "--record", record).output
    assert "毫秒时间戳" in shown


def test_a_service_that_answers_wrongly_fails_its_self_test(site: Site, record: str) -> None:
    """A file that went away since it was registered; exit code 1."""
    site.put(record, "audio", "talk.mp3").unlink()

    checks = ask(site.home.path, "gateway", "selftest", "--record", record, code=1)

    assert {check["what"] for check in checks if check["passed"] is False} == {"Range", "Range 416"}


def test_a_service_that_does_not_run_is_told(site: Site, tmp_path: Path) -> None:
    """With what to do about it."""
    home = tmp_path / "home"
    shutil.copytree(site.home.path, home)
    settings = {"gateway.evidence.port": 9}
    write_settings(Home(home), settings)

    answer = call(home, "gateway", "selftest")

    assert isinstance(answer.exception, OperatorError)
    assert "gateway run" in answer.exception.remedy


def test_files_are_added_listed_and_removed(site: Site, record: str) -> None:
    """By number; what was removed is no longer served."""
    file = site.folder / f"{record}.webm"
    shutil.copyfile(SAMPLES / "modern.webm", file)

    added = call(site.home.path, "gateway", "media", "add", record, "patient-video", str(file))
    (row,) = ask(site.home.path, "gateway", "media", "list", "--record", record)

    assert added.exit_code == 0
    assert "VP9, Opus" in added.output
    assert (row["kind"], row["media_type"], row["location"]) == ("patient_video", "video/webm", str(file))
    assert {"kind", "files", "records"} <= ask(site.home.path, "gateway", "media", "list")[0].keys()
    assert site.ask("GetPatientVedio", record).status_code == 200
    assert call(site.home.path, "gateway", "media", "remove", str(row["media_id"])).exit_code == 0
    assert site.ask("GetPatientVedio", record).status_code == 404


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("audio", "{folder}/none.mp3"),
        ("audio", "{folder}/../passfile"),
        ("audio", "/etc/passwd"),
        ("audio", "https://127.0.0.1/a.mp3"),
        ("audio", "http://[::1]/a.mp3"),
        ("selfie", "{folder}/a.mp3"),
    ],
)
def test_what_must_not_be_shown_is_not_added(site: Site, record: str, kind: str, source: str) -> None:
    """Paths outside, machines that nobody named, kinds that nobody asks for."""
    answer = call(site.home.path, "gateway", "media", "add", record, kind, source.format(folder=site.folder))

    assert isinstance(answer.exception, SenderError)
    assert site.ask("GetConversationalAudio", record).status_code == 404


def test_a_scan_says_what_it_found(site: Site, record: str) -> None:
    """Exit code 1 while a file that is named by the rule is no evidence."""
    shutil.copyfile(SAMPLES / "talk.mp3", site.folder / f"{record}.audio.mp3")
    bad = site.folder / f"{record}.doctor_video.mp4"
    bad.write_bytes(b"MZ")

    said = ask(site.home.path, "gateway", "media", "scan", code=1)["media"]
    bad.unlink()

    assert said["refused"] == 1
    assert said["files"][0]["file"] == str(bad)
    assert site.ask("GetConversationalAudio", record).status_code == 200
    assert call(site.home.path, "gateway", "media", "scan").exit_code == 0


def test_the_form_is_written_as_a_workbook_and_as_text(site: Site, record: str, tmp_path: Path) -> None:
    """App. 3 with key, path, and 能否提供 by what is registered, or as it is said."""
    site.put(record, "audio", "talk.mp3")
    book, text = tmp_path / "form.xlsx", tmp_path / "form.txt"

    assert call(site.home.path, "gateway", "evidence", "export", str(book)).exit_code == 0
    said = ("--provide", "prescription", "--provide", "doctor_video")
    assert call(site.home.path, "gateway", "evidence", "export", str(text), *said).exit_code == 0

    service, _, addresses = workbooks.read(book.read_bytes())
    assert (("互联网医院提供的私钥", site.key), ("域名路径", BASE)) == service.rows[1:]
    assert ("交流音频", f"{BASE}/GetConversationalAudio", "能") in addresses.rows
    lines = text.read_text(encoding="utf-8").splitlines()
    assert f"处方文件\t{BASE}/GetPrescription\t能" in lines
    assert f"交流音频\t{BASE}/GetConversationalAudio\t否" in lines
    if os.name != "nt":
        assert {stat.S_IMODE(file.stat().st_mode) for file in (book, text)} == {0o600}


def test_a_rotated_key_counts_beside_the_old_one(site: Site, record: str) -> None:
    """The running service takes both, without a restart."""
    site.put(record, "audio", "talk.mp3")
    (before,) = [each for each in ask(site.home.path, "gateway", "evidence", "key") if each["ends_at"] is None]
    assert call(site.home.path, "gateway", "evidence", "rotate").exit_code == 0
    keys = {each["key"]: each["ends_at"] for each in ask(site.home.path, "gateway", "evidence", "key")}

    assert keys[before["key"]] is not None
    assert site.key != before["key"]
    assert keys[site.key] is None
    time.sleep(LOOK_SECONDS + 0.5)
    assert site.ask("GetConversationalAudio", record).status_code == 200
    now = int(clock.now().timestamp())
    asked = dict(GUANGDONG.ask(before["key"], record, DEFAULT, now=now))
    assert site.get("/GetConversationalAudio", asked).status_code == 200
    assert before["key"] not in site.log()


def test_questions_are_listed_by_digest(site: Site, record: str) -> None:
    """Never by the number of the record."""
    site.put(record, "audio", "talk.mp3")
    site.ask("GetConversationalAudio", record)

    shown = call(site.home.path, "gateway", "evidence", "questions")

    assert shown.exit_code == 0
    assert record not in shown.output


def test_evidence_is_a_part_of_the_gateway_while_it_is_on(site: Site, tmp_path: Path) -> None:
    """`gateway run` starts it as a process of its own, behind the database; off, there is no such part."""
    (part,) = [each for each in service.parts(site.home, site.settings) if each.name == "evidence"]
    home = Home(tmp_path / "home")
    shutil.copytree(site.home.path, home.path)
    off = write_settings(home, {"gateway.evidence.enabled": False})

    assert isinstance(part, Process)
    assert list(part.command)[3:6] == ["gateway", "evidence", "serve"]
    assert "evidence" not in {each.name for each in service.parts(home, off)}
    assert assembly.workplace(home, off).pledges is None
    assert assembly.workplace(site.home, site.settings).pledges is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"gateway.evidence.choices": ("order=21T",)},
        {"gateway.evidence.choices": ("window=5",)},
        {"gateway.evidence.choices": ("order",)},
        {"gateway.evidence.regulator": "nowhere"},
        {"gateway.evidence.public_base_url": "http://evidence.example"},
        {"gateway.evidence.remote.origins": ("https://media.example/path",)},
        {"gateway.evidence.remote.origins": ("https://user@media.example",)},
        {"gateway.evidence.proxies": ("proxy",)},
    ],
)
def test_a_setting_that_cannot_be_is_told_before_anybody_is_answered(
    site: Site, tmp_path: Path, changes: dict[str, object]
) -> None:
    """By its name, and never by its value."""
    home = Home(tmp_path / "home")
    shutil.copytree(site.home.path, home.path)

    def settle() -> None:
        settings = write_settings(home, changes)
        evidence_assembly.choices(settings, asking.adapter(asking.regulator_key(settings)))

    with pytest.raises(ConfigurationError) as told:
        settle()
    assert "user@" not in str(told.value)
