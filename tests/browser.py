"""A browser for the tests of pages: the machine's own Chromium, and what a page must not do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error as PlaywrightError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTH, HEIGHT = 1280, 800
WAIT_MILLISECONDS = 90_000


@dataclass
class Visitor:
    """One browser profile with one page, on a console; it notes what no page may do."""

    page: Page
    base: str
    strangers: list[str] = field(default_factory=list)  # addresses outside the console
    complaints: list[str] = field(default_factory=list)  # errors in the browser, also of the content policy

    def go(self, path: str) -> None:
        """Open a page of the console, and wait until it is drawn."""
        self.page.goto(self.base + path)
        self.page.wait_for_selector("h1")

    def sign_in(self, name: str, password: str, path: str = "/") -> None:
        """Sign in as the form does, and come to a page."""
        form: dict[str, str | float | bool] = {"name": name, "password": password}
        answer = self.page.request.post(
            f"{self.base}/sign-in", form=form, headers={"origin": self.base}, max_redirects=0
        )
        assert answer.status == 303
        self.page.goto(self.base + path)
        self.page.wait_for_selector(".frame h1")

    def speak(self, language: str) -> None:
        """Choose a language ("zh" or "en")."""
        self.page.context.add_cookies([{"name": "qianzhi_language", "value": language, "url": self.base}])

    def text(self) -> str:
        """Return what the page says."""
        return self.page.inner_text("body")

    def seen(self) -> str:
        """Return what is on the page with what stands in its fields, whatever state it is in."""
        try:
            fields = self.page.locator("input, textarea").evaluate_all(
                "all => all.map(each => `${each.ariaLabel ?? each.type}: ${each.value}`).join('\\n')"
            )
            return f"{self.page.inner_text('body', timeout=2_000)}\n{fields}"
        except PlaywrightError as error:
            return str(error)

    def is_overflowing(self) -> bool:
        """Tell whether the page is wider than the window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))

    def shoot(self, folder: Path, name: str) -> None:
        """Keep a picture of the page."""
        folder.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(250)  # until what is drawn by animation stands still
        self.page.screenshot(path=folder / f"{name}.png")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser, and end it; while it runs this thread has an event loop."""
    from playwright.sync_api import sync_playwright

    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.fail("There is no Chromium on this machine: `make browser`, or leave these out by -m 'not browser'.")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visitor(browser: Browser, base: str) -> Iterator[Visitor]:
    """Open a fresh profile on a console; at the end nothing may have left its origin, and nothing failed in it."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, ignore_https_errors=True)
    context.set_default_timeout(WAIT_MILLISECONDS)
    made = Visitor(context.new_page(), base)
    own = urlsplit(base).netloc

    def said(message: ConsoleMessage) -> None:
        if message.type == "error" and "status of 4" not in message.text:  # a refusal that a test asked for
            made.complaints.append(message.text)

    def asked(url: str) -> None:
        if urlsplit(url).netloc not in {own, ""}:
            made.strangers.append(url)

    context.on("request", lambda request: asked(request.url))
    made.page.on("websocket", lambda socket: asked(socket.url))
    made.page.on("console", said)
    made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
    try:
        yield made
        assert made.strangers == []
        assert made.complaints == []
    finally:
        context.close()
