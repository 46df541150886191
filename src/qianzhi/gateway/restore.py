"""Restoring: the rows of an archive as a file for a person; they never go back into a staging table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from qianzhi.db.server import connect
from qianzhi.errors import OperatorError
from qianzhi.gateway import parquet
from qianzhi.ledger import audit
from qianzhi.runtime.files import written_durably

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedWriter
    from pathlib import Path

    from qianzhi.gateway.archive import Archivist
    from qianzhi.ledger.archives import Archive

KINDS = (".parquet", ".csv")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it, Excel takes UTF-8 for something else
_FORMULA = r"^[=+\-@\t\r]"  # how a cell begins that a spreadsheet would run


def restore(archivist: Archivist, dsn: str, archive: Archive, target: Path, *, actor: str) -> int:
    """
    Write the rows of a verified archive to a file, in the clear, and put on record who asked; return how many.

    Parquet holds every value as it was; in CSV a cell that a spreadsheet would take for a formula begins with an
    apostrophe. Raises OperatorError where the archive is damaged, its key is missing, or the target exists.
    """
    if target.suffix not in KINDS or target.exists():
        raise OperatorError(
            f"{target.name} exists already, or is neither Parquet nor CSV.",
            remedy="Name a new file that ends in .parquet or .csv.",
        )
    archivist.verify(archive)
    with connect(dsn, application="qianzhi restore") as session:
        # Before the first row is written: nobody sees rows without an entry.
        audit.note(
            session,
            actor=actor,
            event="gateway:archive:restored",
            subject=archive.file,
            detail={"archive": archive.archive_id, "rows": archive.row_count, "kind": target.suffix},
        )
        session.commit()
    path = archivist.path(archive)
    rows = parquet.frames_of(path, archivist.keys)
    if target.suffix == ".csv":
        with written_durably(target) as file:
            _write_csv(file, rows)
    else:
        parquet.write(target, rows, parquet.label_of(path)[0], (), None)
    return archive.row_count


def _write_csv(file: BufferedWriter, frames: Iterator[pl.DataFrame]) -> None:
    file.write(_BYTE_ORDER_MARK)
    is_first = True
    for frame in frames:
        text = pl.col(pl.String)
        is_formula = text.str.contains(_FORMULA)
        guarded = frame.with_columns(pl.when(is_formula).then(pl.lit("'") + text).otherwise(text).name.keep())
        guarded.write_csv(file, include_header=is_first)
        is_first = False
