"""The scene of the bench `evidence`: a gateway that answers a regulator, and nginx beside it if there is one."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import httpx
import orjson

from qianzhi.bench.ground import APPLICATION, REGULATOR, Ground, end
from qianzhi.bench.ports import LOOPBACK, free_ports
from qianzhi.db.server import connect
from qianzhi.errors import OperatorError
from qianzhi.gateway import assembly as gateway_assembly
from qianzhi.gateway.evidence import asking, assembly, keys
from qianzhi.ledger import evidence
from qianzhi.ledger.evidence import FILE, Entry
from qianzhi.runtime import clock
from qianzhi.runtime.home import End
from qianzhi.runtime.parts import Process
from qianzhi.runtime.sources import write_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECTIONS: Final = 100
RECORDS: Final = 20_000
MEBIBYTE: Final = 2**20
READY_SECONDS_MAX: Final = 60.0
LOAD_SECONDS_MAX: Final = 600.0
LOOK_SECONDS: Final = 0.1
_SOUND, _VIDEO = "audio", "doctor_video"
_NGINX: Final = """\
{user}worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {address}:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        root {root};
    }}
}}
"""


class Scene:
    """Everything that a round of the bench needs; what it started ends with `stack`."""

    def __init__(self, stack: ExitStack, file_bytes: int) -> None:
        self._ground = stack.enter_context(Ground())
        self._port, nginx_port = free_ports(2)
        folder = (self._ground.home.path / "media").resolve()
        folder.mkdir()
        self._file = folder / "visit.mp4"
        _fill(self._file, file_bytes)
        said = {"enabled": True, "port": self._port, "folders.media.folder": str(folder), "folders.media.scan": False}
        changes = {f"gateway.evidence.{name}": value for name, value in said.items()}
        self._settings = write_settings(self._ground.home, changes)
        self._evidence = asking.adapter(REGULATOR)
        self._shown = assembly.identity(self._ground.home, self._settings, clock.now())
        self._trust = ssl.create_default_context(cafile=self._shown.authority)
        self._register()
        stack.enter_context(self._serving())
        self._key = keys.read_keys(assembly.keys_file(self._ground.home, REGULATOR))[-1].key
        self._curl = shutil.which("curl")
        self.nginx_url: str | None = None
        if nginx := shutil.which("nginx"):
            stack.enter_context(self._nginx(nginx, nginx_port))
            self.nginx_url = f"https://{LOOPBACK}:{nginx_port}/{self._file.name}"

    @property
    def fetcher(self) -> str:
        """What fetches the file."""
        return "curl" if self._curl else "httpx"

    def ask(self, rows: int) -> tuple[float, list[float]]:
        """Return how many questions a second were answered, and how many milliseconds each took."""
        targets = "\n".join(self._target(_SOUND, str(number % RECORDS)) for number in range(rows))
        words = [str(self._port), str(self._shown.authority), str(CONNECTIONS)]
        ended = subprocess.run(
            [sys.executable, "-m", "qianzhi.bench.load", *words],
            input=targets.encode(),
            capture_output=True,
            timeout=LOAD_SECONDS_MAX,
            check=False,
        )
        said = orjson.loads(ended.stdout or b"{}")
        if ended.returncode or said.get("statuses") != {"200": rows}:
            raise self._failed("Not every question was answered.")
        return rows / said["seconds"], said["milliseconds"]

    def media_url(self) -> str:
        """Return a new address of the file."""
        asked = next(each for each in self._evidence.ASKED if each.name == _VIDEO)
        with self._client() as client:
            answer = client.get(f"https://{LOOPBACK}:{self._port}{self._target(_VIDEO, '0')}")
        return self._evidence.read(asked, answer.content)[0]

    def fetch(self, url: str) -> float:
        """Fetch the file from somewhere and return MiB/s."""
        began = clock.monotonic()
        count = self._fetch_by_curl(url) if self._curl else self._fetch_here(url)
        seconds = clock.monotonic() - began
        if count != self._file.stat().st_size:
            raise self._failed("The file was not sent.")
        return count / MEBIBYTE / seconds

    def _fetch_by_curl(self, url: str) -> int:
        words = ["--silent", "--fail", "--noproxy", "*", "--output", os.devnull, "--write-out", "%{size_download}"]
        ended = subprocess.run(
            [str(self._curl), *words, "--cacert", str(self._shown.authority), url],
            capture_output=True,
            timeout=LOAD_SECONDS_MAX,
            check=False,
        )
        return 0 if ended.returncode else int(ended.stdout)

    def _fetch_here(self, url: str) -> int:
        with self._client() as client, client.stream("GET", url) as answer:
            return sum(map(len, answer.iter_raw(MEBIBYTE)))

    def _client(self) -> httpx.Client:
        return httpx.Client(verify=self._trust, trust_env=False, timeout=LOAD_SECONDS_MAX)

    def _failed(self, what: str) -> OperatorError:
        return OperatorError(what, remedy=self._ground.last_words(End.GATEWAY))

    def _target(self, kind: str, record: str) -> str:
        """Return path and query of a question that is asked now."""
        asked = next(each for each in self._evidence.ASKED if each.name == kind)
        choices, now = assembly.choices(self._settings, self._evidence), int(clock.now().timestamp())
        return f"/{asked.method}?{urlencode(self._evidence.ask(self._key, record, choices, now=now))}"

    def _register(self) -> None:
        found, now = self._file.stat(), clock.now()
        entries = [
            Entry(_SOUND, str(number), 0, FILE, f"{self._file}.{number}", "audio/mpeg", (), 1, 1)
            for number in range(RECORDS)
        ]
        entries.append(Entry(_VIDEO, "0", 0, FILE, str(self._file), "video/mp4", (), found.st_size, found.st_mtime_ns))
        with connect(gateway_assembly.owner_dsn(self._ground.home, self._settings), application=APPLICATION) as session:
            for entry in entries:
                evidence.register(session, REGULATOR, entry, now=now)

    @contextmanager
    def _serving(self) -> Iterator[None]:
        words = ["gateway", "evidence", "serve", "--home", str(self._ground.home.path)]
        process = Process("evidence", [sys.executable, "-m", "qianzhi", *words])
        with self._running(process, f"https://{LOOPBACK}:{self._port}/healthz"):
            yield

    @contextmanager
    def _nginx(self, program: str, port: int) -> Iterator[None]:
        folder = self._ground.home.path / "nginx"
        folder.mkdir()
        configuration = folder / "nginx.conf"
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0  # its workers would be somebody who may not read here
        text = _NGINX.format(
            user="user root;\n" if is_root else "",
            folder=folder,
            address=LOOPBACK,
            port=port,
            certificate=self._shown.certificate,
            key=self._shown.key,
            root=self._file.parent,
        )
        configuration.write_text(text, encoding="utf-8")
        process = Process("nginx", [program, "-e", str(folder / "error.log"), "-c", str(configuration)])
        with self._running(process, f"https://{LOOPBACK}:{port}/{self._file.name}"):
            yield

    @contextmanager
    def _running(self, process: Process, url: str) -> Iterator[None]:
        try:
            process.start()
            self._await(process, url)
            yield
        finally:
            end(process)

    def _await(self, process: Process, url: str) -> None:
        until = clock.monotonic() + READY_SECONDS_MAX
        with self._client() as client:
            while process.end() is None and clock.monotonic() < until:
                try:
                    if client.head(url).is_success:
                        return
                except httpx.HTTPError:
                    clock.sleep(LOOK_SECONDS)
        raise self._failed(f"{process.name} does not answer.")


def _fill(file: Path, size: int) -> None:
    """Write a file of bytes that no layer can make smaller."""
    block = os.urandom(min(size, MEBIBYTE))
    with file.open("wb") as target:
        for begin in range(0, size, len(block)):
            target.write(block[: size - begin])
