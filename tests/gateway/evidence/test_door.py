"""The service over real HTTPS: questions, files, and what must be refused."""

from __future__ import annotations

import socket
import time
from urllib.parse import quote

import httpx
import psycopg
import pytest
from tests.gateway.evidence.conftest import BASE, DEFAULT, GUANGDONG, SAMPLES, Site

from qianzhi.gateway.evidence.assembly import secret_file
from qianzhi.gateway.evidence.links import Signer, ensure_secret
from qianzhi.runtime import clock


def test_a_prescription_is_served_as_the_document_has_it(site: Site, record: str) -> None:
    """200, and two arrays of addresses below the public one."""
    file = site.folder / f"{record}.pdf"
    file.write_bytes(b"%PDF-1.4\n%%EOF\n")
    site.register(record, "prescription", str(file))

    answer = site.ask("GetPrescription", record)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert said.keys() == {"imgURL", "pdfURL"}
    assert said["imgURL"] == []
    (url,) = said["pdfURL"]
    assert url.startswith(f"{BASE}/PdfUri?id=")
    shown = site.get(url.removeprefix(BASE))
    assert (shown.status_code, shown.headers["content-type"], shown.content) == (
        200,
        "application/pdf",
        file.read_bytes(),
    )


@pytest.mark.parametrize(
    ("method", "kind", "sample", "link", "media_type"),
    [
        ("GetDoctorVedio", "doctor_video", "visit.mp4", "VedioUri", "video/mp4"),
        ("GetDoctorVedio", "doctor-video", "visit.ogv", "VedioUri", "video/ogg"),
        ("GetPatientVedio", "patient_video", "visit.webm", "VedioUri", "video/webm"),
        ("GetConversationalAudio", "audio", "talk.mp3", "AudioUri", "audio/mpeg"),
        ("GetConversationalAudio", "audio", "talk.wav", "AudioUri", "audio/wav"),
        ("GetConversationalAudio", "audio", "talk.oga", "AudioUri", "audio/ogg"),
    ],
)
def test_recordings_are_served_by_their_address(
    site: Site, record: str, method: str, kind: str, sample: str, link: str, media_type: str
) -> None:
    """Each answer is one address; the file behind it arrives byte for byte."""
    site.put(record, kind, sample)

    path = site.link(method, record)
    shown = site.get(path)

    assert path.startswith(f"/{link}?id=")
    assert (shown.status_code, shown.headers["content-type"]) == (200, media_type)
    assert shown.content == (SAMPLES / sample).read_bytes()
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["cache-control"] == "private, no-store"


def test_addresses_work_with_and_without_the_public_path(site: Site, record: str) -> None:
    """A proxy may take the sub-path away or leave it."""
    site.put(record, "audio", "talk.mp3")
    path = site.link("GetConversationalAudio", record)

    assert site.get(f"/qz{path}").status_code == 200
    assert site.get(f"/other{path}").status_code == 404


def test_the_newest_recording_counts_and_every_page_of_a_prescription(site: Site, record: str) -> None:
    """A corrected video replaces the one before it; pages come in their order."""
    site.put(record, "doctor_video", "visit.mp4", 1)
    site.put(record, "doctor_video", "visit.webm", 2)
    for number in (2, 1):
        file = site.folder / f"{record}.prescription.{number}.pdf"
        file.write_bytes(b"%PDF-1.4\n" + b"%" * number + b"\n%%EOF\n")
        site.register(record, "prescription", str(file), number)

    assert site.get(site.link("GetDoctorVedio", record)).content == (SAMPLES / "visit.webm").read_bytes()
    urls = site.ask("GetPrescription", record).json()["pdfURL"]
    assert [len(site.get(url.removeprefix(BASE)).content) for url in urls] == [17, 18]


def test_a_record_without_evidence_is_unknown(site: Site, record: str) -> None:
    """404 for a record that nobody knows, and for a kind that it has not."""
    assert site.ask("GetPrescription", record).status_code == 404
    site.put(record, "audio", "talk.mp3")
    assert site.ask("GetDoctorVedio", record).status_code == 404
    assert site.ask("GetConversationalAudio", record).status_code == 200


def test_a_wrong_key_a_wrong_time_and_milliseconds_are_refused(site: Site, record: str) -> None:
    """401 for what proves nothing, 202 for what cannot be read; nothing is told about the record."""
    site.put(record, "audio", "talk.mp3")
    now = int(clock.now().timestamp())
    stale = GUANGDONG.ask(site.key, record, DEFAULT, now=now - 301)

    assert site.ask("GetConversationalAudio", record, Token="0" * 64).status_code == 401
    assert site.get("/GetConversationalAudio", dict(stale)).status_code == 401
    assert site.ask("GetConversationalAudio", record, Time=f"{now}000").status_code == 202
    assert site.ask("GetConversationalAudio", record, RecordNo="").status_code == 202
    assert site.get("/GetConversationalAudio").status_code == 202


@pytest.mark.parametrize(
    "number",
    [
        "../../../etc/passwd",
        "..\\..\\windows\\win.ini",
        "%2e%2e%2fetc%2fpasswd",
        "C:\\boot.ini",
        "\\\\server\\share\\file",
        "//server/share",
        "/etc/passwd",
        "....//....//etc/passwd",
        "~root",
        "*",
        "%",
        "'; DROP TABLE qianzhi.evidence_media; --",
    ],
)
def test_a_record_number_that_looks_like_a_path_is_no_path(site: Site, number: str) -> None:
    """No such record, whatever the file system has at that place."""
    assert site.ask("GetPrescription", number).status_code == 404


def test_control_characters_in_a_record_number_are_a_wrong_parameter(site: Site) -> None:
    """A NUL ends no string of ours."""
    assert site.ask("GetPrescription", "1\0.pdf").status_code == 202


@pytest.mark.parametrize(
    "path",
    [
        "/PicUri?id=../../../etc/passwd",
        "/VedioUri?id=" + quote("\0" * 48),
        "/VedioUri?id=" + "A" * 48,
        "/VedioUri?id=" + "A" * 3000,
        "/VedioUri?id=" + quote("漢" * 48),
        "/VedioUri",
        "/VedioUri?id=1&id=2",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/etc/passwd",
        "/media/",
        "/",
        "/openapi.json",
    ],
)
def test_what_is_no_address_of_ours_leads_nowhere(site: Site, path: str) -> None:
    """No folder is listed and no file is opened by anything that a client writes."""
    assert site.get(path).status_code == 404


def test_an_address_is_bound_to_one_file_kind_and_time(site: Site, record: str) -> None:
    """Any changed character, another kind of address, or the end of its time: 404."""
    file = site.put(record, "audio", "talk.mp3")
    path = site.link("GetConversationalAudio", record)
    assert site.get(path).status_code == 200

    for at in range(len(path) - 48, len(path), 5):
        other = "A" if path[at] != "A" else "B"
        assert site.get(path[:at] + other + path[at + 1 :]).status_code == 404
    assert site.get(path.replace("AudioUri", "VedioUri")).status_code == 404
    file.write_bytes((SAMPLES / "talk.wav").read_bytes())
    assert site.get(path).status_code == 404  # it is no longer the file that was looked into


def test_a_file_that_became_a_link_is_not_followed(site: Site, record: str) -> None:
    """Whoever can write into the folder cannot lead out of it."""
    file = site.put(record, "audio", "talk.mp3")
    path = site.link("GetConversationalAudio", record)
    secret = site.home.path / "secret.mp3"
    secret.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(secret)

    assert site.get(path).status_code == 404


def test_parts_of_a_file_are_sent(site: Site, record: str) -> None:
    """One range, an open one, the last bytes; 416 behind the end; nonsense is the whole file."""
    content = (SAMPLES / "visit.mp4").read_bytes()
    site.put(record, "doctor_video", "visit.mp4")
    path = site.link("GetDoctorVedio", record)

    for header, part in (("bytes=0-0", content[:1]), ("bytes=100-", content[100:]), ("bytes=-7", content[-7:])):
        answer = site.get(path, Range=header)
        assert (answer.status_code, answer.content) == (206, part)
        assert answer.headers["content-range"].endswith(f"/{len(content)}")
    beyond = site.get(path, Range=f"bytes={len(content)}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
    for header in ("bytes=5-1", "pages=1-2", "bytes=a-b", "bytes=" + ",".join(["0-0"] * 100)):
        assert site.get(path, Range=header).content == content


def test_several_parts_come_in_one_answer(site: Site, record: str) -> None:
    """multipart/byteranges, with a length that is right."""
    content = (SAMPLES / "visit.mp4").read_bytes()
    site.put(record, "doctor_video", "visit.mp4")

    answer = site.get(site.link("GetDoctorVedio", record), Range="bytes=0-3,10-19")

    assert answer.status_code == 206
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    parts = answer.content.split(f"--{boundary}".encode())
    assert [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:3]] == [
        content[:4],
        content[10:20],
    ]
    assert parts[3] == b"--\r\n"


def test_head_etag_and_conditions(site: Site, record: str) -> None:
    """HEAD tells the size; a file that is known is not sent again; a part of another file is not given."""
    site.put(record, "doctor_video", "visit.mp4")
    path = site.link("GetDoctorVedio", record)
    size = (SAMPLES / "visit.mp4").stat().st_size
    url = f"https://127.0.0.1:{site.port}{path}"

    head = site.client.head(url)
    etag = head.headers["etag"]

    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
    assert head.headers["accept-ranges"] == "bytes"
    assert site.get(path, If_None_Match=etag).status_code == 304
    assert site.get(path, Range="bytes=0-0", If_Range=etag).status_code == 206
    assert site.get(path, Range="bytes=0-0", If_Range='"other"').status_code == 200
    assert site.client.post(url).status_code == 405


def test_a_large_file_arrives_whole_and_a_client_that_leaves_harms_nobody(site: Site, record: str) -> None:
    """Megabytes are sent in pieces; a connection that breaks off in between is let go."""
    content = (SAMPLES / "visit.mp4").read_bytes() + bytes(3_000_000)
    content = content[: len(content) - 3_000_000] + (3_000_000).to_bytes(4, "big") + b"free" + bytes(3_000_000 - 8)
    file = site.folder / f"{record}.mp4"
    file.write_bytes(content)
    site.register(record, "doctor_video", str(file))
    path = site.link("GetDoctorVedio", record)

    with site.client.stream("GET", f"https://127.0.0.1:{site.port}{path}") as answer:
        next(answer.iter_raw(1024))

    assert site.get(path).content == content
    assert site.get(path, Range="bytes=1000-2500000").content == content[1000:2_500_001]


def test_oversized_heads_and_queries_are_refused(site: Site, record: str) -> None:
    """A query beyond its bound is a wrong parameter; a head beyond that of the server is cut off."""
    assert site.ask("GetPrescription", record, more="x" * 5000).status_code == 202
    try:
        status = site.get("/GetPrescription", X_Long="x" * 4_000_000).status_code
    except httpx.TransportError:
        status = 431
    assert status == 431
    assert site.get("/healthz").status_code == 200


def test_who_guesses_is_refused_unheard_for_a_while(site: Site, record: str) -> None:
    """After twenty wrong tokens of one client even a right one is 401; others are not concerned."""
    site.put(record, "audio", "talk.mp3")
    now = int(clock.now().timestamp())
    right = dict(GUANGDONG.ask(site.key, record, DEFAULT, now=now))
    wrong = {**right, "Token": "0" * 64}

    for _ in range(20):
        assert site.get("/GetConversationalAudio", right, X_Forwarded_For="203.0.113.9").status_code == 200
        assert site.get("/GetConversationalAudio", wrong, X_Forwarded_For="203.0.113.9").status_code == 401

    assert site.get("/GetConversationalAudio", right, X_Forwarded_For="203.0.113.9").status_code == 401
    assert site.get("/GetConversationalAudio", right, X_Forwarded_For="203.0.113.10").status_code == 200
    # What a client writes itself stands left of what the proxy adds.
    assert site.get("/GetConversationalAudio", right, X_Forwarded_For="203.0.113.9, 203.0.113.11").status_code == 200


def test_questions_are_on_record_without_naming_the_record(site: Site, record: str) -> None:
    """The ledger knows who asked and that a token came twice; neither it nor the log tells which record."""
    site.put(record, "audio", "talk.mp3")
    now = int(clock.now().timestamp())
    parameters = dict(GUANGDONG.ask(site.key, record, DEFAULT, now=now))
    for _ in range(3):
        assert site.get("/GetConversationalAudio", parameters).status_code == 200

    signer = Signer(ensure_secret(secret_file(site.home)))
    deadline = time.monotonic() + 90
    rows: list[tuple[object, ...]] = []
    while len(rows) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
        with psycopg.connect(site.dsn) as session:
            rows = session.execute(
                "SELECT outcome, host(client), earlier FROM qianzhi.evidence_questions "
                "WHERE record_digest = decode(%s, 'hex') ORDER BY question_id",
                [signer.digest(record)],
            ).fetchall()

    assert rows == [("served", "127.0.0.1", n) for n in range(3)]
    assert "evidence:question:repeated" in site.log()
    with psycopg.connect(site.dsn) as session:
        told = session.execute("SELECT q::text FROM qianzhi.evidence_questions q").fetchall()
    assert record not in site.log() + str(told)
    assert parameters["Token"] not in site.log() + str(told)


def test_plain_http_is_not_answered(site: Site) -> None:
    """The document asks for HTTPS."""
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in plain.recv(100)
