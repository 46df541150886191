"""
Words in two languages: the code says Chinese, catalogues say English.

`_("失败记录")` gives the text in the visitor's language; `mark("失败记录")` marks a text that is translated where it is
shown. Each part ships its English as `locale/en/<part>.po` beside its code (`qianzhi/<package>/locale/en/`): every such
file of the product is read at first use and merged, so that two parts never edit one file. A text that no catalogue
has is shown as it is; a test finds it first. Placeholders are named: `_("共 {count} 条").format(count=3)`.

Errors are English in the code. Their Chinese stands in `locale/zh/<part>.po`, with the English as msgid and a name for
each value that the code puts in: `There is no account {name}.` `told` recognises such a text by what stands around its
values, since many an error comes as a text only: from the ledger, from the hub, out of another error. A value whose
name begins with an underscore is a text of its own, or several parted by "; ", and translated too: `… ({_why}).`
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from functools import cache
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING, Final

from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable

PRODUCT: Final = "qianzhi"
RECOGNISED_CHARACTERS_MAX: Final = 4_000  # of a text; a longer one is no sentence of ours
CLAUSES_DEEP_MAX: Final = 5  # a text within a text, and so on
_VALUE: Final = re.compile(r"\{(\w+)\}")
_LIST: Final = "; "


class Language(StrEnum):
    """The languages of the console."""

    ZH = "zh"
    EN = "en"

    @property
    def tag(self) -> str:
        """As browsers name it."""
        return {"zh": "zh-CN", "en": "en-US"}[self.value]


_chosen: ContextVar[Language] = ContextVar("language", default=Language.ZH)


def _(message: str) -> str:
    """Return a text in the language of the visitor that is served now."""
    return translations(language()).get(message, message)


def told(message: str, wanted: Language | None = None) -> str:
    """Return what an error says in a language: that of the visitor, unless another is wanted."""
    return _told(message, wanted or language(), CLAUSES_DEEP_MAX)


def mark(message: str) -> str:
    """Mark a text that is translated later, where it is shown."""
    return message


def language() -> Language:
    """Return the language of the visitor that is served now."""
    return _chosen.get()


@contextmanager
def speaking(wanted: Language) -> Iterator[None]:
    """Let every text within be in a language."""
    token = _chosen.set(wanted)
    try:
        yield
    finally:
        _chosen.reset(token)


def speak(wanted: Language) -> None:
    """Let every later text of this task be in a language."""
    _chosen.set(wanted)


@cache
def translations(wanted: Language) -> Mapping[str, str]:
    """Return what texts are in a language, of all parts."""
    return {message: text for file in catalogues(wanted) for message, text in entries(file, wanted).items()}


def catalogues(wanted: Language) -> list[Traversable]:
    """Return the catalogues of all parts for a language, in order."""
    found: list[Traversable] = []
    for package in sorted(resources.files(PRODUCT).iterdir(), key=lambda each: each.name):
        folder = package.joinpath("locale", wanted.value)
        if package.is_dir() and folder.is_dir():
            found += sorted(
                (file for file in folder.iterdir() if file.name.endswith(".po")), key=lambda file: file.name
            )
    return found


def entries(file: Traversable, wanted: Language) -> dict[str, str]:
    """Read one catalogue: text to translation; what has none yet is left out."""
    catalogue = read_po(BytesIO(file.read_bytes()), locale=wanted.value, abort_invalid=True)
    return {str(each.id): str(each.string) for each in catalogue if each.id and each.string}


def _told(message: str, wanted: Language, deep: int) -> str:
    known = translations(wanted).get(message)
    if known is not None or wanted is Language.EN or len(message) > RECOGNISED_CHARACTERS_MAX or not deep:
        return known or message
    for text, translation in _with_values(wanted):
        if (values := _values(text, message)) is not None:
            return _filled(translation, values, wanted, deep - 1)
    return message


@cache
def _with_values(wanted: Language) -> list[tuple[list[str], str]]:
    """Return the texts with values, split at these, and their translations; what says most by itself comes first."""
    texts = [text for text in translations(wanted) if _VALUE.search(text)]
    texts.sort(key=lambda text: len(_VALUE.sub("", text)), reverse=True)
    return [(_VALUE.split(text), translations(wanted)[text]) for text in texts]


def _values(text: list[str], message: str) -> dict[str, str] | None:
    """
    Return the values with which a text (what it says, a name, what it says, …) is a message; None where it is another.

    Each value ends where what follows it comes first; the last, at the end. So no message takes long, whoever made it.
    """
    if not (message.startswith(text[0]) and message.endswith(text[-1])):
        return None
    found: dict[str, str] = {}
    at = len(text[0])
    for place in range(1, len(text), 2):
        name, follows = text[place], text[place + 1]
        is_last = place + 2 == len(text)
        end = len(message) - len(follows) if is_last else message.find(follows, at)
        if end < at or found.setdefault(name, message[at:end]) != message[at:end]:
            return None
        at = end + len(follows)
    return found


def _filled(translation: str, values: Mapping[str, str], wanted: Language, deep: int) -> str:
    """Return a translation with its values: verbatim, but those that are texts themselves."""

    def value(place: re.Match[str]) -> str:
        name = place[1]
        return _clause(values[name], wanted, deep) if name.startswith("_") else values[name]

    return _VALUE.sub(value, translation)


def _clause(text: str, wanted: Language, deep: int) -> str:
    """Return a text within a text; of several, one after the other."""
    parts = text.split(_LIST)
    if len(parts) > 1 and text not in translations(wanted):
        each = [_told(part, wanted, deep) for part in parts]
        if all(said != part for said, part in zip(each, parts, strict=True)):
            return "；".join(each)
    return _told(text, wanted, deep)
