"""The service log: the newest lines of every part, read from the end of its files and never further than needed."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

LINES_MAX: Final = 1_000
BLOCK_BYTES: Final = 64 * 2**10
PART_BYTES_MAX: Final = 8 * 2**20
"""So far back one part is read for one question; a filter that finds little does not read every file."""

FILES_MAX: Final = 100
LINE_BYTES_MAX: Final = 256 * 2**10
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_FRAME: Final = ("timestamp", "level", "component", "event")
_SUFFIX: Final = ".log"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of a log. Logs hold no value of a record."""

    at: datetime
    level: str
    part: str
    event: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are wanted; what is not said is left open."""

    parts: frozenset[str] = frozenset()
    level: str = "debug"  # and all above
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""  # anywhere in the entry, in whatever case


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The newest lines wanted, newest first, and whether there may be older ones that were not looked at."""

    lines: Sequence[Line]
    is_bounded: bool


def parts(folder: Path) -> list[str]:
    """Return the parts that have a log."""
    return sorted(file.stem for file in folder.glob(f"*{_SUFFIX}"))


def read(folder: Path, wanted: Wanted | None = None, *, limit: int = 200) -> Excerpt:
    """Return the newest lines wanted of the logs in a folder; a line that is no entry of ours is passed over."""
    wanted = wanted or Wanted()
    limit = max(0, min(limit, LINES_MAX))
    chosen = [part for part in parts(folder) if not wanted.parts or part in wanted.parts]
    tails = [_Tail(folder, part) for part in chosen]
    newest = heapq.merge(*(_matching(tail, wanted) for tail in tails), key=lambda line: line.at, reverse=True)
    lines = list(islice(newest, limit + 1))
    return Excerpt(lines[:limit], len(lines) > limit or any(tail.is_cut for tail in tails))


class _Tail:
    """The lines of one part from the newest back, through the files that were set aside."""

    def __init__(self, folder: Path, part: str) -> None:
        self._files = [folder / f"{part}{_SUFFIX}", *(folder / f"{part}{_SUFFIX}.{n}" for n in range(1, FILES_MAX))]
        self._left = PART_BYTES_MAX
        self.is_cut = False

    def __iter__(self) -> Iterator[bytes]:
        for file in self._files:
            try:
                yield from self._backwards(file)
            except FileNotFoundError:  # the last one, or set aside while it was read
                return
            if self.is_cut:
                return

    def _backwards(self, file: Path) -> Iterator[bytes]:
        with file.open("rb") as opened:
            at, rest = opened.seek(0, 2), b""
            while at:
                size = min(BLOCK_BYTES, at, self._left)
                if not size:
                    self.is_cut = True
                    return
                at = opened.seek(at - size)
                self._left -= size
                first, *lines = (opened.read(size) + rest).split(b"\n")
                yield from reversed(lines)
                rest = first[-LINE_BYTES_MAX:]
            yield rest


def _matching(tail: Iterable[bytes], wanted: Wanted) -> Iterator[Line]:
    text = wanted.text.casefold()
    least = LEVELS.index(wanted.level) if wanted.level in LEVELS else 0
    for raw in tail:
        if text and text not in raw.decode("utf-8", errors="replace").casefold():
            continue
        line = _line(raw)
        if line is None:
            continue
        if wanted.since is not None and line.at < wanted.since:
            return
        is_loud = line.level not in LEVELS or LEVELS.index(line.level) >= least
        if is_loud and (wanted.until is None or line.at < wanted.until):
            yield line


def _line(raw: bytes) -> Line | None:
    try:
        entry = orjson.loads(raw)
        at = datetime.fromisoformat(entry["timestamp"])
        details = {key: value for key, value in entry.items() if key not in _FRAME}
        return Line(at, str(entry["level"]), str(entry["component"]), str(entry["event"]), details)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
