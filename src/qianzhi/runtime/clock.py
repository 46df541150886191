"""The only place that reads the clock. Pure code is given the time; processes take it from here."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

LOCAL = ZoneInfo("Asia/Shanghai")  # where every regulator's schedule and every recorded instant is


def now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def local_now() -> datetime:
    """Return the present wall time of Asia/Shanghai, without zone: what the regulators' documents write."""
    return local(now())


def local(instant: datetime) -> datetime:
    """Return the wall time of Asia/Shanghai, without zone, of an aware instant."""
    return instant.astimezone(LOCAL).replace(tzinfo=None)


def monotonic() -> float:
    """Return seconds that never go backwards, for durations and timeouts."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Do nothing for so long."""
    time.sleep(seconds)
