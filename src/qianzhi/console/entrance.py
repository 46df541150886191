"""Who is let in: the database's own account by its password, named accounts by theirs, both at a bounded pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from qianzhi.console import accounts, passwords, throttle
from qianzhi.console.roles import Role
from qianzhi.console.sessions import Who
from qianzhi.db.server import translated
from qianzhi.errors import SenderError
from qianzhi.ledger import audit
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from qianzhi.console.accounts import Judged
    from qianzhi.console.sessions import Live, Sessions
    from qianzhi.console.throttle import Attempt
    from qianzhi.db.pool import Pool
    from qianzhi.db.server import Session

NAME_CHARACTERS_MAX: Final = 63
DATABASE_ROLE: Final = Role.OPERATOR
"""What an account of the database may do here: everything but accounts and settings."""

log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class DatabaseAccount:
    """A role of the database that signs in with its own password; both calls open a real session as that role."""

    is_right: Callable[[str], bool]
    change: Callable[[str, str], None]  # from the present password to another; SenderError when the first is wrong


@dataclass(frozen=True, slots=True)
class Entered:
    """Somebody is in: the token is for the browser alone."""

    token: str
    live: Live


@dataclass(frozen=True, slots=True)
class Refused:
    """Nobody is let in; `until` is set when further tries are not even looked at."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Claim:
    """Who somebody was found to be, and the account that this rests on; None for one of the database."""

    who: Who
    judged: Judged | None = None


class Entrance:
    """Signs in and out and changes passwords; everything here waits, and is called in threads."""

    def __init__(self, pool: Pool, sessions: Sessions, database_accounts: Mapping[str, DatabaseAccount]) -> None:
        self._pool = pool
        self._sessions = sessions
        self.database_accounts = database_accounts

    def enter(self, name: str, password: str, address: str) -> Entered | Refused:
        """Sign in, or say no: in the same words and time whether the name, the password or both are wrong."""
        if len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
            name = ""
        if len(password) > passwords.CHARACTERS_MAX or passwords.has_control(password):
            password = ""  # is nobody's
        now = clock.now()
        with translated("The sign-in was not judged"), self._pool.connection() as session:
            known = name in self.database_accounts or accounts.exists(session, name)
            familiar = throttle.is_familiar(session, name, address) and known  # asked of nobody too: it takes time
            tried = throttle.attempt(name, address, known=known, familiar=familiar)
            until = throttle.admit(session, tried, now)
            if until is not None:
                log.warning("console:entrance:throttled")
                return Refused(until)
        claim = self._claim(name, password)
        entered = self._let_in(claim, password, tried, address) if claim is not None else None
        if entered is not None:
            return entered
        with translated("The sign-in was not judged"), self._pool.connection() as session:
            _note(session, "console", "refused", name if known else "unknown name", address=address)
        return Refused()

    def leave(self, live: Live, *, everywhere: bool = False) -> None:
        """Sign out, here or wherever the account is signed in."""
        with translated("The session was not ended"), self._pool.connection() as session:
            if everywhere:
                accounts.end_sessions(session, live.who.account)
            _note(session, live.who.actor, "ended", live.who.account, everywhere=everywhere)
        if everywhere:
            self._sessions.end_of(live.who.account)
        self._sessions.end(live)

    def change_password(self, live: Live, present: str, wanted: str) -> None:
        """Give whoever is signed in another password; every other session of the account ends."""
        name = live.who.account
        tried = throttle.attempt(name, live.digest.hex(), known=True)
        now = clock.now()
        with translated("The password was not changed"), self._pool.connection() as session:
            until = throttle.admit(session, tried, now)
        if until is not None:
            raise SenderError("Too many tries with a wrong password.", remedy="Wait a minute, then try again.")
        claim = self._claim(name, present)
        if claim is None:
            raise _not_right()
        passwords.require_good(wanted, name)
        if live.who.is_database:
            self.database_accounts[name].change(present, wanted)
        with translated("The password was not changed"), self._pool.connection() as session:
            if claim.judged is not None and not accounts.is_as_judged(session, claim.judged):
                raise _not_right()  # since it was judged somebody else has changed the account
            throttle.clear(session, tried, now)
            if live.who.is_database:
                accounts.end_sessions(session, name, but=live.digest)
                audit.note(session, actor=live.who.actor, event="console:account:password", subject=name)
            else:
                accounts.set_password(session, name, wanted, actor=live.who.actor, but=live.digest)
        self._sessions.end_of(name, but=live)

    def _let_in(self, claim: _Claim, password: str, tried: Attempt, address: str) -> Entered | None:
        """
        Open a session for somebody who was found right; None when the account was changed since.

        Whoever changes an account ends its sessions afterwards. So either the change is seen here, or this session
        there: a named account is kept as it is while the session is opened, a role's password is asked for once more.
        """
        who = claim.who
        with translated("The sign-in was not judged"), self._pool.connection() as session:
            throttle.clear(session, tried, clock.now())
            if claim.judged is not None and not accounts.is_as_judged(session, claim.judged):
                session.rollback()
                return None
            _note(session, who.actor, "opened", who.account, address=address)
            entered = Entered(*self._sessions.open(session, who, address))
        is_still_right = not who.is_database
        try:
            is_still_right = is_still_right or self.database_accounts[who.account].is_right(password)
        finally:
            if not is_still_right:
                self.leave(entered.live)
        return entered if is_still_right else None

    def _claim(self, name: str, password: str) -> _Claim | None:
        if name in self.database_accounts:
            right = bool(password) and self.database_accounts[name].is_right(password)
            return _Claim(Who(name, DATABASE_ROLE, is_database=True)) if right else None
        with translated("The sign-in was not judged"), self._pool.connection() as session:
            judged = accounts.judge(session, name, password)
        return _Claim(Who(name, judged.role), judged) if judged is not None else None


def _not_right() -> SenderError:
    return SenderError("The present password is not right.", remedy="Type it again.")


def _note(session: Session, actor: str, action: str, account: str, **detail: object) -> None:
    audit.note(session, actor=actor, event=f"console:session:{action}", subject=account, detail=detail)
