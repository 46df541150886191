"""The page of evidence, in a real browser, on the gateway's own console."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.browser import Visitor, chromium, visitor
from tests.gateway.evidence.conftest import SAMPLES, new_database

from qianzhi.console import accounts
from qianzhi.console.roles import Role
from qianzhi.db import migrate
from qianzhi.db.server import connect
from qianzhi.gateway import assembly
from qianzhi.gateway.evidence import assembly as evidence_assembly
from qianzhi.gateway.evidence import keys, register
from qianzhi.ledger import evidence
from qianzhi.ledger.evidence import Noted
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.runtime.sources import write_settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from qianzhi.db.embedded import Cluster

pytestmark = pytest.mark.browser

PASSWORD = "Right-1-password"  # noqa: S105 - of an account that exists for the tests
RECORD = "2019031782837361728"
START_SECONDS_MAX = 90.0


@pytest.fixture(scope="module")
def home(postgres: Cluster, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A gateway with one video, two keys and two questions."""
    folder = tmp_path_factory.mktemp("page")
    place, media = Home(folder / "home"), folder / "media"
    place.create(End.GATEWAY)
    media.mkdir()
    settings = write_settings(
        place,
        {
            "gateway.institution": "440000000000000001",
            "gateway.database.dsn": new_database(postgres, folder / "passfile"),
            "gateway.destinations.hub.regulator": "guangdong",
            "gateway.destinations.hub.url": "https://hub.example",
            "gateway.console.port": free_port(),
            "gateway.evidence.enabled": True,
            "gateway.evidence.public_base_url": "https://evidence.example/qz",
            "gateway.evidence.folders.media.folder": str(media),
        },
    )
    dsn = assembly.owner_dsn(place, settings)
    migrate.upgrade(dsn, "qianzhi.ledger", "gateway")
    file = evidence_assembly.keys_file(place, "guangdong")
    keys.ensure_key(file, 64, clock.now())
    keys.rotate(file, 64, clock.now(), overlap=timedelta(days=14))
    video = media / f"{RECORD}.mp4"
    shutil.copyfile(SAMPLES / "visit.mp4", video)
    with connect(dsn, application="test") as session:
        register.register(session, settings, RECORD, "doctor_video", str(video))
        asked = [
            Noted(clock.now(), "GetDoctorVedio", "served", "203.0.113.9", "ab" * 16, "cd" * 16, 3),
            Noted(clock.now(), "GetDoctorVedio", "unproven", "203.0.113.9", None, None, 0),
        ]
        evidence.note(session, asked)
        accounts.add(session, "viewer", Role.VIEWER, PASSWORD, actor="test")
    return place


@pytest.fixture(scope="module")
def base(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of its console."""
    port = write_settings(home, {}).gateway.console.port
    address = f"http://127.0.0.1:{port}"
    told = (tmp_path_factory.mktemp("out") / "console.out").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "qianzhi", "gateway", "console", "--home", str(home.path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=told,
        stderr=told,
    )
    until = clock.monotonic() + START_SECONDS_MAX
    while True:
        assert process.poll() is None
        assert clock.monotonic() < until
        try:
            httpx.get(f"{address}/sign-in", trust_env=False)
            break
        except httpx.TransportError:
            clock.sleep(0.1)
    yield address
    process.terminate()
    process.wait(60)
    told.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the module."""
    with chromium() as started:
        yield started


@pytest.fixture
def guest(browser: Browser, base: str) -> Iterator[Visitor]:
    """A fresh browser profile on the console."""
    with visitor(browser, base) as made:
        yield made


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", ("调阅", "对外地址", "医生端视频", "已提供", "鉴权失败", "旧私钥", "前后 300 秒")),
        ("en", ("Evidence", "Public address", "video of the doctor's side", "served", "not proven", "the old one")),
    ],
)
def test_terms_files_and_questions_are_shown(guest: Visitor, home: Home, language: str, words: tuple[str, ...]) -> None:
    """In both languages; neither the key nor the number of a record stands on the page."""
    guest.speak(language)
    guest.sign_in("viewer", PASSWORD, "/evidence")
    guest.page.wait_for_selector("td .tag")

    said = guest.text()

    assert [word for word in words if word not in said] == []
    assert "https://evidence.example/qz" in said
    assert "ab" * 16 in said
    assert RECORD not in guest.page.content()
    held = keys.read_keys(evidence_assembly.keys_file(home, "guangdong"))
    assert not any(each.key in guest.page.content() for each in held)
    assert not guest.is_overflowing()
