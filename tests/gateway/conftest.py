"""A gateway's database with staging tables and a ledger, and a destination that answers as a test wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl
import psycopg
import pytest
from psycopg import sql

from qianzhi import regulators
from qianzhi.db import migrate
from qianzhi.db.server import connect
from qianzhi.errors import RetryableError, SenderError
from qianzhi.gateway import install
from qianzhi.gateway.backoff import Backoff
from qianzhi.gateway.destination import Destination, Workplace
from qianzhi.gateway.images import PathMap
from qianzhi.gateway.spool import Spool
from qianzhi.ledger import lanes
from qianzhi.ledger.blobs import Blobs
from qianzhi.ledger.lanes import Mode
from qianzhi.runtime import clock
from qianzhi.runtime.home import End, Home
from qianzhi.sealing import envelopes, receipts
from qianzhi.sealing.receipts import FINDING, Receipt

if TYPE_CHECKING:
    from qianzhi.sealing.envelopes import Manifest

REGULATOR = regulators.regulator("guangdong")
HUB = "hub"


@dataclass
class Answerer:
    """A destination that accepts every row, or does not answer; one door for everybody."""

    answers: bool = True
    images_follow: bool = True
    rows: dict[str, int] = field(default_factory=dict)
    blobs: list[bytes] = field(default_factory=list)
    refused: frozenset[bytes] = frozenset()
    _counts: dict[UUID, int] = field(default_factory=dict)

    def encode(self, manifest: Manifest, rows: pl.DataFrame) -> bytes:
        """Return what is sent."""
        self._counts[manifest.batch_id] = rows.height
        return envelopes.seal(manifest, rows)

    def send(self, manifest: Manifest, sealed: bytes) -> tuple[Receipt, bytes]:
        """Accept every row."""
        if not self.answers:
            raise RetryableError("Nobody answers.", remedy="Wait.")
        count = self._counts[manifest.batch_id]
        self.rows[manifest.dataset] = self.rows.get(manifest.dataset, 0) + count
        nothing = pl.Series("row_id", [], dtype=pl.Int64)
        receipt = Receipt(
            manifest.batch_id,
            envelopes.digest(sealed),
            clock.now(),
            count,
            count,
            nothing,
            pl.DataFrame(schema=FINDING),
        )
        return receipt, receipts.encode(receipt)

    def offer(
        self, digest: bytes, media_type: str, content: bytes, *, goes_on: Callable[[], bool] = lambda: True
    ) -> bool:
        """Take a blob in one piece."""
        if not self.answers:
            raise RetryableError("Nobody answers.", remedy="Wait.")
        if digest in self.refused:
            raise SenderError(f"No {media_type} of {len(content)} bytes is taken.", remedy="Send another.")
        if goes_on():
            self.blobs.append(digest)
        return digest in self.blobs

    def holds(self, _manifest: Manifest) -> bool:
        """Know of no batch."""
        return False

    def close(self) -> None:
        """Stay open."""


@pytest.fixture
def answerer() -> Answerer:
    """What answers at the destination."""
    return Answerer()


@pytest.fixture
def destination(answerer: Answerer) -> Destination:
    """A destination that is tried again at once."""
    return Destination(
        HUB, REGULATOR, "440000000000000001", lambda: answerer, REGULATOR.schedule, backoff=Backoff(0.001, 0.002)
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A gateway's home without a database."""
    place = Home(tmp_path / "home")
    place.create(End.GATEWAY)
    return place


@pytest.fixture
def workplace(database: str, tmp_path: Path) -> Workplace:
    """A gateway that is set up as `gateway init` does it, without roles."""
    migrate.upgrade(database, "qianzhi.ledger", "gateway")
    with connect(database, application="test") as session:
        install.create_staging(session, REGULATOR)
        lanes.register(session, HUB, REGULATOR, {})
    folders = tmp_path / "spool", tmp_path / "blobs"
    for folder in folders:
        folder.mkdir()
    return Workplace(dsn=database, spool=Spool(folders[0]), blobs=Blobs(folders[1]), paths=PathMap({}))


@pytest.fixture
def ask(workplace: Workplace) -> Iterator[psycopg.Connection]:
    """A session to look into the gateway's database."""
    with psycopg.connect(workplace.dsn, autocommit=True) as session:
        yield session


def switch(session: psycopg.Connection, **modes: Mode) -> None:
    """Let datasets go nightly, at once, or not at all."""
    with session.transaction():
        lanes.register(session, HUB, REGULATOR, modes)


def stage(session: psycopg.Connection, dataset: str, count: int = 1) -> None:
    """Stage rows that hold nothing but a key, each another one."""
    keys = [sql.Identifier(name.lower()) for name in REGULATOR.dataset(dataset).key]
    statement = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM generate_series(1, {})").format(
        sql.Identifier(REGULATOR.key, dataset),
        sql.SQL(", ").join(keys),
        sql.SQL(", ").join([sql.SQL("gen_random_uuid()::text")] * len(keys)),
        sql.Literal(count),
    )
    session.execute(statement)
