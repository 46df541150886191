"""The keys by which a regulator proves itself: made here, told to it once, kept in one secret file."""

from __future__ import annotations

import secrets
import string
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import orjson

from qianzhi.errors import ConfigurationError
from qianzhi.runtime import clock
from qianzhi.runtime.files import write_durably

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ALPHABET: Final = string.ascii_letters + string.digits
KEYS_MAX: Final = 4
"""Kept at once: the one in use, and those that overlap with it."""

LOOK_SECONDS: Final = 1.0
"""How long a rotated key may go unnoticed by a process that answers."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key; the newest has no end."""

    key: str
    made_at: datetime
    ends_at: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Tell whether it still counts."""
        return self.ends_at is None or now < self.ends_at


def read_keys(file: Path) -> list[Key]:
    """Return every key on file, the newest last; none where there is no file. ConfigurationError: it is damaged."""
    try:
        told = orjson.loads(file.read_bytes())
        return [Key(each["key"], _instant(each["made_at"]), _instant_or_none(each["ends_at"])) for each in told]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"The keys in {file} cannot be read.",
            remedy="Restore the file, or remove it and tell the regulator a new key.",
        ) from error


def ensure_key(file: Path, characters: int, now: datetime) -> Key:
    """Return the key in use; make the first one."""
    keys = read_keys(file)
    return keys[-1] if keys else rotate(file, characters, now, overlap=timedelta())


def rotate(file: Path, characters: int, now: datetime, *, overlap: timedelta) -> Key:
    """Make a new key; the one before it counts for `overlap` from now, and earlier ones no longer than they would."""
    ends_at = now + overlap
    before = [
        Key(each.key, each.made_at, min(each.ends_at or ends_at, ends_at))
        for each in read_keys(file)
        if each.is_valid(now)
    ]
    made = Key("".join(secrets.choice(ALPHABET) for _ in range(characters)), now)
    _write(file, [*before[-(KEYS_MAX - 1) :], made])
    return made


class KeyRing:
    """The valid keys of a file that may be rotated while this process answers."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._keys = read_keys(file)
        self._looked = clock.monotonic()

    def valid(self, now: datetime) -> Sequence[str]:
        """Return the keys that count now; a file that cannot be read leaves those that were known."""
        if clock.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = clock.monotonic()
            with suppress(ConfigurationError):
                self._keys = read_keys(self._file)
        return [each.key for each in self._keys if each.is_valid(now)]


def _write(file: Path, keys: Sequence[Key]) -> None:
    said = [{"key": each.key, "made_at": each.made_at, "ends_at": each.ends_at} for each in keys]
    write_durably(file, orjson.dumps(said))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _instant_or_none(text: str | None) -> datetime | None:
    return None if text is None else _instant(text)
