"""Registering evidence: a file is looked into first, and must be what the regulator asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.errors import SenderError
from qianzhi.gateway.evidence.formats import Format, examine
from qianzhi.ledger.evidence import FILE, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from qianzhi.gateway.evidence.shelf import Shelf
    from qianzhi.regulators.protocols import Asked

RECORD_CHARACTERS_MAX: Final = 64
NUMBER_MAX: Final = 9_999


def kind_of(asked: Iterable[Asked], name: str) -> Asked:
    """Return the kind of a name, written with _ or -. Raises SenderError for another."""
    known = {each.name: each for each in asked}
    found = known.get(name.lower().replace("-", "_"))
    if found is None:
        raise SenderError(
            "The regulator asks for no such kind of evidence.", remedy=f"Name one of: {', '.join(known)}."
        )
    return found


def checked_record(text: str) -> str:
    """Return the number of a record as it is registered. Raises SenderError for what no regulator could ask by."""
    if not 0 < len(text) <= RECORD_CHARACTERS_MAX or not text.isprintable():
        raise SenderError("The number of the record cannot be asked by.", remedy="Give it as the record has it.")
    return text


def require_asked(kind: Asked, found: Format) -> None:
    """Raise SenderError where files of a format are not what is asked for."""
    if found.media_type not in kind.links:
        raise SenderError(
            f"A file of the type {found.media_type} is no {kind.title.en}.",
            remedy=f"Register one of: {', '.join(kind.links)}.",
        )


def entry_of_file(
    shelf: Shelf, kind: Asked, record: str, path: Path, *, number: int = 0, folder: str | None = None
) -> tuple[Entry, Format]:
    """Return the entry of a file and what it is. Raises SenderError for one that must not or cannot be shown."""
    checked_record(record)
    opened = shelf.admit(path)
    with opened.file:
        found = examine(opened.file, opened.byte_count)
    require_asked(kind, found)
    entry = Entry(
        kind=kind.name,
        record=record,
        number=number,
        place=FILE,
        location=str(opened.path),
        media_type=found.media_type,
        codecs=found.codecs,
        byte_count=opened.byte_count,
        modified_ns=opened.modified_ns,
        folder=folder,
    )
    return entry, found
