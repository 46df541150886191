"""Advisory locks, by name: who does a thing of which there must be one at a time."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from qianzhi.db.server import Session

_QUERIES = load("qianzhi.db", "locks.sql")
_KEY_BYTES = 8


def hold(connection: Session, name: str) -> None:
    """Wait, at most the session's lock_timeout, for a lock of this database and hold it until the transaction ends."""
    connection.execute(_QUERIES.hold, {"key": key_of(name)})


def try_hold(connection: Session, name: str) -> bool:
    """Take the lock until the transaction ends if nobody holds it; tell whether it was taken."""
    row = connection.execute(_QUERIES.try_hold, {"key": key_of(name)}).fetchone()
    return row is not None and row[0] is True


def key_of(name: str) -> int:
    """Give the number that PostgreSQL knows a lock by: the same in every process and release."""
    return int.from_bytes(blake2b(name.encode(), digest_size=_KEY_BYTES).digest(), "big", signed=True)
