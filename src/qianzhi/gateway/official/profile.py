"""The profile of an official console: what its exports call things. A data file of the regulator, or of the site."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from qianzhi import regulators
from qianzhi.errors import ConfigurationError
from qianzhi.specs.entry import parse_toml
from qianzhi.specs.model import ErrorClass, Status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qianzhi.specs.entry import Entry
    from qianzhi.specs.model import Dataset, Regulator

PROFILE_FILE: Final = "front_machine.toml"


class Meaning(StrEnum):
    """What a column of an export says."""

    DATASET = "dataset"
    TOLD_AT = "told_at"
    TOLD_ON = "told_on"
    TOLD_BY = "told_by"
    VERDICT = "verdict"
    REASON = "reason"
    CODE = "code"
    FIELD = "field"
    VALUE = "value"
    REMOTE_ID = "remote_id"


@dataclass(frozen=True, slots=True)
class Profile:
    """Words of a console, each plain (see `plain`), and what they mean."""

    columns: Mapping[str, Meaning]
    verdicts: Mapping[str, bool]  # whether the word says accepted
    fields: Mapping[str, str]  # further headings of fields
    datasets: Mapping[str, str]  # name by name, title and further words
    classes: tuple[tuple[str, ErrorClass], ...]  # parts of reasons
    filled_at: str | None  # the field that says when a row was filled in: one that is inserted again says another time

    def class_of(self, code: str, reason: str) -> ErrorClass:
        """Return the class that a code says, or a reason speaks of."""
        if code in set(ErrorClass):
            return ErrorClass(code)
        return next((kind for part, kind in self.classes if part in reason), ErrorClass.BUSINESS)

    def headings_of(self, dataset: Dataset) -> dict[str, str]:
        """Return the fields of a dataset by what a heading may call them: name, title, or a word of the profile."""
        known = {field.name for field in dataset.fields}
        more = {word: name for word, name in self.fields.items() if name in known}
        titles = {plain(field.title): field.name for field in dataset.fields}
        return {**more, **titles, **{plain(field.name): field.name for field in dataset.fields}}


def plain(text: str) -> str:
    """Return a heading or a word without blanks, in one width and one case."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def load(regulator: Regulator, file: Path | None) -> Profile:
    """
    Return the profile that the site names, or the one that comes with the regulator.

    Raises ConfigurationError where there is none, SpecError where it is wrong.
    """
    source = file or regulators.folder(regulator.key) / PROFILE_FILE
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The profile of the official console cannot be read: {error.strerror or type(error).__name__}.",
            remedy=f"Name a file like the {PROFILE_FILE} of Guangdong as machine.results_profile in qianzhi.toml.",
        ) from error
    return parse(content, regulator, name=str(file) if file else PROFILE_FILE)


def parse(content: bytes, regulator: Regulator, *, name: str) -> Profile:
    """Parse a profile. Raises SpecError with file, place and remedy for anything that is not as agreed."""
    with parse_toml(content, name) as top:
        top.choice("status", Status)
        top.text("source")
        filled_at = top.optional("filled_at")
        with top.table("columns") as columns:
            meanings = {plain(word): each for each in Meaning for word in columns.texts_or_none(each.value)}
        with top.table("words") as words:
            verdicts = dict.fromkeys(map(plain, words.texts("accepted")), True)
            verdicts |= dict.fromkeys(map(plain, words.texts("failed")), False)
        datasets = {plain(word): each.name for each in regulator.datasets for word in (each.title, each.name)}
        fields = sorted({field.name for dataset in regulator.datasets for field in dataset.fields})
        classes = _words(top, "classes", [each.value for each in ErrorClass])
        return Profile(
            columns=meanings,
            verdicts=verdicts,
            fields=_by_word(_words(top, "fields", fields)),
            datasets=_by_word(_words(top, "datasets", [each.name for each in regulator.datasets])) | datasets,
            classes=tuple((part, ErrorClass(kind)) for kind, parts in classes.items() for part in parts),
            filled_at=filled_at,
        )


def _words(top: Entry, key: str, known: list[str]) -> dict[str, tuple[str, ...]]:
    if not top.has(key):
        return {}
    with top.table(key) as table:
        return {name: table.texts_or_none(name) for name in known}


def _by_word(words: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {plain(word): name for name, said in words.items() for word in said}
