"""What a regulator asks for, as values: regulator, dataset, field, code system, reference, rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import time

    from qianzhi.specs.formats import Format


class Status(StrEnum):
    """Whether a fact stands in a source or is our proposal until the official text is at hand."""

    FOUND = "found"
    PROPOSED = "proposed"


class RuleKind(StrEnum):
    """What a rule must see to give its verdict, hence which end can evaluate it."""

    ROW = "row"  # one row
    BATCH = "batch"  # the rows that are sent together
    STATE = "state"  # what is already held
    SENDER = "sender"  # who sends, and what lies on the sender's machine


class Severity(StrEnum):
    """What a finding does to its record."""

    ERROR = "error"  # the record is rejected
    WARNING = "warning"  # the record goes its way; people are told


class ErrorClass(StrEnum):
    """The classes of the regulator's feedback page (specs/internet-hospital.md, 7.7)."""

    MISSING = "E01"
    LENGTH = "E02"
    FORMAT = "E03"
    DOMAIN = "E04"
    CHECK_DIGIT = "E05"
    INTEGRITY = "E06"
    DUPLICATE = "E07"
    FILE = "E08"
    INSTITUTION = "E09"
    TIME = "E10"
    BUSINESS = "E11"
    NAME = "E12"


@dataclass(frozen=True, slots=True)
class Text:
    """A sentence in the two languages of the product."""

    zh: str
    en: str

    def said(self, language: str) -> str:
        """Return it in one of them: "zh" or "en"."""
        return {"zh": self.zh, "en": self.en}[language]


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a dataset, spelt as the regulator spells it."""

    name: str
    title: str
    format: Format
    status: Status
    required: bool = False
    codes: str | None = None  # key of a code system
    personal: bool = False  # names a person or says something about one: never in a log
    image: bool = False  # holds the path of an image on the gateway
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Fields of a child that repeat a group of its parent's `shared` fields and should say the same."""

    code: str
    fields: tuple[str, ...]  # of the child, in the order of the parent's group
    group: int  # which of the parent's shared groups
    title: str
    error_class: ErrorClass
    severity: Severity
    status: Status
    source: str
    remedy: Text


@dataclass(frozen=True, slots=True)
class Reference:
    """
    A row that must already be accepted for this one to make sense.

    `on` maps this dataset's fields to the key of `to`.
    A row where any of them is empty, or where `unless` holds, refers to nothing.
    """

    code: str
    to: str
    on: Mapping[str, str]
    title: str
    severity: Severity
    status: Status
    source: str
    remedy: Text
    unless: str | None = None
    repeats: tuple[Repeat, ...] = ()

    @property
    def blamed(self) -> str:
        """The field that a finding of this reference names: the most specific one."""
        return list(self.on)[-1]


@dataclass(frozen=True, slots=True)
class Rule:
    """A sentence that must hold for a row; `check` is a SQL boolean where NULL passes."""

    code: str
    kind: RuleKind
    title: Text
    check: str
    field: str  # the field that a finding names
    remedy: Text
    severity: Severity
    error_class: ErrorClass
    status: Status
    source: str


@dataclass(frozen=True, slots=True)
class Change:
    """Which field says what happened to a record, and its three values."""

    field: str
    new: str
    modify: str
    revoke: str


@dataclass(frozen=True, slots=True)
class Resource:
    """
    What is said of a dataset that no hospital system holds, so that people keep its records by form and workbook.

    `filled_at` names the field that tells when a row was filled in, where there is one.
    """

    filled_at: str | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """One table that a regulator asks for."""

    name: str
    title: str
    source: str
    obliged: bool  # the regulator's 是否必须提供
    key: tuple[str, ...]
    institution: str  # the field that carries the institution's identity
    change: Change
    occurred_at: str
    fields: tuple[Field, ...]
    shared: tuple[tuple[str, ...], ...] = ()  # groups of fields that children repeat
    references: tuple[Reference, ...] = ()
    rules: tuple[Rule, ...] = ()
    resource: Resource | None = None

    @property
    def image_fields(self) -> tuple[Field, ...]:
        """The fields that name an image by its path."""
        return tuple(field for field in self.fields if field.image)

    def field(self, name: str) -> Field:
        """Return the field called `name`; KeyError when the dataset has none."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """
    A value domain: the codes a field may hold, with their names.

    A large domain has a `check` macro instead of codes (ICD-10, areas, countries).
    `loose` says which differences in spelling are not held against a sender.
    """

    key: str
    title: str
    source: str
    status: Status
    codes: Mapping[str, str] = field(default_factory=dict)
    check: str | None = None
    loose: frozenset[str] = frozenset()  # "leading-zero", "dots"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When hospitals stop pushing and when the cycle begins, in the regulator's local time."""

    cut_off: time
    cycle: time


@dataclass(frozen=True, slots=True)
class Criteria:
    """What acceptance asks for: days in a row, rows per dataset and day, share of rows accepted."""

    days: int
    rows_per_dataset: int
    accepted_share: float


@dataclass(frozen=True, slots=True)
class Regulator:
    """One regulator's edition: everything that its folder says, as values."""

    key: str
    name: Text
    edition: str
    sources: tuple[str, ...]
    sender: str  # the database account by which hospital systems fill the staging tables
    schedule: Schedule
    criteria: Criteria
    capabilities: frozenset[str]
    datasets: tuple[Dataset, ...]  # parents before the datasets that refer to them
    codes: Mapping[str, CodeSystem]
    replies: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""  # SHA-256 over every file of the folder: the rule-set digest

    def dataset(self, name: str) -> Dataset:
        """Return the dataset called `name`; KeyError when the regulator has none."""
        for candidate in self.datasets:
            if candidate.name == name:
                return candidate
        raise KeyError(name)
