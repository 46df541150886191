"""Which blobs the ledger still needs: images that are promised, and whatever else any of its tables names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from qianzhi.db.queries import load

if TYPE_CHECKING:
    import psycopg

_SQL = load("qianzhi.ledger", "needs.sql")


def needed_blobs(session: psycopg.Connection) -> set[bytes]:
    """
    Return the digests of blobs that must stay, but for those that sealed batches name.

    A new table of the ledger protects its blobs by calling their column `digest`.
    """
    needed = {digest for (digest,) in session.execute(_SQL.promised)}
    for (table,) in session.execute(_SQL.tables).fetchall():
        statement = sql.SQL(_SQL.digests).format(table=sql.Identifier("qianzhi", table))
        needed.update(bytes(digest) for (digest,) in session.execute(statement))
    return needed
