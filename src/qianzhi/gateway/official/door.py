"""
The door of an official front machine: rows by INSERT, images into the agreed folder, and no receipt.

One batch is one transaction. Before its commit the transaction's number and the numbers of its rows are committed to
our own ledger, so that after a crash at any point the official server can be asked what became of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

import polars as pl
import psycopg

from qianzhi.db.server import connect
from qianzhi.errors import OperatorError, RetryableError
from qianzhi.gateway.official import profile, tables
from qianzhi.gateway.official.horizon import REMEDY, Beyond, Memory, horizon
from qianzhi.gateway.official.session import judged, open_session
from qianzhi.gateway.official.tables import SQL, Table, texts_of
from qianzhi.ledger import audit, handovers, reconciliations
from qianzhi.ledger.handovers import Transaction
from qianzhi.ledger.reconciliations import Reconciliation
from qianzhi.runtime import clock
from qianzhi.sealing import envelopes
from qianzhi.sealing.notes import ROWS, DeliveryNote, PartlyThere, note_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from qianzhi.db.server import Session
    from qianzhi.gateway.official.folder import Folder
    from qianzhi.gateway.official.tables import Place
    from qianzhi.ledger.handovers import Handover
    from qianzhi.sealing.envelopes import Manifest
    from qianzhi.specs.model import Dataset, Regulator


# A server that crashed goes on with a number that lies so much ahead; rows that others took back leave gaps as well.
SPARE_COUNT: Final = 32
CLOCKS_APART_MAX: Final = timedelta(days=1)  # the ledger's server says when somebody decided, we when rows went


class Journal(Memory, Protocol):
    """Where transactions are known before they are committed over there."""

    def begin(self, batch_id: UUID) -> None:
        """Put on record, durably, that a transaction may begin to use numbers."""

    def spent(self, batch_id: UUID) -> int:
        """Return how many numbers other attempts at the same table may have used that are not noted."""

    def miss(self, dataset: str, numbers: range) -> None:
        """Put numbers on record, durably, that rows got which nobody knows."""

    def note(self, batch_id: UUID, transaction: Transaction, remote_ids: Sequence[int]) -> None:
        """Put a transaction on record, durably."""

    def last(self, batch_id: UUID) -> Handover | None:
        """Return the newest transaction of a batch."""

    def close(self) -> None:
        """Release what it holds."""


class LedgerJournal:
    """The journal in the gateway's ledger, by a session of its own; not for several threads."""

    def __init__(self, dsn: str, destination: str) -> None:
        self._dsn = dsn
        self._destination = destination
        self._session: Session | None = None
        self._told: dict[str, tuple[list[Reconciliation], range]] = {}
        self._told_by_id = 0  # of the audit, which tells of each decision

    def begin(self, batch_id: UUID) -> None:
        """Put on record, durably, that a transaction may begin to use numbers."""
        handovers.begin(self._open(), batch_id, now=clock.now())

    def spent(self, batch_id: UUID) -> int:
        """Return how many numbers other attempts at the same table may have used that are not noted."""
        return handovers.spent(self._open(), batch_id)

    def miss(self, dataset: str, numbers: range) -> None:
        """Put numbers on record, durably, that rows got which nobody knows."""
        reconciliations.note_missed(self._open(), self._destination, dataset, numbers)

    def note(self, batch_id: UUID, transaction: Transaction, remote_ids: Sequence[int]) -> None:
        """Put a transaction on record, durably."""
        ids = pl.Series(remote_ids, dtype=pl.Int64)
        handovers.note(self._open(), batch_id, transaction, ids, now=clock.now())

    def last(self, batch_id: UUID) -> Handover | None:
        """Return the newest transaction of a batch."""
        return handovers.last(self._open(), batch_id)

    def newest(self, dataset: str) -> int:
        """Return the newest number that a row of ours got; 0 where none went."""
        return handovers.newest_of(self._open(), self._destination, dataset)

    def reconciled(self, dataset: str) -> list[Reconciliation]:
        """Return what was decided about numbers beyond that."""
        return self._told_of(dataset)[0]

    def missed(self, dataset: str) -> range:
        """Return the numbers without a row that were missed last."""
        return self._told_of(dataset)[1]

    def claimed(self, dataset: str, numbers: range, *, since: datetime) -> list[int]:
        """Return which of some numbers stand for rows that were recognised since a time."""
        return handovers.claimed(self._open(), self._destination, dataset, numbers, since=since)

    def close(self) -> None:
        """Release the session."""
        if self._session is not None:
            self._session.close()

    def _told_of(self, dataset: str) -> tuple[list[Reconciliation], range]:
        session = self._open()
        if (newest := audit.newest_id(session)) != self._told_by_id:
            self._told.clear()
            self._told_by_id = newest
        if dataset not in self._told:
            about = session, self._destination, dataset
            self._told[dataset] = reconciliations.of(*about), reconciliations.missed(*about)
        return self._told[dataset]

    def _open(self) -> Session:
        if self._session is None or self._session.closed:
            self._session = connect(self._dsn, application="qianzhi handover", autocommit=True)
        return self._session


class Fate(Enum):
    """What became of a transaction."""

    THERE = "there"
    GONE = "gone"
    OPEN = "open"


_FATES = {"committed": Fate.THERE, "aborted": Fate.GONE, "in progress": Fate.OPEN}


@dataclass(frozen=True, slots=True)
class Machine:
    """An official front machine: its address, its tables and its image folder."""

    dsn: str
    place: Place
    folder: Folder | None  # None: records name files that are on the official machine already
    shared: frozenset[str] = frozenset()  # datasets whose tables others fill as well


class FrontDoor:
    """The door of one official machine for one thread; its session is kept open between batches."""

    images_follow = False  # its uploader refuses a record whose image is not there

    def __init__(self, machine: Machine, regulator: Regulator, journal: Journal) -> None:
        self._machine = machine
        self._regulator = regulator
        self._journal = journal
        self._held: Session | None = None
        self._images: dict[str, str] = {}  # where the images of the batch at hand are, by digest
        self._tables: dict[str, Table] = {}

    def encode(self, manifest: Manifest, rows: pl.DataFrame) -> bytes:
        """Return the sealed envelope: what the spool keeps, and what is inserted."""
        return envelopes.seal(manifest, rows)

    def send(self, manifest: Manifest, sealed: bytes) -> DeliveryNote | PartlyThere:
        """
        Insert one batch in one transaction, unless an earlier attempt has done so; return the note of it.

        After a reconciliation rows that stand there already are recognised: they are not inserted. Raises
        OperatorError where rows stand there that the ledger does not know, and nobody has decided about.
        """
        rows = envelopes.open_envelope(sealed).rows
        with judged("The official machine did not take the batch"):
            last = self._journal.last(manifest.batch_id)
            fate = self._fate(last, manifest, rows) if last else Fate.GONE
            if fate is Fate.OPEN:
                raise RetryableError(
                    "The official machine is still at an earlier attempt of the batch.",
                    remedy="It is asked again; nothing is inserted twice.",
                )
            if last and fate is Fate.THERE:
                return _noted(manifest, sealed, note_rows(rows["row_id"], last.remote_ids), last.handed_at)
            there = self._recognised(manifest, rows)
            if there.is_empty():
                there = note_rows(rows["row_id"], self._insert(manifest, rows))
        self._images.clear()
        if there.height < rows.height:
            return PartlyThere(there["row_id"])
        return _noted(manifest, sealed, there, clock.now())

    def offer(
        self, digest: bytes, media_type: str, content: bytes, *, goes_on: Callable[[], bool] = lambda: True
    ) -> bool:
        """Put one image into the agreed folder unless it is there: in one piece, for it must be whole or absent."""
        if not goes_on():
            return False
        if self._machine.folder is not None:
            self._images[digest.hex()] = self._machine.folder.put(digest, media_type, content)
        return True

    def holds(self, manifest: Manifest) -> bool:
        """Tell whether a batch is there; RetryableError while the server itself does not know."""
        with judged("The official machine did not say what became of the batch"):
            last = self._journal.last(manifest.batch_id)
            fate = self._fate(last, manifest, None) if last else Fate.GONE
        if fate is Fate.OPEN:
            raise RetryableError("The official machine is still at the batch.", remedy="It is asked again.")
        return fate is Fate.THERE

    def close(self) -> None:
        """Release the sessions."""
        self._hang_up()
        self._journal.close()

    def _recognised(self, manifest: Manifest, rows: pl.DataFrame) -> pl.DataFrame:
        """Return which rows (ROWS) stand there from a time that the ledger knows nothing of."""
        dataset, now = self._regulator.dataset(manifest.dataset), clock.now()
        session, table = self._session(), self._table(dataset)
        found = horizon(session, table, dataset.name, self._journal)
        spans = [each for each in found.reconciled if each.is_compared(now)]
        is_shared = dataset.name in self._machine.shared
        if found.beyond and not is_shared:
            raise OperatorError(found.beyond.what, remedy=REMEDY)
        if found.beyond:
            spans.append(Reconciliation(now, found.beyond.first, found.beyond.last, may_be_ours=True))
        if not spans:
            return pl.DataFrame(schema=ROWS)
        since = min(each.decided_at for each in spans) - CLOCKS_APART_MAX
        numbers = range(min(each.first for each in spans), max(each.last for each in spans) + 1)
        known = self._journal.claimed(dataset.name, numbers, since=since)
        filled_at = profile.load(self._regulator, None).filled_at
        there = table.same(session, texts_of(rows, dataset, self._images), spans, but_for=known, leave=filled_at)
        if found.beyond and (there["remote_id"] >= found.beyond.first).any():
            raise OperatorError(found.beyond.what, remedy=REMEDY)
        return there

    def _insert(self, manifest: Manifest, rows: pl.DataFrame) -> list[int]:
        dataset = self._regulator.dataset(manifest.dataset)
        session = self._session()
        table, system = self._table(dataset), _system(session)
        self._journal.begin(manifest.batch_id)
        try:
            with session.transaction():
                session.execute(SQL.commit_safely)
                remote_ids = table.insert(session, texts_of(rows, dataset, self._images))
                if len(remote_ids) != rows.height:
                    raise OperatorError(
                        f"The official table of {dataset.name} took {len(remote_ids)} of {rows.height} rows.",
                        remedy="Ask the machine's operator what keeps rows away; the batch stays sealed.",
                    )
                self._require_no_gap(manifest, remote_ids)
                transaction = _number(session.execute(SQL.transaction).fetchone())
                self._journal.note(manifest.batch_id, Transaction(system, transaction or 0), remote_ids)
        except psycopg.Error:
            self._tables.clear()  # whoever puts a table right must not have to restart us
            raise
        return remote_ids

    def _require_no_gap(self, manifest: Manifest, remote_ids: Sequence[int]) -> None:
        """Refuse to commit behind numbers that nobody knows of: their rows may be ours, taken away since."""
        dataset, journal = manifest.dataset, self._journal
        if dataset in self._machine.shared or len(self._unexplained(dataset, min(remote_ids))) <= SPARE_COUNT:
            return
        spent = journal.spent(manifest.batch_id)
        # Anew, and only now: what another courier notes meanwhile is no longer spent, and not yet known before.
        between = self._unexplained(dataset, min(remote_ids))
        if len(between) > SPARE_COUNT + spent:
            journal.miss(dataset, between)
            beyond = Beyond(dataset, between.start, between.stop - 1, 0)
            raise OperatorError(beyond.what, remedy=REMEDY)

    def _unexplained(self, dataset: str, before: int) -> range:
        """Return the numbers up to one that are newer than what is known of, or decided about."""
        journal = self._journal
        known = max([journal.newest(dataset), *(each.last for each in journal.reconciled(dataset))])
        return range(known + 1, before)

    def _fate(self, last: Handover, manifest: Manifest, rows: pl.DataFrame | None) -> Fate:
        """
        Ask what became of a transaction that was about to be committed.

        The server's own word comes first: the official uploader may have taken rows away since. Where it knows the
        transaction no longer, or is another server now, the rows themselves are looked for; where that leaves it open
        somebody must look.
        """
        if not last.remote_ids:
            return Fate.GONE  # it had only begun: no commit comes before its numbers are noted
        if last.is_there is not None:
            return Fate.THERE if last.is_there else Fate.GONE
        session = self._session()
        said = _said(session, last.transaction.number) if last.transaction.system == _system(session) else None
        return _FATES[said] if said in _FATES else self._found(last, manifest, rows)

    def _found(self, last: Handover, manifest: Manifest, rows: pl.DataFrame | None) -> Fate:
        """Look for the rows of a transaction under the numbers that they got, which are never used again."""
        dataset = self._regulator.dataset(manifest.dataset)
        table, session = self._table(dataset), self._session()
        if rows is not None:
            same, taken = table.found(session, texts_of(rows, dataset, self._images), last.remote_ids)
            if same == len(last.remote_ids):
                return Fate.THERE
            if not taken and table.last_id(session) < last.remote_ids[0]:
                return Fate.GONE  # the server was set back, or another one stands in its place
        raise OperatorError(
            f"The official machine no longer knows whether it took the batch {manifest.batch_id}.",
            remedy=f"Look in its table of {dataset.name} for the IDs {last.remote_ids[0]} to {last.remote_ids[-1]}, "
            f"then run `qianzhi gateway results decide {manifest.batch_id}` with --there or --not-there.",
        )

    def _table(self, dataset: Dataset) -> Table:
        if dataset.name not in self._tables:
            self._tables[dataset.name] = tables.find(self._session(), self._machine.place, dataset)
        return self._tables[dataset.name]

    def _session(self) -> Session:
        if self._held is None or self._held.closed or self._held.broken:
            self._hang_up()
            self._held = open_session(self._machine.dsn)
        return self._held

    def _hang_up(self) -> None:
        if self._held is not None:
            self._held.close()
        self._tables.clear()
        self._held = None


def _noted(manifest: Manifest, sealed: bytes, placed: pl.DataFrame, at: datetime) -> DeliveryNote:
    return DeliveryNote(manifest.batch_id, envelopes.digest(sealed), at, placed)


def _said(session: Session, transaction: int) -> str | None:
    try:
        row = session.execute(SQL.fate, {"transaction": transaction}).fetchone()
    except psycopg.errors.InvalidParameterValue:  # a number that this server has not come to yet
        return None
    return str(row[0]) if row and row[0] is not None else None


def _system(session: Session) -> int | None:
    """Return what tells one server from another, where the account may ask."""
    try:
        return _number(session.execute(SQL.system).fetchone())
    except psycopg.errors.InsufficientPrivilege:
        return None


def _number(row: tuple[object, ...] | None) -> int | None:
    return int(str(row[0])) if row and row[0] is not None else None
