"""
The line to a hub of ours: one request and its answer over HTTPS, within bounds of time and size.

Whoever answers may be anything that listens at the address.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import httpx
import orjson

from qianzhi.errors import OperatorError, RetryableError, SenderError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0  # between two parts of a request or an answer, and for the body of an answer as a whole
PROBLEM_BYTES_MAX = 2**20
PROBLEM_CHARACTERS_MAX = 500
# What the hub says of this one body: the same bytes will never do better, others may. Any other refusal is of this
# gateway (credential, rights, edition, clock), and taking its batches apart would cost rows without any fault.
_OF_THE_BODY = frozenset({"unprocessable", "document-refused"})
_TOO_LARGE = 413  # also by a proxy in between, which has no code
# What the way did to the body; the same bytes may do better another time.
_TRANSIENT = frozenset({400, 408, 425, 429})
_CLIENT_ERRORS = range(300, 500)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class HubLine:
    """The line of one thread to one hub; connections are kept open between requests."""

    def __init__(
        self,
        url: str,
        regulator: str,
        credential: Callable[[], str],
        tls: ssl.SSLContext,
        *,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._answer_seconds = answer_seconds
        self._client = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/{regulator}",
            auth=partial(_sign, credential),
            timeout=httpx.Timeout(answer_seconds, connect=min(CONNECT_SECONDS, answer_seconds)),
            verify=tls,
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        bytes_max: int,
        content: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        expected: frozenset[int] = frozenset(),
    ) -> Answer:
        """
        Ask once; an answer that is no success is raised unless its status is `expected`.

        Raises RetryableError when no answer was read, SenderError when the hub refuses this body as such, OperatorError
        when it refuses this gateway (credential, edition), talks nonsense, or answers more than `bytes_max`.
        """
        # httpx's request and response hold each other until the garbage collector comes. They must not hold megabytes
        # as long: an iterator that has come to its end holds nothing.
        body = iter((content,)) if content else None
        sized = {**headers, "Content-Length": str(len(content))} if content else headers
        try:
            with self._client.stream(method, path, content=body, headers=sized) as response:
                most = bytes_max if response.is_success else PROBLEM_BYTES_MAX
                answer = Answer(response.status_code, self._body(response, most), response.headers)
        except httpx.HTTPError as error:
            raise _no_answer(type(error).__name__) from error
        if httpx.codes.is_success(answer.status) or answer.status in expected:
            return answer
        raise refusal(answer)

    def _body(self, response: httpx.Response, bytes_max: int) -> bytes:
        """Read a body within its bounds: whoever answers may be anything that listens at the address."""
        body = bytearray()
        deadline = time.monotonic() + self._answer_seconds
        for part in response.iter_bytes():
            body += part
            if len(body) > bytes_max:
                raise OperatorError(
                    f"The answer is larger than {bytes_max} bytes.",
                    remedy="Check whether the destination's address is that of the hub.",
                )
            if time.monotonic() > deadline:
                raise _no_answer("it took too long")
        return bytes(body)


def _sign(credential: Callable[[], str], request: httpx.Request) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {credential()}"
    return request


def _no_answer(why: str) -> RetryableError:
    return RetryableError(
        f"The hub gave no answer ({why}).",
        remedy="The batch stays sealed and is sent again; check the network if this goes on.",
    )


def refusal(answer: Answer) -> RetryableError | SenderError | OperatorError:
    """Return the error that an answer which is no success means."""
    code, remedy = problem(answer.body)
    what = f"The hub answered {answer.status} ({code})."
    if code in _OF_THE_BODY or answer.status == _TOO_LARGE:
        return SenderError(what, remedy=remedy)
    if answer.status in _CLIENT_ERRORS and answer.status not in _TRANSIENT:
        return OperatorError(what, remedy=remedy)
    return RetryableError(what, remedy="The batch stays sealed and is sent again.")


def problem(body: bytes) -> tuple[str, str]:
    """Return code and remedy of a refusal."""
    try:
        said = orjson.loads(body)
        return str(said["code"])[:PROBLEM_CHARACTERS_MAX], str(said["remedy"])[:PROBLEM_CHARACTERS_MAX]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "no code", "Check whether the destination's address is that of the hub."
