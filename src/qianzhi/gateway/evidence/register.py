"""Registering one file by hand: of this machine by its path, of another one by its address."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qianzhi.gateway.evidence import asking, assembly, registry
from qianzhi.ledger import evidence
from qianzhi.ledger.evidence import REMOTE, Entry
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from qianzhi.db.server import Session
    from qianzhi.gateway.evidence.formats import Format
    from qianzhi.regulators.protocols import Asked
    from qianzhi.runtime.settings import Settings

_SCHEMES: Final = ("https://", "http://")


def register(
    session: Session, settings: Settings, record: str, kind: str, source: str, *, number: int = 0
) -> tuple[int, Format]:
    """
    Look into a file and register it; return its number and what it is.

    Raises SenderError for what must not or cannot be shown, RetryableError where another machine does not answer.
    """
    entry, found = look(settings, record, kind, source, number=number)
    return evidence.register(session, asking.regulator_key(settings), entry, now=clock.now()), found


def look(settings: Settings, record: str, kind: str, source: str, *, number: int = 0) -> tuple[Entry, Format]:
    """Look into a file; return how it is registered, and what it is. Raises as `register` does."""
    asked = registry.kind_of(asking.adapter(asking.regulator_key(settings)).ASKED, kind)
    registry.checked_record(record)
    if source.lower().startswith(_SCHEMES):
        return asyncio.run(_remote_entry(settings, asked, record, source, number))
    return registry.entry_of_file(assembly.shelf(settings), asked, record, Path(source), number=number)


async def _remote_entry(settings: Settings, asked: Asked, record: str, url: str, number: int) -> tuple[Entry, Format]:
    remote = assembly.remote(settings)
    try:
        found, size = await remote.look(url)
    finally:
        await remote.close()
    registry.require_asked(asked, found)
    entry = Entry(
        kind=asked.name,
        record=record,
        number=number,
        place=REMOTE,
        location=url,
        media_type=found.media_type,
        codecs=found.codecs,
        byte_count=size,
        modified_ns=0,
    )
    return entry, found
