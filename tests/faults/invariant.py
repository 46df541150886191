"""
What must hold after every fault: each committed staged row has one outcome, nothing is lost, nothing is doubled.

Asked of both databases in SQL of its own: none of the product's tallies has a say.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from pathlib import Path

# Every place in which the ledger has a row. A rejected one is the member of a settled batch.
PLACES = """
WITH members AS (
    SELECT lane_id, state::text AS place, row_id, batch_id
    FROM qianzhi.batches, unnest(row_ids) AS one, generate_series(lower(one), upper(one) - 1) AS row_id
)
SELECT dataset, row_id, place FROM qianzhi.lanes JOIN (
    SELECT lane_id, row_id, place FROM members WHERE place IN ('sealed', 'settled')
    UNION ALL SELECT lane_id, row_id, 'arrived' FROM qianzhi.arrived
    UNION ALL SELECT lane_id, row_id, 'held' FROM qianzhi.held
    UNION ALL SELECT lane_id, row_id, outcome::text FROM qianzhi.outcomes WHERE outcome <> 'rejected'
) AS placed USING (lane_id)
"""
SETTLED_ROWS = """
SELECT dataset, row_id, batch_id, o.row_id IS NULL AS accepted
FROM qianzhi.batches AS b
JOIN qianzhi.lanes AS l USING (lane_id)
CROSS JOIN unnest(b.row_ids) AS one
CROSS JOIN generate_series(lower(one), upper(one) - 1) AS row_id
LEFT JOIN (SELECT * FROM qianzhi.outcomes WHERE outcome = 'rejected') AS o USING (lane_id, batch_id, row_id)
WHERE b.state = 'settled'
"""
GATEWAY_BATCHES = """
SELECT batch_id, digest, row_count, accepted_count, rejected_count, receipts.document
FROM qianzhi.batches LEFT JOIN qianzhi.receipts USING (batch_id) WHERE state = 'settled'
"""
HUB_BATCHES = """
SELECT batch_id, digest, row_count, accepted_count, rejected_count, receipt
FROM qianzhi.batches JOIN qianzhi.institutions USING (institution_id) WHERE code = %s
"""
GATEWAY_STATES = """
SELECT dataset, key_hash, key_check, row_id, live FROM qianzhi.key_states JOIN qianzhi.lanes USING (lane_id)
"""
HUB_STATES = """
SELECT dataset, key_hash, key_check, row_id, live
FROM qianzhi.key_states JOIN qianzhi.dataset_numbers USING (dataset_number)
JOIN qianzhi.institutions USING (institution_id) WHERE code = %s
"""
HUB_ROWS = """
SELECT {dataset}, row_id, batch_id, accepted FROM {table}
JOIN qianzhi.batches USING (batch_seq) JOIN qianzhi.institutions USING (institution_id) WHERE code = %s
"""
STRAY_REJECTIONS = """
SELECT lane_id, o.row_id FROM qianzhi.outcomes AS o LEFT JOIN qianzhi.batches AS b USING (lane_id, batch_id)
WHERE outcome = 'rejected' AND (state IS DISTINCT FROM 'settled' OR NOT o.row_id <@ row_ids)
"""
UNKEPT_PROMISES = "SELECT digest FROM qianzhi.promised_images WHERE digest NOT IN (SELECT digest FROM qianzhi.blobs)"
DOUBLED_FINDINGS = """
SELECT lane_id, row_id, code, field, count(*) FROM qianzhi.findings GROUP BY 1, 2, 3, 4 HAVING count(*) > 1
"""


@dataclass(frozen=True, slots=True)
class Books:
    """Where both ends keep what they know."""

    gateway_dsn: str
    hub_dsn: str
    institution: str
    regulator: str
    datasets: tuple[str, ...]
    spool: Path
    hub_blobs: Path


def assert_each_row_once(books: Books) -> dict[str, Counter[str]]:
    """
    Assert everything when no row is on its way any more; return how many rows of each dataset are where.

    The places are those of the ledger: settled, held, superseded, nothing_to_revoke, quarantined.
    """
    with psycopg.connect(books.gateway_dsn) as gateway, psycopg.connect(books.hub_dsn) as hub:
        places = _assert_one_place_each(books, gateway)
        _assert_counts(gateway)
        _assert_same_at_the_hub(books, gateway, hub)
        blobs = _rows(hub, "SELECT digest, byte_count FROM qianzhi.blobs")
        promised = _rows(gateway, "SELECT digest, sent_at IS NOT NULL FROM qianzhi.promised_images")
        owed = _rows(hub, UNKEPT_PROMISES)
    assert {digest for digest, is_sent in promised if is_sent} == {digest for digest, _ in promised}
    assert {digest for digest, _ in promised} <= {digest for digest, _ in blobs}, "an image is not where it was sent"
    assert owed == [], "the hub waits for an image that nobody sends"
    for digest, byte_count in blobs:
        content = (books.hub_blobs / digest.hex()[:2] / digest.hex()).read_bytes()
        assert (hashlib.sha256(content).digest(), len(content)) == (digest, byte_count)
    left = [path.name for path in books.spool.iterdir()]
    assert left == [], "the spool keeps what nothing promises any more"
    return places


def _assert_one_place_each(books: Books, gateway: psycopg.Connection) -> dict[str, Counter[str]]:
    places: dict[tuple[str, int], list[str]] = {}
    for dataset, row_id, place in _rows(gateway, PLACES):
        places.setdefault((dataset, row_id), []).append(place)
    staged = {(dataset, row_id) for dataset in books.datasets for (row_id,) in _ids(gateway, books, dataset)}
    assert places.keys() == staged, "a row is lost, or was never staged"
    assert {row: found for row, found in places.items() if len(found) > 1} == {}, "a row has two outcomes"
    open_rows = [row for row, (place,) in places.items() if place in {"arrived", "sealed"}]
    assert open_rows == [], "a row has no outcome yet"
    counted: dict[str, Counter[str]] = {dataset: Counter() for dataset in books.datasets}
    for (dataset, _), (place,) in places.items():
        counted[dataset][place] += 1
    return counted


def _assert_counts(gateway: psycopg.Connection) -> None:
    rejected = Counter(batch for _, _, batch, accepted in _rows(gateway, SETTLED_ROWS) if not accepted)
    members = Counter(batch for _, _, batch, _ in _rows(gateway, SETTLED_ROWS))
    for batch, _, rows, accepted_count, rejected_count, _ in _rows(gateway, GATEWAY_BATCHES):
        assert (rows, rejected_count) == (members[batch], rejected[batch])
        assert rows == accepted_count + rejected_count
    assert _rows(gateway, STRAY_REJECTIONS) == [], "a row is rejected that its batch does not hold"
    assert _rows(gateway, DOUBLED_FINDINGS) == [], "a finding is told twice"


def _assert_same_at_the_hub(books: Books, gateway: psycopg.Connection, hub: psycopg.Connection) -> None:
    stored = [(*row, zlib.decompress(receipt)) for *row, receipt in _rows(hub, HUB_BATCHES, books.institution)]
    assert sorted(stored) == sorted(_rows(gateway, GATEWAY_BATCHES)), "the ends know other batches"
    received = [row for dataset in books.datasets for row in _received(hub, books, dataset)]
    twice = [row for row, count in Counter(row[:2] for row in received).items() if count > 1]
    assert twice == [], "the hub got a row twice"
    assert sorted(received) == sorted(_rows(gateway, SETTLED_ROWS)), "the ends say other things of a row"
    assert sorted(_rows(hub, HUB_STATES, books.institution)) == sorted(_rows(gateway, GATEWAY_STATES)), (
        "the ends hold other keys"
    )


def _ids(gateway: psycopg.Connection, books: Books, dataset: str) -> list[tuple[Any, ...]]:
    return _rows(gateway, sql.SQL("SELECT id FROM {}").format(sql.Identifier(books.regulator, dataset)))


def _received(hub: psycopg.Connection, books: Books, dataset: str) -> list[tuple[Any, ...]]:
    names = {"dataset": sql.Literal(dataset), "table": sql.Identifier(books.regulator, dataset)}
    return _rows(hub, sql.SQL(HUB_ROWS).format(**names), books.institution)


def _rows(connection: psycopg.Connection, statement: LiteralString | sql.Composed, *values: str) -> list[Any]:
    return connection.execute(statement, values).fetchall()
