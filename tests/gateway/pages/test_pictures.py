"""The pictures of the documentation, of a hospital that does not exist; `make screenshots` takes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.browser import Visitor, chromium, visitor
from tests.gateway.pages.pictures import VARIABLE, shoot
from tests.gateway.pages.showcase import PASSWORD, Showcase, showcase

from qianzhi.runtime.home import Home

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(VARIABLE not in os.environ, reason="Nobody asks for pictures: `make screenshots`."),
]

LANGUAGES = ("zh", "en")
PAGES = {
    "today": "/",
    "failed": "/failed",
    "held": "/held",
    "uploads": "/uploads",
    "resources": "/resources?dataset=staff&state=accepted",
    "documents": "/documents",
    "files": "/files",
    "forms": "/forms",
    "evidence": "/evidence",
    "log": "/log",
    "services": "/services",
    "whitelist": "/whitelist",
    "accounts": "/accounts",
    "audit": "/audit",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Showcase]:
    """A hospital that ran for a month."""
    with showcase(Home(tmp_path_factory.mktemp("showcase") / "home"), free_port) as made:
        yield made


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_has_its_picture(site: Showcase, pictures: Path, language: str) -> None:
    """Each shows what it is for, in both languages, and is no wider than the window."""
    with chromium() as browser, visitor(browser, site.base) as guest:
        guest.speak(language)
        guest.page.goto(f"{site.base}/sign-in")
        shoot(guest, pictures, "sign-in", language)
        guest.sign_in("li.na", PASSWORD)
        for name, path in {**PAGES, "record": site.record()}.items():
            guest.go(path)
            guest.page.wait_for_load_state("networkidle")
            take(guest, site, pictures, name, language)
        guest.go("/check")
        guest.page.click(".main .q-btn")
        guest.page.wait_for_selector(".answer .notice")
        take(guest, site, pictures, "check", language)
        guest.go("/doctor")
        guest.page.click(".main .q-btn >> nth=0")
        guest.page.wait_for_selector(".main .notice")
        take(guest, site, pictures, "doctor", language)
        guest.go(PAGES["resources"])
        guest.page.click("tbody tr >> nth=0")
        guest.page.wait_for_selector(".q-dialog .portrait img")
        take(guest, site, pictures, "resource-form", language)


def take(guest: Visitor, site: Showcase, folder: Path, name: str, language: str) -> None:
    """Keep a picture of a page that fits."""
    assert not guest.is_overflowing(), name
    shoot(guest, folder, name, language, home=site.home.path)
