"""How often somebody may try to sign in: per account and per address, with waits that double."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, cast

from qianzhi.db.queries import load

if TYPE_CHECKING:
    from qianzhi.db.server import Session

FIRST_SECONDS: Final = 2.0
FAILURES_MAX: Final = 1000  # counted
FORGOTTEN_AFTER: Final = timedelta(days=1)
ACCOUNT_FREE: Final = 5
ACCOUNT_SECONDS_MAX: Final = 60.0
ADDRESS_FREE: Final = 20
ADDRESS_SECONDS_MAX: Final = 900.0
UNKNOWN_BUCKETS: Final = 1024  # what all names of nobody share
ADDRESS_BUCKETS: Final = 65_536  # what all addresses share
_NETWORK_BITS: Final = 64  # of IPv6: one household or one attacker
_SECRET: Final = secrets.token_bytes(16)  # of this process: nobody looks for names that share a bucket with another
_QUERIES = load("qianzhi.console", "throttle.sql")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a try to sign in counts against."""

    account: str
    address: str


def attempt(name: str, address: str, *, known: bool, familiar: bool = False) -> Attempt:
    """
    Name the subjects of a try; names of nobody share few, so that the table has a bound.

    An address that is familiar has tries at the account of its own: others who guess do not keep its owner out.
    """
    place = _bucket(_network(address), ADDRESS_BUCKETS)
    account = f"account:{name}" if known else f"unknown:{_bucket(name, UNKNOWN_BUCKETS)}"
    return Attempt(f"{account}@{place}" if familiar else account, f"address:{place}")


def is_familiar(session: Session, name: str, address: str) -> bool:
    """Tell whether an account was signed in to from an address, as far back as sessions are kept."""
    return session.execute(_QUERIES.familiar, {"account": name, "address": address}).fetchone() is not None


def admit(session: Session, tried: Attempt, now: datetime) -> datetime | None:
    """Count a try before it is judged, so that many at once gain nothing; return until when it must wait instead."""
    bounds = ((tried.address, ADDRESS_FREE, ADDRESS_SECONDS_MAX), (tried.account, ACCOUNT_FREE, ACCOUNT_SECONDS_MAX))
    with session.transaction():
        for subject, free, seconds_max in bounds:
            if (until := _take(session, subject, free, seconds_max, now)) is not None:
                return until
    return None


def wait_seconds(failures: int, free: int, seconds_max: float) -> float:
    """Return how long to wait after so many failures: nothing below `free`, then seconds that double up to a bound."""
    return 0.0 if failures < free else min(FIRST_SECONDS * 2.0 ** min(failures - free, 20), seconds_max)


def clear(session: Session, tried: Attempt, now: datetime) -> None:
    """Take a try back that was right."""
    session.execute(_QUERIES.forget, {"subject": tried.account})
    session.execute(_QUERIES.undo, {"subject": tried.address, "now": now})


def _take(session: Session, subject: str, free: int, seconds_max: float, now: datetime) -> datetime | None:
    session.execute(_QUERIES.begin, {"subject": subject, "now": now})
    row = session.execute(_QUERIES.look, {"subject": subject}).fetchone()
    failures, failed_at, blocked_until = cast("tuple[int, datetime, datetime]", row)
    if blocked_until > now:
        return blocked_until
    failures = min(failures + 1, FAILURES_MAX) if failed_at > now - FORGOTTEN_AFTER else 1
    until = now + timedelta(seconds=wait_seconds(failures, free, seconds_max))
    session.execute(_QUERIES.count, {"subject": subject, "failures": failures, "now": now, "blocked_until": until})
    return None


def _network(address: str) -> str:
    try:
        given = ip_address(address)
    except ValueError:
        return address
    if isinstance(given, IPv6Address):
        return str(int(given) >> (given.max_prefixlen - _NETWORK_BITS))
    return str(given)


def _bucket(text: str, count: int) -> int:
    return int.from_bytes(hmac.digest(_SECRET, text.encode(), "sha256")[:4]) % count
