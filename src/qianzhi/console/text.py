"""
Words in two languages: the code says Chinese, catalogues say English.

`_("失败记录")` gives the text in the visitor's language; `mark("失败记录")` marks a text that is translated where it is
shown. Each part ships its English as `locale/en/<part>.po` beside its code (`qianzhi/<package>/locale/en/`): every such
file of the product is read at first use and merged, so that two parts never edit one file. Errors are English in the
code; what people shall read of them in Chinese stands in `locale/zh/<part>.po`, with the English as msgid. A text that
no catalogue has is shown as it is; a test finds it first. Placeholders are named: `_("共 {count} 条").format(count=3)`.
"""

from __future__ import annotations

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
