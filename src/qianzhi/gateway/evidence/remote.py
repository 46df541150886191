"""Files that lie on other machines: looked into when they are registered, passed on piece by piece when asked for."""

from __future__ import annotations

import asyncio
import io
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin

import httpx

from qianzhi.errors import ConfigurationError, RetryableError, SenderError
from qianzhi.gateway.evidence.formats import examine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from qianzhi.gateway.evidence.formats import Format
    from qianzhi.gateway.evidence.reach import Reach, Target

HOPS_MAX: Final = 4
CONNECT_SECONDS_MAX: Final = 5.0
PAUSE_SECONDS_MAX: Final = 30.0
"""How long a machine may pause within an answer."""

LOOK_BYTES: Final = 2 * 2**20
"""What is read of a file when it is registered: its tables must stand at its beginning."""

LOOK_SECONDS_MAX: Final = 30.0
CONNECTIONS_MAX: Final = 64
CHUNK_BYTES: Final = 256 * 1024
_REDIRECTIONS: Final = frozenset({301, 302, 303, 307, 308})
_ANSWERS: Final = frozenset({httpx.codes.OK, httpx.codes.PARTIAL_CONTENT, httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE})


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much and how long is passed on of one file."""

    bytes_max: int
    seconds_max: float


class Remote:
    """Asks other machines; one client for all, whose connections are never used for another name."""

    def __init__(self, reach: Reach, bounds: Bounds, ca_file: Path | None = None) -> None:
        self.reach = reach
        self.bounds = bounds
        self._client = httpx.AsyncClient(
            verify=trusting(ca_file),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(PAUSE_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=0),
        )

    async def close(self) -> None:
        """Release connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def open(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """
        Ask for a file; follow redirections, each checked anew.

        Raises SenderError for an address or an answer that is refused, RetryableError when nobody answers.
        """
        for _ in range(HOPS_MAX):
            target = await self.reach.target(url)
            response = await self._send(target, headers)
            try:
                if response.status_code in _REDIRECTIONS and "location" in response.headers:
                    url = urljoin(target.url, response.headers["location"])
                    continue
                self._require_sound(response)
                yield response
                return
            finally:
                await response.aclose()
        raise _misfit("it leads from one address to the next")

    async def look(self, url: str) -> tuple[Format, int]:
        """Return what a remote file is and its size. Raises as `open` does, and SenderError for what is no evidence."""
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX):
                return await self._looked(url)
        except (TimeoutError, httpx.HTTPError) as error:
            raise _no_answer(error) from error

    async def _looked(self, url: str) -> tuple[Format, int]:
        async with self.open(url, {"Range": f"bytes=0-{LOOK_BYTES - 1}"}) as answer:
            size = _whole_size(answer)
            if size > self.bounds.bytes_max:
                raise _misfit(f"it is larger than {self.bounds.bytes_max} bytes")
            content = bytearray()
            async for piece in answer.aiter_raw(CHUNK_BYTES):
                content += piece
                if len(content) >= min(size, LOOK_BYTES):
                    break
        return examine(io.BytesIO(content[:LOOK_BYTES]), size), size

    async def _send(self, target: Target, headers: Mapping[str, str]) -> httpx.Response:
        url = httpx.URL(target.url)
        request = self._client.build_request(
            "GET",
            url.copy_with(host=target.address),
            headers={**headers, "Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity"},
            extensions={"sni_hostname": target.host},
        )
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise _no_answer(error) from error

    def _require_sound(self, response: httpx.Response) -> None:
        if response.status_code not in _ANSWERS:
            raise _misfit(f"the machine that has it answers {response.status_code}")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise _misfit("it is coded on its way")
        if not response.headers.get("content-length", "").isdigit():
            raise _misfit("its size is not told")
        if int(response.headers["content-length"]) > self.bounds.bytes_max:
            raise _misfit(f"it is larger than {self.bounds.bytes_max} bytes")


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return whom to trust: the machine's authorities and the one of the settings."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise ConfigurationError(
                f"The certificate authority {ca_file} cannot be read: {error.strerror}.",
                remedy="Correct [gateway.evidence.remote] ca_file in qianzhi.toml.",
            ) from error
    return context


def _whole_size(answer: httpx.Response) -> int:
    """Return the size of the file that an answer gives, whole or in part."""
    if answer.status_code == httpx.codes.PARTIAL_CONTENT:
        told = answer.headers.get("content-range", "").rpartition("/")[2]
        if told.isdigit():
            return int(told)
        raise _misfit("its size is not told")
    if answer.status_code != httpx.codes.OK:
        raise _misfit("it is empty")
    return int(answer.headers["content-length"])


def _no_answer(error: Exception) -> RetryableError:
    return RetryableError(
        f"The machine that has the file does not answer ({type(error).__name__}).",
        remedy="Check the machine and its certificate; ask again later.",
    )


def _misfit(why: str) -> SenderError:
    return SenderError(f"The remote file cannot be shown: {why}.", remedy="Look at it on the machine that has it.")
