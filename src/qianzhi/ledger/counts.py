"""Counts that are kept as rows and findings come: whoever writes adds to them, and at night they are folded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.db.queries import load

if TYPE_CHECKING:
    import psycopg

_SQL = load("qianzhi.ledger", "counts.sql")


def fold(session: psycopg.Connection) -> None:
    """Add up what was counted one by one. Safe at any time and to repeat; the caller commits."""
    session.execute(_SQL.fold_findings)
    session.execute(_SQL.fold_staged)
