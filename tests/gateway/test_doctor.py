"""What the doctor says of things that are not well."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import structlog

from qianzhi import regulators
from qianzhi.gateway import doctor
from qianzhi.gateway.doctor import Diagnosis, Health
from qianzhi.gateway.evidence import keys
from qianzhi.gateway.evidence.assembly import keys_file
from qianzhi.runtime import clock, keyfile
from qianzhi.runtime.certificates import AUTHORITY_DAYS, own_identity
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.settings import Settings
from qianzhi.runtime.sources import write_settings


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers everything, by a clock of its own."""

    ahead = timedelta()

    said = b"not JSON"

    def do_GET(self) -> None:
        """Say the time, and what is to be said."""
        self.send_response_only(200)
        self.send_header("Date", format_datetime(datetime.now(UTC) + self.ahead, usegmt=True))  # noqa: TID251 - a clock
        self.send_header("Content-Length", str(len(self.said)))
        self.end_headers()
        self.wfile.write(self.said)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The port of an HTTPS server on this machine, and the authority of its certificate."""
    (tmp_path / "tls").mkdir()
    identity = own_identity(tmp_path / "tls", (), now=clock.now())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is what is tested
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert identity.authority is not None
        yield server.server_address[1], identity.authority
        server.shutdown()


def settle(home: Home, **more: object) -> Settings:
    """Write settings of a gateway with its own PostgreSQL and one destination."""
    (home.path / "credential").write_text("id.secret", encoding="utf-8")
    at = "gateway.destinations.hub"
    known = {f"{at}.regulator": "guangdong", f"{at}.url": "https://127.0.0.1:9", f"{at}.credential_file": "credential"}
    return write_settings(home, known | {name.replace("__", "."): value for name, value in more.items()})


def told(home: Home, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, Diagnosis]:
    """Return the diagnoses by name; the database, which is not there, is not waited for."""
    monkeypatch.setattr(doctor, "CONNECT_SECONDS", 0.2)
    with structlog.testing.capture_logs():
        found = {each.name: each for each in doctor.examine(home, settings)}
    assert all(
        each.as_json("zh")["remedy"] and each.as_json("en")["remedy"]
        for each in found.values()
        if each.health is not Health.WELL
    )
    return found


def test_a_port_that_something_else_has_is_ill(
    home: Home, monkeypatch: pytest.MonkeyPatch, free_port: Callable[[], int]
) -> None:
    """The embedded PostgreSQL could not start; a free port is no more than a note."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = told(home, settle(home, gateway__database__port=port), monkeypatch)[f"port {port}"]
    port = free_port()
    free = told(home, settle(home, gateway__database__port=port), monkeypatch)[f"port {port}"]
    assert (taken.health, free.health) == (Health.ILL, Health.NOTE)
    assert str(os.getpid()) in taken.as_json("en")["what"]


def test_image_folders_must_be_readable(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without its folder every record that names an image is rejected."""
    more = {f"gateway__images__{name}__prefix": name for name in ("here", "gone")}
    folders = {"gateway__images__here__folder": tmp_path, "gateway__images__gone__folder": tmp_path / "gone"}
    found = told(home, settle(home, **more, **folders), monkeypatch)
    assert (found["images here"].health, found["images gone"].health) == (Health.WELL, Health.ILL)


def test_a_key_file_that_cannot_be_used_is_told(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without one nothing is encrypted; with one that is open to others or away nothing goes."""
    assert told(home, settle(home), monkeypatch)["key file"].health is Health.WELL
    path = tmp_path / "key"
    keyfile.make(path, now=clock.now())
    settings = settle(home, gateway__encryption__key_file=path)
    assert told(home, settings, monkeypatch)["key file"].health is Health.WELL
    if os.name != "nt":
        path.chmod(0o640)
        opened = told(home, settings, monkeypatch)["key file"]
        assert (opened.health, "chmod 600" in opened.as_json("zh")["remedy"]) == (Health.ILL, True)
    path.unlink()
    assert told(home, settings, monkeypatch)["key file"].health is Health.ILL


def test_the_folder_of_archives_must_be_writable_and_have_room(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It may be a disk of its own; until there is an archive there is no folder."""
    settings, folder = settle(home), home.end(End.GATEWAY).archive
    assert told(home, settings, monkeypatch)["archive folder"].health is Health.WELL
    folder.mkdir()
    assert told(home, settings, monkeypatch)["archive folder"].health is Health.WELL
    usage = type(shutil.disk_usage(tmp_path))
    real = shutil.disk_usage
    full = lambda path: usage(2**40, 2**40, 2**30) if path == folder else real(path)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", full)
    assert told(home, settings, monkeypatch)["archive folder"].health is Health.NOTE
    folder.rmdir()
    folder.write_bytes(b"")
    assert told(home, settings, monkeypatch)["archive folder"].health is Health.ILL


def test_what_a_regulators_question_needs_is_looked_at(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Folders, the site's certificate, a key that is not being changed; nothing of it where nobody is answered."""
    assert not [name for name in told(home, settle(home), monkeypatch) if "evidence" in name]
    shown = own_identity(tmp_path, (), now=clock.now() - timedelta(days=AUTHORITY_DAYS))
    folders = {f"gateway__evidence__folders__{name}__folder": tmp_path / name for name in ("here", "gone")}
    (tmp_path / "here").mkdir()
    tls = {"certificate": shown.authority, "key": shown.key}
    more = {f"gateway__evidence__tls__{name}": path for name, path in tls.items()}
    settings = settle(home, gateway__evidence__enabled=True, **folders, **more)
    found = told(home, settings, monkeypatch)
    assert [found[f"evidence folder {name}"].health for name in ("here", "gone")] == [Health.WELL, Health.ILL]
    assert found["certificate of evidence"].health is Health.ILL
    assert found["evidence key"].health is Health.ILL
    file = keys_file(home, "guangdong")
    keys.ensure_key(file, 64, clock.now())
    assert told(home, settings, monkeypatch)["evidence key"].health is Health.WELL
    now = clock.now()
    keys.rotate(file, 64, now, overlap=timedelta(days=14))
    changed = told(home, settings, monkeypatch)["evidence key"]
    assert changed.health is Health.NOTE
    assert f"{clock.local(now + timedelta(days=14)):%Y-%m-%d}" in changed.as_json("en")["what"]
    assert not any(each.key in str(changed.as_json("zh")) for each in keys.read_keys(file))


@pytest.mark.parametrize(("free_gib", "health"), [(30, Health.WELL), (19, Health.NOTE), (4, Health.ILL)])
def test_a_disk_that_fills_up_is_told_in_time(
    home: Home, monkeypatch: pytest.MonkeyPatch, free_gib: int, health: Health
) -> None:
    """There is a note before it is too late."""
    usage = shutil.disk_usage(home.path)._replace(free=free_gib * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert told(home, settle(home), monkeypatch)["disk"].health is health


@pytest.mark.parametrize(("minutes", "health"), [(0, Health.WELL), (4, Health.WELL), (7, Health.ILL), (-7, Health.ILL)])
def test_clocks_that_are_apart_are_ill(
    home: Home, monkeypatch: pytest.MonkeyPatch, hub: tuple[int, Path], minutes: int, health: Health
) -> None:
    """Five minutes are allowed, in either direction."""
    monkeypatch.setattr(Hub, "ahead", timedelta(minutes=minutes))
    port, authority = hub
    at = "gateway__destinations__hub__"
    settings = settle(home, **{f"{at}url": f"https://localhost:{port}", f"{at}ca_file": authority})
    found = told(home, settings, monkeypatch)
    assert found["destination hub"].health is Health.WELL
    assert found["clock of hub"].health is health


def test_a_certificate_that_is_not_trusted_is_told_as_such(
    home: Home, monkeypatch: pytest.MonkeyPatch, hub: tuple[int, Path]
) -> None:
    """That somebody answers is not enough."""
    settings = settle(home, gateway__destinations__hub__url=f"https://localhost:{hub[0]}")
    found = told(home, settings, monkeypatch)["destination hub"]
    assert found.health is Health.ILL
    assert "not trusted" in found.as_json("en")["what"]


@pytest.mark.parametrize(
    ("days_left", "health"), [(31, Health.WELL), (29, Health.NOTE), (-1, Health.ILL), (None, Health.ILL)]
)
def test_the_end_of_an_authority_is_told_in_time(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, days_left: int | None, health: Health
) -> None:
    """Thirty days before its end there is a note; a file without a certificate is ill."""
    authority = tmp_path / "ca.pem"
    if days_left is None:
        authority.write_text("no certificate", encoding="utf-8")
    else:
        own_identity(tmp_path, (), now=clock.now() - timedelta(days=AUTHORITY_DAYS - days_left - 1))
    settings = settle(home, gateway__destinations__hub__ca_file=authority)
    assert told(home, settings, monkeypatch)["authority of hub"].health is health


def test_a_gateway_without_destination_is_ill(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take rows and send none."""
    assert told(home, write_settings(home, {"log.level": "info"}), monkeypatch)["destination"].health is Health.ILL


def test_an_end_of_the_certificate_shown_and_another_edition_are_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, hub: tuple[int, Path]
) -> None:
    """The hub's certificate is looked at from here, and so is by which rules it judges."""
    port, authority = hub
    at = "gateway__destinations__hub__"
    settings = settle(home, **{f"{at}url": f"https://localhost:{port}", f"{at}ca_file": authority})
    silent = told(home, settings, monkeypatch)
    known = regulators.regulator("guangdong")
    other = {"status": "ok", "editions": {"guangdong": {"edition": "V2.0", "ruleset": "0" * 64}}}
    monkeypatch.setattr(Hub, "said", json.dumps(other).encode())
    apart = told(home, settings, monkeypatch)["edition of hub"]
    same = {"status": "ok", "editions": {"guangdong": {"edition": known.edition, "ruleset": known.digest}}}
    monkeypatch.setattr(Hub, "said", json.dumps(same).encode())
    assert silent["certificate of hub"].health is Health.WELL
    assert silent["edition of hub"].health is Health.NOTE
    assert (apart.health, "V2.0" in apart.as_json("zh")["what"]) == (Health.ILL, True)
    assert told(home, settings, monkeypatch)["edition of hub"].health is Health.WELL
