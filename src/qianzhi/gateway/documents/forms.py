"""A regulator's forms, filled in from facts and answers, as a page to print and stamp or as a workbook. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from qianzhi.errors import ConfigurationError
from qianzhi.runtime import printing, workbooks
from qianzhi.runtime.workbooks import Column, Sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qianzhi.specs.paperwork import Form, Item

ANSWER_CHARACTERS_MAX: Final = 2000
WITHHELD: Final = "（另行告知）"
"""Stands where a secret is not printed."""

_NAMED: Final = re.compile(r"\{([a-z0-9_]+)\}")
_BLANK: Final = "____________"  # to be written by hand


class FormFile(StrEnum):
    """What a form is made as."""

    HTML = "html"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class Filled:
    """A form with what stands in it."""

    form: Form
    values: Mapping[str, str]  # by the item's key; blank for what nobody said
    revealed: tuple[str, ...] = ()  # the keys of this installation's secrets that stand in it

    @property
    def missing(self) -> tuple[str, ...]:
        """The keys of the items that are still blank."""
        return tuple(item.key for item in self.form.items if not self.values[item.key])

    @property
    def heading(self) -> str:
        """The heading with the items that it names."""
        return _NAMED.sub(lambda found: self.values.get(found[1]) or _BLANK, self.form.heading)


def fill(
    form: Form, facts: Mapping[str, Callable[[Item], str]], answers: Mapping[str, str], *, with_secrets: bool = False
) -> Filled:
    """
    Fill a form in; an answer goes over a fact.

    A secret that nobody answered is printed only `with_secrets`. ConfigurationError: an answer to no item of the form,
    too long, or none of its choices; a fact that nobody knows.
    """
    known = {item.key: item for item in form.items}
    for key, answer in answers.items():
        _refuse_unfit(known, key, answer)
    values = {item.key: _value(item, facts, answers, with_secrets=with_secrets) for item in form.items}
    ours = [item.key for item in form.items if item.secret and item.fact and not answers.get(item.key, "").strip()]
    return Filled(form, values, tuple(ours) if with_secrets else ())


def make(filled: Filled, kind: FormFile) -> bytes:
    """Return the form as a file."""
    return _html(filled) if kind is FormFile.HTML else _xlsx(filled)


def _refuse_unfit(known: Mapping[str, Item], key: str, answer: str) -> None:
    if key not in known:
        raise ConfigurationError(f"The form has no item {key!r}.", remedy=f"Name one of: {', '.join(known)}.")
    if len(answer) > ANSWER_CHARACTERS_MAX:
        raise ConfigurationError(
            f"The answer to {key} is too long.", remedy=f"Keep it to {ANSWER_CHARACTERS_MAX} signs."
        )
    choices = known[key].choices
    if choices and answer and answer not in choices:
        raise ConfigurationError(
            f"The answer to {key} is none of its choices.", remedy=f"Say one: {'; '.join(choices)}."
        )


def _value(
    item: Item, facts: Mapping[str, Callable[[Item], str]], answers: Mapping[str, str], *, with_secrets: bool
) -> str:
    if answer := answers.get(item.key, "").strip():
        return answer
    if item.secret and not with_secrets:
        return WITHHELD
    if item.fact is None:
        return ""
    if item.fact not in facts:
        raise ConfigurationError(
            f"The form asks for the fact {item.fact!r}, which this release does not know.",
            remedy=f"Name one of: {', '.join(sorted(facts))}.",
        )
    return facts[item.fact](item)


def _html(filled: Filled) -> bytes:
    form = filled.form
    lines = [(item.label.zh, filled.values[item.key]) for item in form.items]
    return printing.html(printing.Page(filled.heading, lines, stamp=form.stamped))


def _xlsx(filled: Filled) -> bytes:
    rows = [(item.label.zh, filled.values[item.key], "、".join(item.choices)) for item in filled.form.items]
    columns = (Column("项目", 44), Column("填写内容", 60), Column("可选内容", 44))
    head = Sheet("说明", (Column("名称", 20), Column("内容", 60)), [("表名", filled.heading)])
    return workbooks.write([Sheet(filled.form.title.zh, columns, rows), head])
