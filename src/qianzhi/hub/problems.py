"""What the hub answers when it does not do what was asked: one body for every error (RFC 9457)."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson

from qianzhi.errors import QianzhiError, RetryableError, SenderError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 5

_ASK_OPERATOR: Final = "Tell the operator of the hub the time of this answer; sending the same again later is safe."
_REMEDIES: Final = {
    HTTPStatus.NOT_FOUND: "Look at /openapi.json for what there is.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Look at /openapi.json for what can be asked of this address.",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal; `code` is stable, `detail` and `remedy` are for people and hold no value of a record."""

    status: HTTPStatus
    code: str
    detail: str
    remedy: str

    def encode(self) -> bytes:
        """Return the body of the answer."""
        return orjson.dumps(
            {
                "type": "about:blank",
                "title": self.status.phrase,
                "status": self.status.value,
                "detail": self.detail,
                "code": self.code,
                "remedy": self.remedy,
            }
        )

    def headers(self) -> dict[str, str]:
        """Return what the answer's head must say."""
        match self.status:
            case HTTPStatus.UNAUTHORIZED:
                return {"WWW-Authenticate": "Bearer"}
            case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.INSUFFICIENT_STORAGE:
                return {"Retry-After": str(RETRY_AFTER_SECONDS)}
            case _:
                return {}


UNAVAILABLE: Final = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "The hub cannot do this now.", "Send the same again later."
)

FULL: Final = Problem(
    HTTPStatus.INSUFFICIENT_STORAGE,
    "storage-full",
    "The hub's storage is full.",
    "Send the same again later; nothing of it was kept.",
)


def of_error(error: QianzhiError) -> Problem:
    """Return what a sender is told of an error; what only concerns the hub's own people stays in its log."""
    match error:
        case SenderError():
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unprocessable", error.what, error.remedy)
        case RetryableError():
            return UNAVAILABLE
        case _:
            return internal()


def of_status(status: HTTPStatus) -> Problem:
    """Return the problem for a status that the framework itself gives."""
    code = status.name.lower().replace("_", "-")
    return Problem(
        status, code, f"{status.description or status.phrase}.", _REMEDIES.get(status, "Correct the request.")
    )


def invalid(what: str, remedy: str) -> Problem:
    """Return the problem for a request whose parameters cannot be read."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", what, remedy)


def internal() -> Problem:
    """Return the problem for a failure that is the hub's own."""
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "The hub failed.", _ASK_OPERATOR)
