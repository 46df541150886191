"""What a regulator wants on paper: documents that are handed in, and forms that are filled in. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from qianzhi.specs.entry import parse_toml, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.specs.entry import Entry
    from qianzhi.specs.model import Text

DOCUMENTS_FILE: Final = "documents.toml"
FORMS_FILE: Final = "forms.toml"

_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Kind(StrEnum):
    """The kinds of files that a document may be."""

    PDF = "pdf"
    PNG = "png"
    JPEG = "jpeg"
    DOCX = "docx"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class Document:
    """A document that an institution hands in."""

    key: str
    title: Text
    source: str
    accepts: tuple[Kind, ...]
    required: bool
    valid_months: int | None = None  # after its date; None: until it is replaced
    parts: tuple[str, ...] = ()  # papers that are handed in as this one file, in their order
    note: Text | None = None

    @property
    def yearly(self) -> bool:
        """Whether it must be handed in again and again."""
        return self.valid_months is not None


@dataclass(frozen=True, slots=True)
class Item:
    """
    One line of a form: filled in from a fact of this installation where it names one, else from an answer.

    `of` says more of the fact: ports to look at, dataset and field of a record. A secret is printed only when asked
    for.
    """

    key: str
    label: Text
    fact: str | None = None
    of: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """A form; a stamp and a day are added where `stamped` says whose. The heading may name items: `{institution}`."""

    key: str
    title: Text
    heading: str
    source: str
    items: tuple[Item, ...]
    stamped: str = ""


@dataclass(frozen=True, slots=True)
class Paperwork:
    """All that one regulator wants on paper."""

    documents: tuple[Document, ...]
    forms: tuple[Form, ...] = ()

    def document(self, key: str) -> Document:
        """Return a document; KeyError when the regulator asks for none of this key."""
        return {each.key: each for each in self.documents}[key]

    def form(self, key: str) -> Form:
        """Return a form; KeyError when the regulator has none of this key."""
        return {each.key: each for each in self.forms}[key]


def parse_paperwork(files: Mapping[str, bytes]) -> Paperwork:
    """Parse documents.toml and forms.toml, the latter optional. SpecError: file, place and remedy of what is wrong."""
    if DOCUMENTS_FILE not in files:
        raise refused(DOCUMENTS_FILE, "", "it is missing", "Add it, or take 'documents' from the capabilities.")
    with parse_toml(files[DOCUMENTS_FILE], DOCUMENTS_FILE) as root:
        documents = tuple(_document(entry) for entry in root.tables("documents", called="key"))
        _refuse_twice(root, [each.key for each in documents])
    if FORMS_FILE not in files:
        return Paperwork(documents)
    with parse_toml(files[FORMS_FILE], FORMS_FILE) as root:
        forms = tuple(_form(entry) for entry in root.tables("forms", called="key"))
        _refuse_twice(root, [each.key for each in forms])
    return Paperwork(documents, forms)


def _document(entry: Entry) -> Document:
    with entry:
        return Document(
            key=_key(entry),
            title=entry.sentence("title"),
            source=entry.text("source"),
            accepts=_kinds(entry),
            required=entry.flag("required", default=True),
            valid_months=entry.whole("valid_months", least=1) if entry.has("valid_months") else None,
            parts=entry.texts_or_none("parts"),
            note=entry.sentence("note") if entry.has("note") else None,
        )


def _kinds(entry: Entry) -> tuple[Kind, ...]:
    said = entry.texts("accepts")
    if unknown := sorted(set(said) - set(Kind)):
        raise entry.refused(f"the kind {unknown[0]!r} is unknown", f"Write one of {', '.join(Kind)}.")
    return tuple(map(Kind, said))


def _form(entry: Entry) -> Form:
    with entry:
        items = tuple(_item(each) for each in entry.tables("items", called="key"))
        _refuse_twice(entry, [each.key for each in items])
        return Form(
            key=_key(entry),
            title=entry.sentence("title"),
            heading=entry.text("heading"),
            source=entry.text("source"),
            items=items,
            stamped=entry.text_or("stamped", ""),
        )


def _item(entry: Entry) -> Item:
    with entry:
        return Item(
            key=_key(entry),
            label=entry.sentence("label"),
            fact=entry.optional("fact"),
            of=entry.texts_or_none("of"),
            choices=entry.texts_or_none("choices"),
            secret=entry.flag("secret", default=False),
        )


def _key(entry: Entry) -> str:
    key = entry.text("key")
    if not _KEY.fullmatch(key):
        raise entry.refused(f"the key {key!r} is not one", "Write small letters, digits and underscores.")
    return key


def _refuse_twice(entry: Entry, keys: list[str]) -> None:
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise entry.refused(f"the key {twice[0]!r} comes twice", "Give each its own key.")
