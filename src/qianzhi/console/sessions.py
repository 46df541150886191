"""Who is signed in: kept in the database by the digest of a token, and held in memory while it is used."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from qianzhi.console.roles import Role
from qianzhi.db.queries import load
from qianzhi.db.server import translated
from qianzhi.errors import RetryableError
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.db.pool import Pool
    from qianzhi.db.server import Session

TOKEN_BYTES: Final = 32
TOKEN_CHARACTERS_MAX: Final = 64
LIVE_MAX: Final = 2_000  # sessions held in memory
KEPT_DAYS: Final = 90  # the table, as a record of who was there
_QUERIES = load("qianzhi.console", "sessions.sql")


@dataclass(frozen=True, slots=True)
class Who:
    """Whoever is signed in."""

    account: str
    role: Role
    is_database: bool = False

    @property
    def actor(self) -> str:
        """The name in the audit: where it is known by."""
        return f"{'database' if self.is_database else 'console'}:{self.account}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session lasts, used or not."""

    hours: float = 12.0
    idle_minutes: float = 30.0


@dataclass(eq=False)
class Live:
    """A session that is signed in; `ended` is told to whoever asked by `on_end`, once, from any thread."""

    digest: bytes
    who: Who
    opened_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended: bool = False
    _listeners: list[Callable[[], None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on_end(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Have the end told; at once when it has been. Returns what takes that back."""
        with self._lock:
            if not self.ended:
                self._listeners.append(tell)
                return lambda: self._forget(tell)
        tell()
        return lambda: None

    def end(self) -> None:
        """Let whoever uses it know that it is over."""
        with self._lock:
            self.ended = True
            told, self._listeners = self._listeners, []
        for tell in told:
            tell()

    def _forget(self, tell: Callable[[], None]) -> None:
        with self._lock:
            if tell in self._listeners:
                self._listeners.remove(tell)


class Sessions:
    """Opens, finds and ends sessions; what touches the database is called in threads."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._live: dict[bytes, Live] = {}
        self._lock = threading.Lock()

    def open(self, session: Session, who: Who, address: str) -> tuple[str, Live]:
        """
        Open a session in a transaction of the caller; the token is for the browser alone.

        It is held before the transaction ends: who waits for that to end the account's sessions finds it in memory.
        """
        token, now = secrets.token_urlsafe(TOKEN_BYTES), clock.now()
        live = Live(_digest(token), who, now, now, now + timedelta(hours=self._limits.hours))
        values = {
            "digest": live.digest,
            "account": who.account,
            "role": who.role.value,
            "is_database": who.is_database,
            "address": address,
            "now": now,
            "expires_at": live.expires_at,
        }
        session.execute(_QUERIES.open, values)
        return token, self._hold(live)

    def held(self, token: str) -> Live | None:
        """Return the session of a token if it is in memory, without asking the database."""
        live = self._live.get(_digest(token))
        return live if live is not None and self._lasts(live, clock.now()) else None

    def find(self, token: str) -> Live | None:
        """Return the session of a token; None when there is none, or it is over."""
        if len(token) > TOKEN_CHARACTERS_MAX or not token.isascii():
            return None
        if (live := self.held(token)) is not None:
            return live
        with translated("The session was not read"), self._pool.connection() as session:
            found = _read(session, _digest(token))
            if found is None:
                return None
            if self._lasts(found, clock.now()):
                return self._hold(found)  # before the transaction ends, as in `open`
        self.end(found)
        return None

    def end(self, live: Live) -> None:
        """End a session: nothing answers to it any more, and its sockets are cut."""
        with translated("The session was not ended"), self._pool.connection() as session:
            session.execute(_QUERIES.end, {"digest": live.digest, "now": clock.now()})
        self._drop(live)

    def end_of(self, account: str, *, but: Live | None = None) -> None:
        """Cut what is held of an account's sessions; the database has been told by who changed the account."""
        for live in list(self._live.values()):
            if live.who.account == account and live is not but:
                self._drop(live)

    def sweep(self) -> None:
        """Note what was used, end what lasted long enough, and drop what a command ended."""
        now, held = clock.now(), list(self._live.values())
        for live in held:
            if not self._lasts(live, now):
                self.end(live)
        digests = [live.digest for live in held]
        with translated("The sessions were not read"), self._pool.connection() as session:
            session.execute(_QUERIES.seen, {"digests": digests, "instants": [live.seen_at for live in held]})
            still = {bytes(row[0]) for row in session.execute(_QUERIES.still_open, {"digests": digests})}
            session.execute(_QUERIES.forget, {"before": now - timedelta(days=KEPT_DAYS)})
        for live in held:
            if live.digest not in still:
                self._drop(live)

    def _lasts(self, live: Live, now: datetime) -> bool:
        idle = timedelta(minutes=self._limits.idle_minutes)
        return not live.ended and now < live.expires_at and now - live.seen_at < idle

    def _hold(self, live: Live) -> Live:
        with self._lock:
            if len(self._live) >= LIVE_MAX and live.digest not in self._live:
                raise RetryableError("Too many people are signed in.", remedy="Sign in again in a few minutes.")
            return self._live.setdefault(live.digest, live)

    def _drop(self, live: Live) -> None:
        with self._lock:
            self._live.pop(live.digest, None)
        live.end()


def _read(session: Session, digest: bytes) -> Live | None:
    row = session.execute(_QUERIES.find, {"digest": digest}).fetchone()
    if row is None:
        return None
    kept = cast("tuple[str, str, bool, datetime, datetime, datetime]", row)
    account, role, is_database, opened_at, seen_at, expires_at = kept
    return Live(digest, Who(account, Role(role), is_database), opened_at, seen_at, expires_at)


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
