"""Named accounts of the console: added, listed, disabled, given roles and passwords; each change is audited."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from qianzhi.console import passwords
from qianzhi.console.roles import Role
from qianzhi.db.queries import load
from qianzhi.db.server import translated
from qianzhi.errors import SenderError
from qianzhi.ledger import audit
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from typing import LiteralString

    from qianzhi.db.server import Session

NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{1,31}")
_QUERIES = load("qianzhi.console", "accounts.sql")


@dataclass(frozen=True, slots=True)
class Account:
    """A named account as lists show it."""

    name: str
    role: Role
    enabled: bool
    created_at: datetime
    password_set_at: datetime
    last_signed_in_at: datetime | None


@dataclass(frozen=True, slots=True)
class Judged:
    """An account as it was when its password was found right."""

    name: str
    role: Role
    verifier: str = field(repr=False)


def listed(session: Session) -> list[Account]:
    """Return every account, by name."""
    with translated("The accounts were not read"):
        rows = session.execute(_QUERIES.listed).fetchall()
    return [Account(str(row[0]), Role(str(row[1])), *row[2:]) for row in rows]  # type: ignore[arg-type]


def judge(session: Session, name: str, password: str) -> Judged | None:
    """Return an account whose password this is; None otherwise, and as slowly for names of nobody."""
    row = session.execute(_QUERIES.find, {"name": name}).fetchone() if NAME.fullmatch(name) else None
    right = passwords.matches(password, str(row[0]) if row is not None else None)
    return Judged(name, Role(str(row[1])), str(row[0])) if row is not None and right else None


def is_as_judged(session: Session, judged: Judged) -> bool:
    """
    Tell whether an account is still what it was when it was judged, and keep it so until the transaction ends.

    A session that is opened in the same transaction is seen, and ended, by whoever changes the account afterwards.
    """
    values = {"name": judged.name, "role": judged.role.value, "verifier": judged.verifier}
    return session.execute(_QUERIES.as_judged, values).fetchone() is not None


def exists(session: Session, name: str) -> bool:
    """Tell whether somebody has a name."""
    return session.execute(_QUERIES.exists, {"name": name}).fetchone() is not None


def add(session: Session, name: str, role: Role, password: str, *, actor: str, taken: Collection[str] = ()) -> None:
    """Add an account; SenderError when the name is malformed or in use (also by the database), or the password weak."""
    if not NAME.fullmatch(name) or name in taken:
        raise SenderError(
            "This name cannot be that of an account.",
            remedy="Use 2 to 32 small letters, digits, '.', '_' or '-', beginning with a letter, and no role's name.",
        )
    passwords.require_good(password, name)
    values = {"name": name, "role": role.value, "verifier": passwords.verifier(password)}
    with translated("The account was not added"), session.transaction():
        if session.execute(_QUERIES.add, values).fetchone() is None:
            raise SenderError(f"There is an account {name} already.", remedy="Choose another name.")
        audit.note(session, actor=actor, event="console:account:added", subject=name, detail={"role": role.value})


def set_password(session: Session, name: str, password: str, *, actor: str, but: bytes | None = None) -> None:
    """Give an account another password and sign it out everywhere, except for the session whose digest is `but`."""
    passwords.require_good(password, name)
    _change(
        session,
        _QUERIES.set_password,
        name,
        {"verifier": passwords.verifier(password)},
        actor=actor,
        event="password",
        but=but,
    )


def set_enabled(session: Session, name: str, *, enabled: bool, actor: str) -> None:
    """Let an account sign in, or no longer; it is signed out everywhere."""
    event = "enabled" if enabled else "disabled"
    _change(session, _QUERIES.set_enabled, name, {"enabled": enabled}, actor=actor, event=event)


def set_role(session: Session, name: str, role: Role, *, actor: str) -> None:
    """Give an account another role; it is signed out everywhere."""
    _change(session, _QUERIES.set_role, name, {"role": role.value}, actor=actor, event="role")


def end_sessions(session: Session, name: str, *, but: bytes | None = None) -> int:
    """Sign an account out everywhere, except for the session whose digest is `but`; return how often it was in."""
    values = {"name": name, "now": clock.now(), "but": but}
    return session.execute(_QUERIES.end_sessions, values).rowcount


def _change(
    session: Session,
    statement: LiteralString,
    name: str,
    values: Mapping[str, object],
    *,
    actor: str,
    event: str,
    but: bytes | None = None,
) -> None:
    with translated("The account was not changed"), session.transaction():
        if session.execute(statement, {"name": name, **values}).fetchone() is None:
            raise SenderError(f"There is no account {name}.", remedy="Look at the list of accounts.")
        ended = end_sessions(session, name, but=but)
        told = {key: str(value) for key, value in values.items() if key == "role"}
        detail = {**told, "sessions_ended": ended}
        audit.note(session, actor=actor, event=f"console:account:{event}", subject=name, detail=detail)
