"""
Looking through a folder: files that are named by the rule are registered, those gone are removed.

The rule is `<record>.<kind>[.<number>].<extension>`, such as `2019031782837361728.doctor_video.mp4`; the extension
says nothing, for each file is looked into. Folders within the folder are looked through too, links are not followed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qianzhi.errors import OperatorError, SenderError
from qianzhi.gateway.evidence import registry
from qianzhi.ledger import evidence
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qianzhi.db.server import Session
    from qianzhi.gateway.evidence.shelf import Shelf
    from qianzhi.ledger.evidence import Known
    from qianzhi.regulators.protocols import Asked

FILES_MAX: Final = 2_000_000
"""In one folder, with all within it."""

DEPTH_MAX: Final = 12
COMMIT_EVERY: Final = 500
REFUSED_MAX: Final = 1_000
"""Told of one scan; the rest is only counted."""


@dataclass(slots=True)
class Scanned:
    """What a scan of a folder did. Paths name records: they are for whoever asked for the scan, not for logs."""

    added_count: int = 0
    removed_count: int = 0
    unchanged_count: int = 0
    unnamed_count: int = 0
    refused_count: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)  # path and why

    def counts(self) -> dict[str, int]:
        """Return how many files met which fate."""
        return {
            "added": self.added_count,
            "removed": self.removed_count,
            "unchanged": self.unchanged_count,
            "unnamed": self.unnamed_count,
            "refused": self.refused_count,
        }

    def as_json(self) -> dict[str, object]:
        """Return the public form."""
        return {**self.counts(), "files": [{"file": file, "why": why} for file, why in self.refused]}


@dataclass(frozen=True, slots=True)
class Named:
    """What the name of a file says."""

    record: str
    kind: Asked
    number: int


def named(name: str, asked: Sequence[Asked]) -> Named | None:
    """Return what a file's name says; None where it does not follow the rule."""
    kinds = {each.name: each for each in asked}
    words = "|".join(each.replace("_", "[_-]") for each in kinds)
    found = re.fullmatch(rf"(.+)\.({words})(?:\.([0-9]{{1,4}}))?\.[A-Za-z0-9]{{1,5}}", name, re.IGNORECASE)
    if found is None:
        return None
    return Named(found[1], kinds[found[2].lower().replace("-", "_")], int(found[3] or 0))


def scan(session: Session, regulator: str, asked: Sequence[Asked], shelf: Shelf, folder: str) -> Scanned:
    """
    Bring the register up to what lies in a folder now; commits as it goes. Safe to repeat.

    Raises OperatorError where the folder is not there or holds too much: what it held stays registered, since it may
    be back soon.
    """
    root = Path(os.path.realpath(shelf.folders[folder]))
    if not root.is_dir():
        raise OperatorError(
            f"The folder {folder} of [gateway.evidence.folders] is not there.", remedy="Mount it, or correct its path."
        )
    work = _Work(session, regulator, asked, shelf, folder)
    for count, path in enumerate(_files(root), start=1):
        if count > FILES_MAX:
            raise OperatorError(
                f"The folder {folder} of [gateway.evidence.folders] holds more than {FILES_MAX} files.",
                remedy="Divide it into several folders.",
            )
        work.look(path)
        if count % COMMIT_EVERY == 0:
            session.commit()
    return work.finish()


class _Work:
    """One scan."""

    def __init__(self, session: Session, regulator: str, asked: Sequence[Asked], shelf: Shelf, folder: str) -> None:
        self._session, self._regulator, self._asked = session, regulator, asked
        self._shelf, self._folder = shelf, folder
        self._known = {each.location: each for each in evidence.of_folder(session, folder)}
        self._good = set[str]()
        self._said = Scanned()

    def look(self, path: Path) -> None:
        """Register a file that is new or changed."""
        location = str(path)
        told = named(path.name, self._asked) if location.isprintable() else None
        if told is None:
            self._said.unnamed_count += 1
        elif _is_unchanged(path, self._known.get(location)):
            self._good.add(location)
            self._said.unchanged_count += 1
        else:
            self._register(path, told)

    def finish(self) -> Scanned:
        """Remove what is gone or no longer sound."""
        gone = [each.media_id for location, each in self._known.items() if location not in self._good]
        self._said.removed_count = evidence.remove(self._session, gone, now=clock.now())
        self._session.commit()
        return self._said

    def _register(self, path: Path, told: Named) -> None:
        try:
            entry, _ = registry.entry_of_file(
                self._shelf, told.kind, told.record, path, number=told.number, folder=self._folder
            )
        except SenderError as error:
            self._said.refused_count += 1
            if len(self._said.refused) < REFUSED_MAX:
                self._said.refused.append((str(path), error.what))
            return
        evidence.register(self._session, self._regulator, entry, now=clock.now())
        self._good.add(entry.location)
        self._said.added_count += 1


def _is_unchanged(path: Path, known: Known | None) -> bool:
    if known is None:
        return False
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (known.byte_count, known.modified_ns)


def _files(root: Path) -> Iterator[Path]:
    """Yield the files below a folder, without following links or entering what is hidden."""
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False) and depth < DEPTH_MAX:
                        waiting.append((Path(entry.path), depth + 1))
                    elif entry.is_file(follow_symlinks=False):
                        yield Path(entry.path)
        except OSError:
            continue
