"""Playing the regulator: real questions to the service that runs, and whether each is answered as it must be."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from qianzhi.errors import OperatorError, SenderError
from qianzhi.gateway.evidence import asking, assembly, keys
from qianzhi.ledger import evidence as register
from qianzhi.regulators.protocols import Outcome
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from qianzhi.db.server import Session
    from qianzhi.regulators.protocols import Asked, Evidence
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

SECONDS_MAX: Final = 10.0
ANSWER_BYTES_MAX: Final = 1024 * 1024
ROUNDS_MAX: Final = 4
"""Files of one answer that are fetched."""

_NO_FILE: Final = "no file registered"


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer; `passed` is None where there was nothing to ask for."""

    method: str
    what: str
    wanted: str
    got: str
    passed: bool | None

    def as_json(self) -> dict[str, object]:
        """Return the public form."""
        return {
            "method": self.method,
            "what": self.what,
            "wanted": self.wanted,
            "got": self.got,
            "passed": self.passed,
        }


def examine(
    home: Home, settings: Settings, session: Session, *, record: str | None = None, public: bool = False, language: str
) -> Iterator[Check]:
    """
    Yield one check after the other; asks for `record`, else for the newest file of each kind.

    `public` asks at the address that the regulator was told instead of this machine's own. Raises OperatorError when
    nobody answers there.
    """
    key = asking.regulator_key(settings)
    player = _Player(home, settings, asking.adapter(key), public=public, language=language)
    try:
        for asked in player.evidence.ASKED:
            found = _newest(session, key, asked, record)
            yield from player.served(asked, found)
        yield from player.refused(record or "1")
    except httpx.HTTPError as error:
        raise OperatorError(
            f"The service does not answer at {player.url} ({type(error).__name__}).",
            remedy="Set [gateway.evidence] enabled, run `qianzhi gateway run`, and look at port and certificate.",
        ) from error
    finally:
        player.close()


def _newest(session: Session, key: str, asked: Asked, record: str | None) -> str | None:
    for each in register.listed(session, key, record=record):
        if each["kind"] == asked.name:
            return str(each["record"])
    return None


class _Player:
    """Asks as the regulator would."""

    def __init__(self, home: Home, settings: Settings, evidence: Evidence, *, public: bool, language: str) -> None:
        self.evidence = evidence
        self._language = language
        self._terms = assembly.terms(settings, evidence)
        self._base = self._terms.base_url
        self.url = self._base if public else assembly.local_url(settings)
        self._window_seconds = self._terms.window_seconds
        file = assembly.keys_file(home, asking.regulator_key(settings))
        self._key = keys.ensure_key(file, evidence.KEY_CHARACTERS, clock.now()).key
        self._client = httpx.Client(verify=_trust(home, settings), trust_env=False, timeout=SECONDS_MAX)
        # The certificate is for the name that the regulator uses.
        self._told = {} if public else {"sni_hostname": urlsplit(self._base).hostname or ""}

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def served(self, asked: Asked, record: str | None) -> Iterator[Check]:
        """Ask for what is registered, and fetch each file in part."""
        title = asked.title.said(self._language)
        wanted = self.evidence.STATUSES[Outcome.SERVED].value
        if record is None:
            yield Check(asked.method, title, str(wanted), _NO_FILE, None)
            return
        answer = self._ask(asked, self.evidence.ask(self._key, record, self._terms.choices, now=_now()))
        yield Check(asked.method, title, str(wanted), str(answer.status_code), answer.status_code == wanted)
        if answer.status_code != wanted:
            return
        try:
            urls = self.evidence.read(asked, answer.content[:ANSWER_BYTES_MAX])
        except SenderError as error:
            yield Check(asked.method, "URL", self._base, error.what, passed=False)
            return
        for url in urls[:ROUNDS_MAX]:
            yield from self._fetched(asked, url)

    def refused(self, record: str) -> Iterator[Check]:
        """Ask what must be refused."""
        asked = self.evidence.ASKED[0]
        trials = self.evidence.trials(
            self._key, record, self._terms.choices, now=_now(), window_seconds=self._window_seconds
        )
        for trial in trials:
            wanted = self.evidence.STATUSES[trial.outcome].value
            got = self._ask(asked, trial.parameters).status_code
            yield Check(asked.method, trial.title.said(self._language), str(wanted), str(got), got == wanted)

    def _fetched(self, asked: Asked, url: str) -> Iterator[Check]:
        if not url.startswith(f"{self._base}/"):
            yield Check(asked.method, "URL", self._base, "another address", passed=False)
            return
        for what, headers, link, wanted in (
            ("Range", {"Range": "bytes=0-0"}, url, httpx.codes.PARTIAL_CONTENT),
            ("Range 416", {"Range": f"bytes={2**53}-"}, url, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE),
            ("id", {}, f"{url[:-1]}{'A' if url[-1] != 'A' else 'B'}", httpx.codes.NOT_FOUND),
        ):
            got = self._get(link.removeprefix(self._base), {}, headers)
            passed = got.status_code == wanted
            if wanted == httpx.codes.PARTIAL_CONTENT:
                passed = passed and len(got.content) == 1 and got.headers["content-type"] in asked.links
            yield Check(asked.method, what, str(wanted.value), str(got.status_code), passed)

    def _ask(self, asked: Asked, parameters: Mapping[str, str]) -> httpx.Response:
        return self._get(f"/{asked.method}", parameters, {})

    def _get(self, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> httpx.Response:
        url = f"{self.url}{path}"
        return self._client.get(url, params=parameters or None, headers=headers, extensions=self._told)


def _trust(home: Home, settings: Settings) -> ssl.SSLContext:
    """Return whom to trust: the machine's authorities, and whoever signed what the service shows."""
    context = ssl.create_default_context()
    shown = assembly.identity(home, settings, clock.now())
    context.load_verify_locations(shown.authority or shown.certificate)
    return context


def _now() -> int:
    return int(clock.now().timestamp())
