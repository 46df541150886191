"""Remarks on a regulator's folder that is in order: what its author may still want to settle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.specs.formats import ValueType
from qianzhi.specs.model import RuleKind, Severity, Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.specs.model import Dataset, Field, Regulator, Text

_JUDGED_ALONE = frozenset({RuleKind.ROW, RuleKind.BATCH})


def lint(regulator: Regulator) -> list[str]:
    """Return every remark, each beginning with where it belongs, in the order of the folder."""
    remarks = list(_regulator(regulator))
    for dataset in regulator.datasets:
        remarks += [f"{dataset.name}: {remark}" for remark in _dataset(dataset)]
        for field in dataset.fields:
            remarks += [f"{dataset.name}.{field.name}: {remark}" for remark in _field(field, regulator)]
        remarks += [f"{dataset.name}: {remark}" for remark in (*_rules(dataset), *_references(dataset))]
    return remarks


def _regulator(regulator: Regulator) -> Iterator[str]:
    if not regulator.replies:
        yield "replies.toml: no reply code is known"
    used = {field.codes for dataset in regulator.datasets for field in dataset.fields}
    in_rules = [rule.check for dataset in regulator.datasets for rule in dataset.rules]
    for key, system in regulator.codes.items():
        if key not in used and not any(f"'{key}'" in check for check in in_rules):
            yield f"codes: the code system {key} is used by no field and no rule"
        if unnamed := [code for code, name in system.codes.items() if not name.strip()]:
            yield f"codes: the code system {key} has codes without a name: {', '.join(unnamed)}"


def _dataset(dataset: Dataset) -> Iterator[str]:
    proposed = sum(field.status is Status.PROPOSED for field in dataset.fields)
    if proposed:
        yield f"{proposed} of {len(dataset.fields)} fields are proposed ({proposed / len(dataset.fields):.0%})"
    if dataset.field(dataset.occurred_at).format.type not in {ValueType.DATE, ValueType.DATETIME}:
        yield f"occurred_at is {dataset.occurred_at}, which is neither a date nor a time"
    for name in (*dataset.key, dataset.institution, dataset.change.field, dataset.occurred_at):
        if not dataset.field(name).required:
            yield f"{name} tells the record, its institution, its change or its time, but is not required"


def _field(field: Field, regulator: Regulator) -> Iterator[str]:
    if field.status is Status.PROPOSED and not (field.source or field.note):
        yield "is proposed, without a source or a note"
    if field.required and field.status is Status.PROPOSED:
        yield "is required and would reject a record, but is only proposed"
    if field.codes is None or field.format.length_max is None:
        return
    if beyond := [code for code in regulator.codes[field.codes].codes if len(code) > field.format.length_max]:
        yield f"is too short for codes of {field.codes}: {', '.join(beyond)}"


def _rules(dataset: Dataset) -> Iterator[str]:
    for rule in dataset.rules:
        yield from _untranslated(f"the rule {rule.code}", title=rule.title, remedy=rule.remedy)
        rejects = rule.severity is Severity.ERROR and rule.kind in _JUDGED_ALONE
        if rejects and rule.status is Status.PROPOSED:
            yield f"the rule {rule.code} rejects records, but is only proposed"


def _references(dataset: Dataset) -> Iterator[str]:
    for reference in dataset.references:
        yield from _untranslated(f"the reference {reference.code} of {reference.blamed}", remedy=reference.remedy)
        for repeat in reference.repeats:
            yield from _untranslated(f"the repeat {repeat.code} of {', '.join(repeat.fields)}", remedy=repeat.remedy)


def _untranslated(what: str, **sentences: Text) -> Iterator[str]:
    for name, sentence in sentences.items():
        if not sentence.zh.strip():
            yield f"{what} has no Chinese {name}"
        if not sentence.en.strip():
            yield f"{what} has no English {name}"
