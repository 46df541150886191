"""A diagnosis: one thing looked at, how it is, and what to do, in the two languages of the product."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from qianzhi.errors import QianzhiError
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

NOTHING = Text("", "")


class Health(StrEnum):
    """How a thing is."""

    WELL = "well"
    NOTE = "note"  # works, but somebody should know
    ILL = "ill"  # must be put right


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing looked at; `name` is the same in both languages."""

    name: str
    health: Health
    what: Text
    remedy: Text = NOTHING

    def as_json(self, language: str = "zh") -> dict[str, str]:
        """Return the public form in a language."""
        return {
            "name": self.name,
            "health": self.health.value,
            "what": getattr(self.what, language),
            "remedy": getattr(self.remedy, language),
        }


def well(name: str, zh: str, en: str) -> Diagnosis:
    """Return that a thing is as it should be."""
    return Diagnosis(name, Health.WELL, Text(zh, en))


def note(name: str, what: Text, remedy: Text) -> Diagnosis:
    """Return that a thing works, but somebody should know."""
    return Diagnosis(name, Health.NOTE, what, remedy)


def ill(name: str, what: Text, remedy: Text) -> Diagnosis:
    """Return that a thing must be put right."""
    return Diagnosis(name, Health.ILL, what, remedy)


def guarded(name: str, look: Callable[[], Diagnosis | Iterable[Diagnosis]]) -> Iterator[Diagnosis]:
    """Yield what a look finds; where it cannot even look, that is what is ill. Our own errors are told in English."""
    try:
        found = look()
        yield from [found] if isinstance(found, Diagnosis) else found
    except QianzhiError as error:
        what = Text(f"无法检查：{error.what}", error.what)
        yield ill(name, what, Text(error.remedy, error.remedy))
