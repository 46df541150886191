"""What people fill in of a dataset: its fields with label, control, hint and choices. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from qianzhi.specs.formats import ValueType
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from qianzhi.specs.formats import Format
    from qianzhi.specs.model import Dataset, Field, Regulator

CHOICES_MAX: Final = 1_000
"""A longer code system is typed and not chosen."""

LINE_CHARACTERS_MAX: Final = 100
"""A text that may be longer gets a box of several lines."""

INSTANT: Final = "%Y-%m-%d %H:%M:%S"
_SUGGESTED: Final = re.compile(r"in_codes\('([^']+)', (\w+)\)")
_FLAGS: Final = {"T": "是", "F": "否"}


class Control(StrEnum):
    """How a value is entered."""

    LINE = "line"
    PARAGRAPH = "paragraph"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    INSTANT = "instant"
    CHOICE = "choice"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Choice:
    """A code that may be chosen, with its name."""

    code: str
    name: str

    @property
    def label(self) -> str:
        """What stands in a list or a cell."""
        return f"{self.code} {self.name}".strip()


@dataclass(frozen=True)
class Input:
    """One field as people fill it in."""

    field: Field
    control: Control
    hint: Text
    choices: tuple[Choice, ...] = ()

    @property
    def name(self) -> str:
        """The field as the regulator spells it."""
        return self.field.name

    @property
    def heading(self) -> str:
        """What stands above its column: the Chinese title, then the name."""
        return f"{self.field.title}\n{self.field.name}"

    @property
    def required(self) -> bool:
        """Whether a record without it is rejected."""
        return self.field.required

    def shown(self, value: str | None) -> str:
        """Return a stored value as people read it: a code with its name."""
        return self._labels.get(value or "", value or "")

    def meant(self, text: str) -> str | None:
        """Return the value that a text stands for: of `code name`, or of a name that only one code has, the code."""
        told = text.strip()
        return self._codes.get(told, told) or None

    @cached_property
    def _labels(self) -> Mapping[str, str]:
        return {choice.code: choice.label for choice in self.choices}

    @cached_property
    def _codes(self) -> Mapping[str, str]:
        names = [choice.name for choice in self.choices]
        by_name = {choice.name: choice.code for choice in self.choices if names.count(choice.name) == 1}
        return {**by_name, **{choice.label: choice.code for choice in self.choices}}


@dataclass(frozen=True)
class Form:
    """
    What people fill in of a dataset, in the order of its fields.

    The rest is filled in by the product: the institution, the change, and the two times.
    """

    dataset: Dataset
    inputs: tuple[Input, ...]

    @property
    def title(self) -> str:
        """The dataset's Chinese title."""
        return self.dataset.title

    @property
    def key(self) -> tuple[str, ...]:
        """The fields that tell one record of this institution from another; none where there is only one."""
        return tuple(name for name in self.dataset.key if name != self.dataset.institution)

    def input(self, name: str) -> Input:
        """Return the input of a field; KeyError where people do not fill it in."""
        for candidate in self.inputs:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    def completed(
        self, values: Mapping[str, str | None], *, institution: str, change: str, at: datetime
    ) -> dict[str, str | None]:
        """Return the whole row: what people said, and what the product fills in. `at` is local time."""
        said: dict[str, str | None] = {each.name: (values.get(each.name) or "").strip() or None for each in self.inputs}
        dataset = self.dataset
        filled: dict[str, str | None] = {dataset.institution: institution, dataset.change.field: change}
        for name in (dataset.occurred_at, dataset.resource.filled_at if dataset.resource else None):
            if name is not None:
                on_day = dataset.field(name).format.type is ValueType.DATE
                filled[name] = at.date().isoformat() if on_day else at.strftime(INSTANT)
        return {field.name: {**said, **filled}.get(field.name) for field in dataset.fields}


def forms(regulator: Regulator) -> dict[str, Form]:
    """Return the form of every dataset that people keep, by name, parents first."""
    return {dataset.name: form_of(regulator, dataset) for dataset in regulator.datasets if dataset.resource is not None}


def form_of(regulator: Regulator, dataset: Dataset) -> Form:
    """Return the form of a dataset."""
    automatic = {dataset.institution, dataset.change.field, dataset.occurred_at}
    if dataset.resource is not None and dataset.resource.filled_at is not None:
        automatic.add(dataset.resource.filled_at)
    return Form(
        dataset, tuple(_input(regulator, dataset, field) for field in dataset.fields if field.name not in automatic)
    )


def _input(regulator: Regulator, dataset: Dataset, field: Field) -> Input:
    choices = _choices(regulator, dataset, field)
    return Input(field, _control(field, choices), _hint(field), choices)


def _choices(regulator: Regulator, dataset: Dataset, field: Field) -> tuple[Choice, ...]:
    if field.format.type is ValueType.FLAG:
        return tuple(Choice(code, name) for code, name in _FLAGS.items())
    system = regulator.codes.get(field.codes or _suggested(dataset, field) or "")
    if system is None or len(system.codes) > CHOICES_MAX:
        return ()
    return tuple(Choice(code, name) for code, name in system.codes.items())


def _suggested(dataset: Dataset, field: Field) -> str | None:
    """Return the code system that a rule of its own asks of a field without one."""
    for rule in dataset.rules:
        if (found := _SUGGESTED.fullmatch(rule.check)) and found[2] == field.name:
            return found[1]
    return None


def _control(field: Field, choices: tuple[Choice, ...]) -> Control:
    if field.image:
        return Control.IMAGE
    if choices:
        return Control.CHOICE
    longest = field.format.length_max
    is_long = longest is None or longest > LINE_CHARACTERS_MAX
    return _CONTROLS.get(field.format.type, Control.PARAGRAPH if is_long else Control.LINE)


def _hint(field: Field) -> Text:
    if field.image:
        return Text("图片", "an image")
    said = _HINTS.get(field.format.type) or _length(field.format)
    if not field.codes:
        return said
    return Text(
        "，".join(filter(None, (f"值域 {field.codes}", said.zh))), ", ".join(filter(None, (field.codes, said.en)))
    )


_CONTROLS: Final = {
    ValueType.INTEGER: Control.INTEGER,
    ValueType.DECIMAL: Control.DECIMAL,
    ValueType.DATE: Control.DATE,
    ValueType.DATETIME: Control.INSTANT,
}

_HINTS: Final = {
    ValueType.DATE: Text("日期 YYYY-MM-DD", "a date YYYY-MM-DD"),
    ValueType.DATETIME: Text("日期时间 YYYY-MM-DD HH:MM:SS", "a date and time YYYY-MM-DD HH:MM:SS"),
    ValueType.FLAG: Text("T 或 F", "T or F"),
}


def _length(form: Format) -> Text:
    most = form.length_max
    if most is None:
        return Text("", "")
    if form.type is ValueType.DECIMAL:
        whole = most - form.scale
        return Text(
            f"数值，整数至多 {whole} 位，小数至多 {form.scale} 位",
            f"a number, at most {whole} digits and {form.scale} decimals",
        )
    if form.type is ValueType.INTEGER:
        return Text(f"整数，至多 {most} 位", f"a whole number of at most {most} digits")
    if form.length_min:
        return Text(f"{most} 个字符", f"{most} characters")
    return Text(f"至多 {most} 个字符", f"at most {most} characters")
