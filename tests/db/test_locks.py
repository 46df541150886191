"""Advisory locks by name."""

from __future__ import annotations

import pytest

from qianzhi.db import locks, server
from qianzhi.errors import RetryableError


def test_a_lock_keeps_others_out_until_the_transaction_ends(database: str) -> None:
    """One session holds it, another does not get it, and gets it after the first one's end."""
    with (
        server.connect(database, application="test") as first,
        server.connect(database, application="test", lock_timeout_seconds=0.1) as second,
    ):
        locks.hold(first, "the cycle")
        assert not locks.try_hold(second, "the cycle")
        assert locks.try_hold(second, "another")
        with pytest.raises(RetryableError), server.translated("The cycle did not run"):
            locks.hold(second, "the cycle")
        second.rollback()
        first.commit()
        assert locks.try_hold(second, "the cycle")


def test_a_name_has_the_same_number_everywhere() -> None:
    """Two releases on one database lock the same thing; the number is BLAKE2b of the name, eight bytes, signed."""
    assert locks.key_of("the cycle") == 0xD2AEA8E0D37BE045 - 2**64  # printf "the cycle" | b2sum -l 64
