"""What may stand in a log: names of events, allow-listed keys, and values that cannot be about a person."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DROPPED = "[dropped]"
TEXT_CHARACTERS_MAX = 300
ITEMS_MAX = 20

# Names of things, codes and states: short, without spaces, never a number that could be somebody's.
NAMES = frozenset({
    "address", "attempt", "batch", "certificate", "class", "code", "component", "constraint", "dataset", "destination",
    "digest", "edition", "end", "error", "field", "from", "ids", "institution", "kind", "logger",
    "method", "migration", "mode", "name", "names", "part", "phase", "point", "port", "query", "receipt", "regulator",
    "role", "route", "rule", "schema", "severity", "signal", "sqlstate", "state", "states", "status", "step", "table",
    "to", "trigger", "verdict", "version", "worker",
})  # fmt: skip
# Counts, measures, instants and internal numbers.
NUMBERS = frozenset({
    "accepted", "arrived", "at", "attempts", "batches", "bytes", "chunk", "collected", "count", "cut_off", "depth",
    "due_at", "expires_at", "failed", "failures", "files", "findings", "first", "held", "images", "last", "line",
    "missing", "pid", "pids", "rejected", "released", "repeated", "row_id", "row_ids", "rows", "rows_per_second",
    "seconds", "sequence", "settled", "share", "since", "staged", "started_at", "submitted", "total",
    "until", "warned", "workers",
})  # fmt: skip
# Sentences of our own errors, which hold no value, and where in the code something happened.
SENTENCES = frozenset({"causes", "frames", "message", "path", "remedy", "what"})

_NAME = re.compile(r"[A-Za-z0-9_.:/@+\[\]<>()*,=-]*")
# Eleven digits are a telephone number, fifteen or eighteen an identity; a longer name with letters is neither.
_PERSONAL_NUMBER = re.compile(r"(?<![0-9A-Za-z])(?:\d{11}|\d{15}|\d{17}[0-9Xx])(?![0-9A-Za-z])")
_MAY_LOOK_PERSONAL = frozenset({"digest", "institution", "batch", "receipt"})  # identifiers of ours and of institutions
_EVENT = re.compile(r"[a-z_]+:[a-z_]+:[a-z_]+")


def cleaned(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log entry in which every key and value that is not known to be harmless says `[dropped]`."""
    return {key: _cleaned_value(key, value) for key, value in entry.items()}


def is_event(name: object) -> bool:
    """Tell whether this is a fixed event name: `area:subject:action`."""
    return isinstance(name, str) and _EVENT.fullmatch(name) is not None


def _cleaned_value(key: str, value: object) -> object:
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned_value(key, item) for item in list(value)[:ITEMS_MAX]]
    if isinstance(value, dict):
        return cleaned(value) if key in SENTENCES else DROPPED
    plain = value.value if isinstance(value, Enum) else value
    if plain is None or isinstance(plain, bool):
        return plain
    for keys, clean in _CLEANERS:
        if key in keys:
            return clean(key, plain)
    return DROPPED


def _number(_key: str, value: object) -> object:
    if isinstance(value, int | float):
        return value
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return DROPPED


def _name(key: str, value: object) -> object:
    if isinstance(value, int | float):
        return value
    text = str(value) if isinstance(value, str | UUID) else DROPPED
    if len(text) > TEXT_CHARACTERS_MAX or _NAME.fullmatch(text) is None:
        return DROPPED
    if key not in _MAY_LOOK_PERSONAL and _PERSONAL_NUMBER.search(text):
        return DROPPED
    return text


def _sentence(_key: str, value: object) -> object:
    return str(value)[:TEXT_CHARACTERS_MAX] if isinstance(value, str | Path) else DROPPED


_CLEANERS: tuple[tuple[frozenset[str], Callable[[str, object], object]], ...] = (
    (NUMBERS, _number),
    (NAMES, _name),
    (SENTENCES, _sentence),
)
