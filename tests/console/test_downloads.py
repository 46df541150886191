"""Files that wait to be fetched."""

from __future__ import annotations

import pytest

from qianzhi.console import downloads
from qianzhi.console.downloads import FILES_MAX, LASTS, Offer, Offers
from qianzhi.console.roles import Role
from qianzhi.console.sessions import Live, Who
from qianzhi.runtime import clock

NOW = clock.now()


def live() -> Live:
    """A session."""
    return Live(b"", Who("somebody", Role.OPERATOR), NOW, NOW, NOW + LASTS)


def offer(of: Live, size: int = 1) -> Offer:
    """A file for it."""
    return Offer(of, "a.xlsx", "a/b", bytes(size), NOW + LASTS)


def test_a_file_is_fetched_once_in_time_and_by_its_own_session() -> None:
    """Another session of the same account is another one."""
    offers, mine = Offers(), live()
    token, late = offers.keep(offer(mine), NOW), offers.keep(offer(mine), NOW)

    assert offers.take(token, live(), NOW) is None
    assert offers.take(token, None, NOW) is None
    assert offers.take(token, mine, NOW) is not None
    assert offers.take(token, mine, NOW) is None
    assert offers.take(late, mine, NOW + 2 * LASTS) is None


def test_files_take_no_more_memory_than_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many nor large ones; the oldest makes room, and those of ended sessions before it."""
    monkeypatch.setattr(downloads, "HELD_BYTES_MAX", 100)
    offers, mine, ended = Offers(), live(), live()
    gone, first, second = (offers.keep(offer(each, 40), NOW) for each in (ended, mine, mine))
    ended.end()
    third = offers.keep(offer(mine, 40), NOW)

    assert [offers.take(token, mine, NOW) is None for token in (gone, first, second, third)] == [
        True,
        True,
        False,
        False,
    ]
    tokens = [offers.keep(offer(mine), NOW) for _ in range(FILES_MAX + 1)]
    assert [offers.take(token, mine, NOW) is None for token in tokens] == [True] + [False] * FILES_MAX
