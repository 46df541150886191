"""One table of a TOML file, read key by key; whatever is not as agreed is refused with file, place and remedy."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Self, TypeVar, cast

from qianzhi.errors import SpecError
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum
    from types import TracebackType

_Choice = TypeVar("_Choice", bound="StrEnum")
_Kind = TypeVar("_Kind")


class Entry:
    """
    A table of a TOML file and where it stands.

    Used in a `with` block, it refuses at its end every key that was not read.
    """

    def __init__(self, values: Mapping[str, object], file: str, place: str = "") -> None:
        self.file = file
        self.place = place
        self._values = values
        self._read: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            return
        if unknown := sorted(self._values.keys() - self._read):
            known = ", ".join(sorted(self._read))
            raise self.refused(f"the key {unknown[0]!r} is unknown", f"Remove it, or spell it as one of {known}.")

    def refused(self, problem: str, remedy: str) -> SpecError:
        """Return the error that names this table, to be raised."""
        return refused(self.file, self.place, problem, remedy)

    def has(self, key: str) -> bool:
        """Return whether the table holds `key`."""
        self._read.add(key)
        return key in self._values

    def text(self, key: str) -> str:
        """Return a required text that is not blank."""
        value = self._typed(key, str, "a text")
        if not value.strip():
            raise self.refused(f"{key!r} is blank", "Write what it should say.")
        return value

    def text_or(self, key: str, default: str) -> str:
        """Return a text, which may be blank, or `default` where the key is absent."""
        return self._typed(key, str, "a text") if self.has(key) else default

    def optional(self, key: str) -> str | None:
        """Return a text that is not blank, or None where the key is absent."""
        return self.text(key) if self.has(key) else None

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """Return true or false; the key is required unless there is a `default`."""
        if default is not None and not self.has(key):
            return default
        return self._typed(key, bool, "true or false")

    def whole(self, key: str, *, least: int) -> int:
        """Return a required whole number that is not under `least`."""
        value = self._typed(key, int, "a whole number")
        if value < least:
            raise self.refused(f"{key!r} is {value}", f"Give a whole number of at least {least}.")
        return value

    def share(self, key: str) -> float:
        """Return a required number above 0 and up to 1."""
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise self.refused(f"{key!r} is no share", "Give a number above 0 and up to 1.")
        return float(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a required list of texts: none blank, none twice, at least one."""
        return self._texts(key, self._value(key))

    def texts_or_none(self, key: str) -> tuple[str, ...]:
        """Return a list as `texts` does, or an empty one where the key is absent or the list is empty."""
        return self.texts(key) if self.has(key) and self._value(key) != [] else ()

    def groups(self, key: str) -> tuple[tuple[str, ...], ...]:
        """Return a list of lists of texts; empty where the key is absent."""
        if not self.has(key):
            return ()
        return tuple(self._texts(key, group) for group in self._typed(key, list, "a list of lists"))

    def choice(self, key: str, choices: type[_Choice]) -> _Choice:
        """Return a required member of `choices`."""
        value = self.text(key)
        try:
            return choices(value)
        except ValueError:
            known = ", ".join(choices)
            raise self.refused(f"{key!r} is {value!r}", f"Write one of {known}.") from None

    def sentence(self, key: str) -> Text:
        """Return a required sentence `{ zh = …, en = … }`; one of the two may be blank until it is translated."""
        with self.table(key) as entry:
            sentence = Text(zh=entry.text_or("zh", ""), en=entry.text_or("en", ""))
            if not (sentence.zh.strip() or sentence.en.strip()):
                raise entry.refused("both languages are blank", "Write it in zh and en.")
            return sentence

    def mapping(self, key: str) -> dict[str, str]:
        """Return a required table of texts, in its order; at least one."""
        values = self._typed(key, dict, "a table")
        if not values or not all(isinstance(value, str) for value in values.values()):
            raise self.refused(f"{key!r} is not a table of texts", 'Write it as { NAME = "TEXT" }.')
        return cast("dict[str, str]", dict(values))

    def table(self, key: str) -> Entry:
        """Return a required table."""
        return Entry(self._typed(key, dict, "a table"), self.file, _inside(self.place, key))

    def tables(self, key: str, *, called: str) -> list[Entry]:
        """Return a list of tables, each placed by its number and what its key `called` says; empty where absent."""
        if not self.has(key):
            return []
        found: list[Entry] = []
        for number, values in enumerate(self._typed(key, list, "a list of tables"), start=1):
            if not isinstance(values, dict):
                raise self.refused(f"{key!r} number {number} is not a table", "Write it as { key = value }.")
            label = values.get(called)
            name = f" ({label})" if isinstance(label, str) else ""
            found.append(Entry(values, self.file, _inside(self.place, f"{key}[{number}]{name}")))
        return found

    def _value(self, key: str) -> object:
        if not self.has(key):
            extra = sorted(self._values.keys() - self._read)
            also = f" Not known here: {', '.join(extra)}." if extra else ""
            raise self.refused(f"the key {key!r} is missing", f"Add it.{also}")
        return self._values[key]

    def _typed(self, key: str, kind: type[_Kind], meant: str) -> _Kind:
        value = self._value(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.refused(f"{key!r} is not {meant}", f"Write {meant}.")
        return value

    def _texts(self, key: str, values: object) -> tuple[str, ...]:
        if not isinstance(values, list) or not values:
            raise self.refused(f"{key!r} is not a list of texts", "List at least one text.")
        if not all(isinstance(value, str) and value.strip() for value in values):
            raise self.refused(f"{key!r} holds something else than texts", "Write each as a text that is not blank.")
        if len(set(values)) < len(values):
            raise self.refused(f"{key!r} says one thing twice", "Keep each text once.")
        return tuple(values)


def parse_toml(content: bytes, file: str) -> Entry:
    """Return the outermost table of a TOML file."""
    try:
        return Entry(tomllib.loads(content.decode("utf-8")), file)
    except UnicodeDecodeError:
        raise refused(file, "", "it is not UTF-8", "Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise refused(file, "", f"it is not TOML: {error}", "Correct the place named.") from None


def refused(file: str, place: str, problem: str, remedy: str) -> SpecError:
    """Return the error that names file, place, problem and remedy, to be raised."""
    where = f"{file}, {place}" if place else file
    return SpecError(f"{where}: {problem}.", remedy=remedy)


def _inside(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
