"""Who sends: a bearer token to an institution, remembered for a few seconds."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Final

from psycopg.rows import class_row

from qianzhi.db.queries import load
from qianzhi.hub.onboarding import InstitutionState, secret_digest
from qianzhi.hub.problems import Problem
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    from qianzhi.db.server import Session

REMEMBERED_SECONDS: Final = 3.0
"""A revocation works after this time at the latest."""

REMEMBERED_COUNT_MAX: Final = 4096
TOKEN_CHARACTERS_MAX: Final = 256

_QUERIES = load("qianzhi.hub", "onboarding.sql")
_SCHEME: Final = "bearer "
_NOBODY: Final = bytes(32)
_UNKNOWN: Final = Problem(
    HTTPStatus.UNAUTHORIZED,
    "unauthenticated",
    "The request carries no valid credential.",
    "Send 'Authorization: Bearer <credential>'; ask the hub's operator for a credential if it was revoked or expired.",
)
_FOREIGN: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "foreign-regulator",
    "The institution is not registered with this regulator.",
    "Send to the regulator that issued the credential.",
)
_SUSPENDED: Final = Problem(
    HTTPStatus.FORBIDDEN, "suspended", "The institution is suspended.", "Ask the hub's operator."
)


@dataclass(frozen=True, slots=True)
class Sender:
    """The institution that a request comes from."""

    institution_id: int
    regulator: str
    code: str
    state: str


@dataclass(frozen=True, slots=True)
class _Bearer(Sender):
    secret_digest: bytes = field(repr=False)


class Doorkeeper:
    """Admits senders; safe to use from many threads."""

    def __init__(self, pool: ConnectionPool[Session]) -> None:
        self._pool = pool
        self._lock = Lock()
        self._remembered: OrderedDict[str, tuple[float, _Bearer]] = OrderedDict()

    def admit(self, authorization: str | None, regulator: str) -> Sender | Problem:
        """Return the sender that an Authorization header proves, or the one answer that tells nothing of why not."""
        if authorization is None or not authorization.lower().startswith(_SCHEME):
            return _UNKNOWN
        token = authorization[len(_SCHEME) :].strip()
        if len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
            return _UNKNOWN
        credential_id, _, secret = token.partition(".")
        bearer = self._recall(credential_id) or self._find(credential_id)
        proven = hmac.compare_digest(bearer.secret_digest if bearer else _NOBODY, secret_digest(secret))
        if bearer is None or not proven:
            return _UNKNOWN
        if bearer.regulator != regulator:
            return _FOREIGN
        return _SUSPENDED if bearer.state == InstitutionState.SUSPENDED else bearer

    def _recall(self, credential_id: str) -> _Bearer | None:
        with self._lock:
            known = self._remembered.get(credential_id)
            if known is not None and known[0] > clock.monotonic():
                return known[1]
        return None

    def _find(self, credential_id: str) -> _Bearer | None:
        with self._pool.connection() as session, session.cursor(row_factory=class_row(_Bearer)) as cursor:
            bearer = cursor.execute(_QUERIES.bearer, {"credential_id": credential_id}).fetchone()
        # Only valid credentials are remembered: guesses must not push them out.
        if bearer is not None:
            with self._lock:
                self._remembered[credential_id] = (clock.monotonic() + REMEMBERED_SECONDS, bearer)
                self._remembered.move_to_end(credential_id)
                while len(self._remembered) > REMEMBERED_COUNT_MAX:
                    self._remembered.popitem(last=False)
        return bearer
