"""Whatever the ledger says has a word on pages."""

from __future__ import annotations

import psycopg

from qianzhi.gateway.pages import names
from qianzhi.ledger.batches import BatchState
from qianzhi.ledger.views import STATES


def test_every_state_has_the_word_that_the_view_says() -> None:
    """Of rows and of batches."""
    assert {state: names.state(state).word for state in STATES} == dict(STATES)
    assert [state for state in (*BatchState, "delivered") if names.batch_state(state).word == state] == []


def test_every_origin_of_a_finding_has_a_word(database: str) -> None:
    """Who found it is a type of the ledger."""
    from qianzhi.db import migrate

    migrate.upgrade(database, "qianzhi.ledger", "gateway")
    with psycopg.connect(database) as session:
        origins = [name for (name,) in session.execute("SELECT unnest(enum_range(NULL::qianzhi.finding_origin))::text")]
    assert "official" in origins
    assert [origin for origin in origins if names.origin(origin) == origin] == []
