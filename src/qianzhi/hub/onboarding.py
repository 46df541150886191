"""Which institutions may send: their registration, state and credentials."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from psycopg.rows import class_row

from qianzhi.db.queries import load
from qianzhi.errors import ConfigurationError
from qianzhi.ledger import audit

if TYPE_CHECKING:
    from datetime import datetime

    from qianzhi.db.server import Session

OVERLAP_HOURS: Final = 24.0
"""How long the credential before stays valid after a rotation, unless told otherwise."""

_SECRET_BYTES: Final = 32
_CREDENTIAL_ID_BYTES: Final = 6
_QUERIES = load("qianzhi.hub", "onboarding.sql")


class InstitutionState(StrEnum):
    """What an institution may do; suspended ones are refused."""

    TESTING = "testing"
    PRODUCTION = "production"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Institution:
    """An institution as the hub registered it."""

    institution_id: int
    regulator: str
    code: str
    name: str
    state: str
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class Listed(Institution):
    """An institution in the list of all."""

    credential_count: int
    last_batch_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credential:
    """What the hub tells of a credential; its secret is told once and not kept."""

    credential_id: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    valid: bool


def register(session: Session, regulator: str, code: str, name: str, *, actor: str) -> Institution:
    """Register an institution under the code that the platform gives it. ConfigurationError: it is there already."""
    if not code.strip() or code != code.strip():
        raise ConfigurationError("The code of an institution is empty or has blanks around it.", remedy="Correct it.")
    row = session.execute(_QUERIES.add_institution, {"regulator": regulator, "code": code, "name": name}).fetchone()
    if row is None:
        raise ConfigurationError(
            f"The institution {code} is registered at {regulator} already.", remedy="Issue or rotate its credential."
        )
    audit.note(session, actor=actor, event="institutions:institution:registered", subject=f"{regulator}/{code}")
    return find(session, regulator, code)


def find(session: Session, regulator: str, code: str) -> Institution:
    """Return an institution. ConfigurationError: there is none."""
    with session.cursor(row_factory=class_row(Institution)) as cursor:
        found = cursor.execute(_QUERIES.institution, {"regulator": regulator, "code": code}).fetchone()
    if found is None:
        raise ConfigurationError(
            f"No institution {code} is registered at {regulator}.", remedy="See `qianzhi hub institutions list`."
        )
    return found


def institutions(session: Session, regulator: str | None = None) -> list[Listed]:
    """Return every institution, or those of one regulator, by code."""
    with session.cursor(row_factory=class_row(Listed)) as cursor:
        return cursor.execute(_QUERIES.institutions, {"regulator": regulator}).fetchall()


def set_state(session: Session, institution: Institution, state: InstitutionState, *, actor: str) -> None:
    """Change what an institution may do; intake follows within seconds."""
    session.execute(_QUERIES.set_state, {"institution_id": institution.institution_id, "state": state.value})
    subject = f"{institution.regulator}/{institution.code}"
    audit.note(session, actor=actor, event=f"institutions:institution:{state.value}", subject=subject)


def credentials(session: Session, institution: Institution) -> list[Credential]:
    """Return every credential of an institution, the newest first."""
    with session.cursor(row_factory=class_row(Credential)) as cursor:
        return cursor.execute(_QUERIES.credentials, {"institution_id": institution.institution_id}).fetchall()


def issue(session: Session, institution: Institution, *, actor: str) -> str:
    """Make a credential and return it as a bearer token, `<credential_id>.<secret>`: the only time it can be read."""
    credential_id, secret = secrets.token_hex(_CREDENTIAL_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    session.execute(
        _QUERIES.add_credential,
        {
            "credential_id": credential_id,
            "institution_id": institution.institution_id,
            "secret_digest": secret_digest(secret),
        },
    )
    audit.note(session, actor=actor, event="institutions:credential:issued", subject=credential_id)
    return f"{credential_id}.{secret}"


def rotate(session: Session, institution: Institution, *, overlap_hours: float = OVERLAP_HOURS, actor: str) -> str:
    """Make a credential and let those before it end after the overlap, so that no upload falls between them."""
    token = issue(session, institution, actor=actor)
    session.execute(
        _QUERIES.expire_others,
        {
            "institution_id": institution.institution_id,
            "credential_id": token.partition(".")[0],
            "overlap_seconds": overlap_hours * 3600,
        },
    )
    return token


def revoke(session: Session, credential_id: str, *, actor: str) -> None:
    """End a credential; intake follows within seconds. ConfigurationError: there is none, or it is revoked."""
    if session.execute(_QUERIES.revoke, {"credential_id": credential_id}).fetchone() is None:
        raise ConfigurationError(
            f"No credential {credential_id} can be revoked.", remedy="See `qianzhi hub institutions list`."
        )
    audit.note(session, actor=actor, event="institutions:credential:revoked", subject=credential_id)


def secret_digest(secret: str) -> bytes:
    """Return what is kept of a secret. It has 256 random bits, so a plain hash cannot be guessed back."""
    return hashlib.sha256(secret.encode()).digest()
