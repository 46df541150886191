"""
Pages of the console: from asking for one until its first content is on the screen.

Timed in a browser, where its driver (playwright, of the development tools) and a Chromium are at hand: `first paint` is
the browser's own first-contentful-paint of a page that was opened before, so that the toolkit's files are in its
cache. `answer` is the whole page from the console's process, rows and all, as a client without a browser gets it.
"""

from __future__ import annotations

import importlib.util
import secrets
import shutil
import sys
from contextlib import ExitStack, contextmanager
from datetime import datetime, time
from typing import TYPE_CHECKING, Any, Final

import httpx

from qianzhi.bench.figures import Report, Series
from qianzhi.bench.ground import APPLICATION, Ground, end
from qianzhi.bench.ports import LOOPBACK, free_ports
from qianzhi.console import accounts
from qianzhi.console.roles import Role
from qianzhi.db.queries import load
from qianzhi.db.server import connect
from qianzhi.errors import OperatorError
from qianzhi.gateway import assembly
from qianzhi.ledger import counts
from qianzhi.runtime import clock
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.home import End
from qianzhi.runtime.parts import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS: Final = 100_000  # findings; what a million costs is measured by `bench console`
DAYS: Final = 60
PAGES: Final = ("/", "/failed", "/held", "/uploads", "/log", "/check")
ASKED_PER_ROUND: Final = 3
MILLISECONDS_MAX: Final = 300.0
READY_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.1
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
_PAINT: Final = "performance.getEntriesByName('first-contentful-paint').map(each => each.startTime)[0]"
_NAME: Final = "visitor"
_MILLISECONDS: Final = 1000.0
_SQL = load("qianzhi.bench", "console.sql")


def run(rows: int, rounds: int, tell: Callable[[str], None]) -> Report:
    """Measure every page with `rows` findings behind it."""
    password = f"Bench-1-{secrets.token_urlsafe()}"
    with Ground() as ground, ExitStack() as stack:
        _fill(ground, rows, password)
        base = stack.enter_context(_console(ground))
        ways = {"answer": stack.enter_context(_client(base, password))}
        if (program := _browser()) is not None:
            ways["first paint"] = stack.enter_context(_painter(program, base, password))
        series = [
            Series(f"{way}, {path}", "ms", _timed(ask, path, rounds)) for way, ask in ways.items() for path in PAGES
        ]
    for each in series:
        tell(f"{each.name}: {each.middle:,.0f} ms")
    middles = {each.name: each.middle / MILLISECONDS_MAX for each in series}
    facts = {
        "findings": rows,
        "asked": rounds * ASKED_PER_ROUND,
        "browser": program is not None,
        "goal": f"every median below {MILLISECONDS_MAX:.0f} ms; {max(middles.values()):.2f} of it is taken at most",
    }
    bounds = {"slowest median": MILLISECONDS_MAX}
    slowest = Series("slowest median", "ms", [max(each.middle for each in series)])
    return Report("pages", [*series, slowest], bounds=bounds, facts=facts)


def _timed(ask: Callable[[str], float], path: str, rounds: int) -> list[float]:
    ask(path)  # its files and its plans are in caches from now on
    return [ask(path) for _ in range(max(2, rounds * ASKED_PER_ROUND))]


def _fill(ground: Ground, rows: int, password: str) -> None:
    dsn = assembly.owner_dsn(ground.home, ground.settings)
    until = datetime.combine(clock.local_now().date(), time(3), clock.LOCAL)
    with connect(dsn, application=APPLICATION) as session:
        session.execute(_SQL.fill, {"rows": rows, "days": min(DAYS, rows), "until": until})
        counts.fold(session)
        accounts.add(session, _NAME, Role.ADMINISTRATOR, password, actor="bench")
        session.commit()
        session.autocommit = True
        session.execute(_SQL.settle_down)
    for name in ground.ports:
        write_durably(ground.home.end(End.GATEWAY).credentials / name, b"id.secret")
    ca_file = ground.home.end(End.HUB).tls / "ca.pem"
    if not ca_file.exists():
        _make_authority(ground)


def _make_authority(ground: Ground) -> None:
    """Have the file that the destination's settings name: nobody is asked, but settings are read with every page."""
    from qianzhi.runtime.certificates import own_identity

    ground.home.create(End.HUB)
    own_identity(ground.home.end(End.HUB).tls, (), now=clock.now())


@contextmanager
def _console(ground: Ground) -> Iterator[str]:
    """Run the console; yields its address."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "qianzhi", "gateway", "console", "--home", str(ground.home.path)]
    process = Process("console", command, environment={"QIANZHI_GATEWAY__CONSOLE__PORT": str(port)})
    base = f"http://{LOOPBACK}:{port}"
    try:
        process.start()
        until = clock.monotonic() + READY_SECONDS_MAX
        while not _answers(base):
            if process.end() is not None or clock.monotonic() > until:
                raise OperatorError("The console of the bench does not answer.", remedy=ground.last_words(End.GATEWAY))
            clock.sleep(LOOK_SECONDS)
        yield base
    finally:
        end(process)


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/sign-in", trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def _client(base: str, password: str) -> Iterator[Callable[[str], float]]:
    """Sign in without a browser; yields what asks for a page and says how many milliseconds that took."""
    with httpx.Client(base_url=base, headers={"origin": base}, trust_env=False, timeout=READY_SECONDS_MAX) as client:
        client.post("/sign-in", data={"name": _NAME, "password": password})

        def ask(path: str) -> float:
            begun = clock.monotonic()
            answer = client.get(path)
            if not answer.is_success:
                raise OperatorError(f"The page {path} answers {answer.status_code}.", remedy="Look at the console.")
            return (clock.monotonic() - begun) * _MILLISECONDS

        yield ask


@contextmanager
def _painter(program: str, base: str, password: str) -> Iterator[Callable[[str], float]]:
    """Sign in with a browser; yields what opens a page and says when its first content was painted."""
    driver: Any = importlib.import_module("playwright.sync_api")
    with driver.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{base}/sign-in")
        page.fill("input[name=name]", _NAME)
        page.fill("input[name=password]", password)
        page.click("main form button >> nth=0")
        page.wait_for_selector(".frame h1")

        def ask(path: str) -> float:
            page.goto(base + path)
            page.wait_for_selector(".frame h1")
            page.wait_for_function(f"{_PAINT} !== undefined")
            return float(page.evaluate(_PAINT))

        try:
            yield ask
        finally:
            browser.close()


def _browser() -> str | None:
    """Return the browser of this machine, where it can be driven."""
    if importlib.util.find_spec("playwright") is None:
        return None
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)
