"""Archiving: old settled rows go from their staging table into a file, which is read back before they are dropped."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import polars as pl
import structlog
from psycopg import IsolationLevel

from qianzhi.db import locks
from qianzhi.db.server import connect, translated
from qianzhi.errors import OperatorError, RetryableError
from qianzhi.gateway import parquet
from qianzhi.ledger import archives, batches
from qianzhi.ledger.archives import Archive, Table
from qianzhi.runtime import clock
from qianzhi.runtime.files import is_full, make_folder_durably

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from qianzhi.db.server import Session
    from qianzhi.gateway.parquet import Contents, Label
    from qianzhi.runtime.keyfile import KeyFile
    from qianzhi.specs.model import Dataset, Regulator

log = structlog.stdlib.get_logger()

PART_ROWS_MAX = 500_000  # of one archive; a month that has more goes into several
MONTHS_MAX = 1_200  # looked through for rows that are due
_LOCK = "gateway archive"


@dataclass(frozen=True, slots=True)
class _Due:
    """Rows that go into one archive."""

    table: Table
    regulator: Regulator
    dataset: Dataset
    month: date
    part: int
    ids: str  # an int8multirange

    @property
    def label(self) -> Label:
        return parquet.Label(
            self.table.regulator, self.table.dataset, self.regulator.edition, f"{self.month:%Y-%m}", self.part
        )

    @property
    def file(self) -> str:
        part = f".{self.part}" if self.part > 1 else ""
        return f"{self.table.regulator}/{self.table.dataset}.{self.month:%Y-%m}{part}.parquet"


class Archivist:
    """
    Archives the rows of some regulators' datasets, one file a step.

    A step may end at any point: before its one commit the rows stand where they stood, after it they are in a file
    that is known to hold them. Any number of archivists may be at work; one of them is at a time.
    """

    def __init__(
        self,
        dsn: str,
        folder: Path,
        regulators: Sequence[Regulator],
        keys: KeyFile | None,
        *,
        staging_days: int,
    ) -> None:
        self._dsn = dsn
        self.folder = folder
        self._regulators = regulators
        self.keys = keys
        self._staging_days = staging_days

    def step(self, *, now: datetime, datasets: Collection[str] | None = None) -> Archive | None:
        """
        Make the next archive of a whole month whose rows are all old enough; return it, or None when none is due.

        Raises RetryableError when another process archives, OperatorError when a file cannot be written or is not what
        was written; nothing is dropped then.
        """
        with self._alone() as session:
            due = self._next(session, before=month_of(now - timedelta(days=self._staging_days)), only=datasets)
            if due is None:
                return None
            made = self._archive(session, due, now)
        self._make_room(due.table)
        log.info("gateway:archive:made", dataset=made.dataset, rows=made.row_count, bytes=made.byte_count)
        return made

    def listed(self, *, dataset: str | None = None, archive_id: int | None = None) -> list[Archive]:
        """Return the archives, or those of a dataset, or the one of an id."""
        with connect(self._dsn, application="qianzhi archive", autocommit=True) as session:
            return archives.listed(session, dataset=dataset, archive_id=archive_id)

    def verify(self, archive: Archive) -> None:
        """Raise OperatorError unless an archive's file is, byte for byte and row for row, what the ledger says."""
        path = self.path(archive)
        label, _ = parquet.label_of(path)
        said = (label.regulator, label.dataset, label.month, label.part)
        if said != (archive.regulator, archive.dataset, f"{archive.month:%Y-%m}", archive.part):
            raise _differs(archive.file)
        _require_same(parquet.contents_of(path, self.keys), _contents(archive), archive.file)

    def path(self, archive: Archive) -> Path:
        """Return where an archive's file lies; OperatorError where no file there is the one that the ledger knows."""
        path = self.folder / archive.file
        # A process that was killed while it wrote the archive anew may have left the new file beside the old one.
        for each in (_fresh(path), path):
            if each.exists() and parquet.digest_of(each) == archive.file_digest:
                return each
        raise _differs(archive.file)

    def rewrite(self) -> int:
        """Write the archives anew whose personal columns are not as they would be written now; return how many."""
        wanted = None if self.keys is None else self.keys.newest.key_id
        rewritten = 0
        for archive in self.listed():
            with self._alone() as session:
                path = self.path(archive)
                if archive.key_id != wanted and _personal(self._dataset(archive), parquet.names_of(path)):
                    self._rewrite(session, archive, path)
                    rewritten += 1
                elif path != self.folder / archive.file:
                    path.replace(self.folder / archive.file)
        return rewritten

    def _dataset(self, archive: Archive) -> Dataset | None:
        known = (each for each in self._regulators if each.key == archive.regulator)
        return next((dataset for each in known for dataset in each.datasets if dataset.name == archive.dataset), None)

    @contextmanager
    def _alone(self) -> Iterator[Session]:
        """Yield a session in a transaction that sees one state of the database; whoever wants one too is refused."""
        with connect(self._dsn, application="qianzhi archive") as session, _told():
            # What is read, what is dropped and what is recorded belong to one snapshot: a row that somebody changes
            # or deletes meanwhile fails the transaction.
            session.isolation_level = IsolationLevel.REPEATABLE_READ
            if not locks.try_hold(session, _LOCK):
                raise RetryableError("Another process archives already.", remedy="Wait until it has come to its end.")
            try:
                yield session
            finally:
                session.rollback()

    def _next(self, session: Session, *, before: date, only: Collection[str] | None) -> _Due | None:
        for regulator in self._regulators:
            for dataset in regulator.datasets:
                # What people keep stays at hand: few rows, and each is corrected by what stands of it.
                if dataset.resource is None and (only is None or dataset.name in only):
                    due = _due(session, regulator, dataset, before)
                    if due is not None:
                        return due
        return None

    def _archive(self, session: Session, due: _Due, now: datetime) -> Archive:
        path = self.folder / due.file
        make_folder_durably(self.folder)
        make_folder_durably(path.parent)
        self._clear(session, due, path)
        names = _names(session, due)
        rows = archives.rows(session, due.table, due.ids, names, _schema(names))
        written = parquet.write(path, rows, due.label, _personal(due.dataset, names), self.keys)
        try:
            archive = self._read_back(due, path, written, now)
        except OperatorError:
            path.unlink(missing_ok=True)  # ours of just now, and the rows are all in their place
            raise
        if archives.drop(session, due.table, due.ids) != written.row_count:
            raise _differs(due.file)
        archive_id = archives.record(session, archive, due.ids)
        session.commit()
        return replace(archive, archive_id=archive_id)

    def _read_back(self, due: _Due, path: Path, written: Contents, now: datetime) -> Archive:
        """Return what the ledger is to say of a file, from reading it."""
        _require_same(parquet.contents_of(path, self.keys), written, due.file)
        label, key_id = parquet.label_of(path)
        return Archive(
            archive_id=0,
            regulator=label.regulator,
            dataset=label.dataset,
            month=due.month,
            part=label.part,
            edition=label.edition,
            row_count=written.row_count,
            content_digest=written.digest,
            file=due.file,
            file_digest=parquet.digest_of(path),
            byte_count=path.stat().st_size,
            key_id=key_id,
            archived_at=now,
        )

    def _clear(self, session: Session, due: _Due, path: Path) -> None:
        """Make room for a file: what a process that was killed left is removed, and nothing else ever is."""
        for part in path.parent.glob(".*.part"):
            part.unlink(missing_ok=True)
        if not path.exists():
            return
        if not self._is_staged(session, due, path):
            raise OperatorError(
                f"The ledger does not know the archive {due.file}, and rows of it are nowhere else.",
                remedy="Find out whether the database was restored from an older backup; then move the file away.",
            )
        path.unlink()

    def _is_staged(self, session: Session, due: _Due, path: Path) -> bool:
        """Tell whether every row of a file stands in the staging table, with these very values."""
        spelt, names = _names(session, due), [name for name in parquet.names_of(path) if name != parquet.ROW_ID]
        if not spelt.keys() >= set(names):
            return False
        chosen = {name: spelt[name] for name in names}
        staged = parquet.Checksum()
        for frame in parquet.frames_of(path, None, columns=[parquet.ROW_ID]):
            ids = batches.ranges_of(frame[parquet.ROW_ID])
            for rows in archives.rows(session, due.table, ids, chosen, _schema(chosen)):
                staged.add(rows)
        return staged.contents() == parquet.contents_of(path, self.keys)

    def _rewrite(self, session: Session, archive: Archive, path: Path) -> None:
        fresh = _fresh(self.folder / archive.file)
        label, _ = parquet.label_of(path)
        personal = _personal(self._dataset(archive), parquet.names_of(path))
        written = parquet.write(fresh, parquet.frames_of(path, self.keys), label, personal, self.keys)
        for seen in (written, parquet.contents_of(fresh, self.keys)):
            _require_same(seen, _contents(archive), archive.file)
        known = replace(
            archive,
            file_digest=parquet.digest_of(fresh),
            byte_count=fresh.stat().st_size,
            key_id=parquet.label_of(fresh)[1],
        )
        archives.replace(session, known)
        session.commit()
        fresh.replace(self.folder / archive.file)

    def _make_room(self, table: Table) -> None:
        with connect(self._dsn, application="qianzhi archive", autocommit=True) as session, _told():
            archives.vacuum(session, table)


def month_of(instant: datetime) -> date:
    """Return the first day of the local month of an instant."""
    return clock.local(instant).date().replace(day=1)


def _next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _due(session: Session, regulator: Regulator, dataset: Dataset, before: date) -> _Due | None:
    """Return the rows of the oldest month of a dataset that are due, as many as one archive holds."""
    table = Table(regulator.key, dataset.name)
    ids = archives.due(session, table, before=_begin(before))
    first_at = archives.first_settled(session, table, ids) if ids is not None else None
    if first_at is None:
        return None
    month = month_of(first_at)
    for _ in range(MONTHS_MAX):
        if month >= before:
            break
        # Rows that several destinations settled belong to the month of the last one.
        ids = archives.due(session, table, before=_begin(_next_month(month)))
        chosen = archives.first_ids(session, table, ids, limit=PART_ROWS_MAX) if ids is not None else None
        if chosen is not None:
            return _Due(table, regulator, dataset, month, archives.next_part(session, table, month), chosen)
        month = _next_month(month)
    return None


def _begin(month: date) -> datetime:
    return datetime.combine(month, time(), clock.LOCAL)


def _names(session: Session, due: _Due) -> dict[str, str]:
    """Return the column of the table for each column of the archive: fields as the regulator spells them."""
    spelt = {field.name.lower(): field.name for field in due.dataset.fields}
    return {spelt.get(column, column): column for column in archives.columns(session, due.table)}


def _schema(names: Collection[str]) -> pl.Schema:
    return pl.Schema({parquet.ROW_ID: pl.Int64, **dict.fromkeys(names, pl.String)})


def _personal(dataset: Dataset | None, names: Collection[str]) -> list[str]:
    """Return the columns that say something about a person; of what no edition explains any more, all may."""
    plain = {field.name for field in dataset.fields if not field.personal} if dataset is not None else set()
    return [name for name in names if name != parquet.ROW_ID and name not in plain]


def _fresh(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _contents(archive: Archive) -> Contents:
    return parquet.Contents(archive.row_count, archive.content_digest)


def _require_same(found: Contents, expected: Contents, file: str) -> None:
    if found != expected:
        raise _differs(file)


def _differs(file: str) -> OperatorError:
    return OperatorError(
        f"The archive {file} does not hold what the ledger and the database say.",
        remedy="Nothing was dropped. Restore the file from a backup; `qianzhi gateway archive verify` looks again.",
    )


@contextmanager
def _told() -> Iterator[None]:
    """Say in our own words what broke archiving off."""
    with translated("Archiving was broken off"):
        try:
            yield
        except OSError as error:
            if not is_full(error):
                raise
            raise OperatorError(
                "The disk of the archive folder is full.",
                remedy="Free space, then run `qianzhi gateway archive run`: every row still stands where it stood.",
            ) from error
