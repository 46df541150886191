"""One dataset file: its fields, references and rules, checked as far as one file can be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from qianzhi.errors import SpecError
from qianzhi.specs.entry import Entry, parse_toml
from qianzhi.specs.formats import Format, ValueType, parse_format
from qianzhi.specs.model import (
    Change,
    Dataset,
    ErrorClass,
    Field,
    Reference,
    Repeat,
    Resource,
    Rule,
    RuleKind,
    Severity,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

NAME_CHARACTERS_MAX: Final = 63
"""PostgreSQL cuts longer identifiers."""

RESERVED: Final = frozenset({"id", "row_id", "as_of"})
"""Columns that the product adds to a staging table, to a frame or to the rules."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def parse_dataset(content: bytes, file: str) -> Dataset:
    """Parse the dataset file `file` (datasets/<name>.toml). SpecError names the place and what to do."""
    with parse_toml(content, file) as root:
        fields = _fields(root)
        names = [field.name for field in fields]
        dataset = Dataset(
            name=_dataset_name(root),
            title=root.text("title"),
            source=root.text("source"),
            obliged=root.flag("obliged"),
            key=_known(root, root.texts("key"), names, "key"),
            institution=_one_known(root, "institution", names),
            change=_change(root.table("change"), names),
            occurred_at=_one_known(root, "occurred_at", names),
            fields=fields,
            shared=tuple(_known(root, group, names, "shared") for group in root.groups("shared")),
            references=tuple(_reference(entry, names) for entry in root.tables("references", called="code")),
            rules=tuple(_rule(entry, names) for entry in root.tables("rules", called="code")),
            resource=_resource(root.table("resource"), names) if root.has("resource") else None,
        )
        _refuse_repeated_codes(root, dataset)
    return dataset


def proper_name(entry: Entry, name: str) -> str:
    """Return `name`; SpecError when it cannot name a table or a column."""
    if not _NAME.fullmatch(name) or len(name) > NAME_CHARACTERS_MAX:
        remedy = f"Use at most {NAME_CHARACTERS_MAX} letters, digits and underscores, a letter first."
        raise entry.refused(f"{name!r} cannot name a table or a column", remedy)
    return name


def _dataset_name(root: Entry) -> str:
    name = proper_name(root, root.text("name"))
    if root.file != f"datasets/{name}.toml":
        raise root.refused(f"the dataset is called {name!r}", f"Name the file datasets/{name}.toml, or correct 'name'.")
    return name


def _fields(root: Entry) -> tuple[Field, ...]:
    fields: list[Field] = []
    seen: set[str] = set()
    for entry in root.tables("fields", called="name"):
        field = _field(entry)
        if field.name.lower() in seen:
            raise entry.refused("its name comes twice (columns know no case)", "Keep one field of this name.")
        if field.name.lower() in RESERVED:
            raise entry.refused("its name is kept for the product's own column", "Rename the field and say so in note.")
        seen.add(field.name.lower())
        fields.append(field)
    if not fields:
        raise root.refused("there are no fields", "List them as fields = [ … ].")
    return tuple(fields)


def _field(entry: Entry) -> Field:
    with entry:
        field = Field(
            name=proper_name(entry, entry.text("name")),
            title=entry.text("title"),
            format=_format(entry),
            status=entry.choice("status", Status),
            required=entry.flag("required", default=False),
            codes=entry.optional("codes"),
            personal=entry.flag("personal", default=False),
            image=entry.flag("image", default=False),
            note=entry.text_or("note", ""),
            source=entry.text_or("source", ""),
        )
    if (field.codes or field.image) and field.format.type is not ValueType.TEXT:
        what = f"a field with {'codes' if field.codes else 'an image'} has the format {field.format.notation}"
        raise entry.refused(what, "Give it a text format (AN…): the spelling of such a value matters.")
    return field


def _format(entry: Entry) -> Format:
    try:
        return parse_format(entry.text("format"))
    except SpecError as error:
        raise entry.refused(error.what.removesuffix("."), error.remedy) from None


def _change(entry: Entry, names: Collection[str]) -> Change:
    with entry:
        change = Change(
            field=_one_known(entry, "field", names),
            new=entry.text("new"),
            modify=entry.text("modify"),
            revoke=entry.text("revoke"),
        )
    if len({change.new, change.modify, change.revoke}) < 3:  # noqa: PLR2004  # the three just named
        raise entry.refused("two of new, modify and revoke are the same", "Give each its own value.")
    return change


def _resource(entry: Entry, names: Collection[str]) -> Resource:
    with entry:
        return Resource(filled_at=_one_known(entry, "filled_at", names) if entry.has("filled_at") else None)


def _reference(entry: Entry, names: Collection[str]) -> Reference:
    with entry:
        on = entry.mapping("on")
        _known(entry, on, names, "on")
        return Reference(
            code=entry.text("code"),
            to=entry.text("to"),
            on=on,
            title=entry.text("title"),
            severity=entry.choice("severity", Severity),
            status=entry.choice("status", Status),
            source=entry.text("source"),
            remedy=entry.sentence("remedy"),
            unless=entry.optional("unless"),
            repeats=tuple(_repeat(repeat, names) for repeat in entry.tables("repeats", called="code")),
        )


def _repeat(entry: Entry, names: Collection[str]) -> Repeat:
    with entry:
        return Repeat(
            code=entry.text("code"),
            fields=_known(entry, entry.texts("fields"), names, "fields"),
            group=entry.whole("group", least=0),
            title=entry.text("title"),
            error_class=entry.choice("class", ErrorClass),
            severity=entry.choice("severity", Severity),
            status=entry.choice("status", Status),
            source=entry.text("source"),
            remedy=entry.sentence("remedy"),
        )


def _rule(entry: Entry, names: Collection[str]) -> Rule:
    with entry:
        return Rule(
            code=entry.text("code"),
            kind=entry.choice("kind", RuleKind),
            title=entry.sentence("title"),
            check=entry.text("check"),
            field=_one_known(entry, "field", names),
            remedy=entry.sentence("remedy"),
            severity=entry.choice("severity", Severity),
            error_class=entry.choice("class", ErrorClass),
            status=entry.choice("status", Status),
            source=entry.text("source"),
        )


def _one_known(entry: Entry, key: str, names: Collection[str]) -> str:
    return _known(entry, (entry.text(key),), names, key)[0]


def _known(entry: Entry, wanted: Iterable[str], names: Collection[str], key: str) -> tuple[str, ...]:
    found = tuple(wanted)
    for name in found:
        if name not in names:
            raise entry.refused(f"{key!r} names {name!r}, which is no field of the dataset", "Spell it as in fields.")
    return found


def _refuse_repeated_codes(root: Entry, dataset: Dataset) -> None:
    rules = [(rule.code, "") for rule in dataset.rules]
    references = [(reference.code, reference.blamed) for reference in dataset.references]
    repeated = [repeat for reference in dataset.references for repeat in reference.repeats]
    repeats = [(repeat.code, name) for repeat in repeated for name in repeat.fields]
    for kind, codes in (("rules", rules), ("references", references), ("repeats", repeats)):
        for code, blamed in codes:
            if codes.count((code, blamed)) > 1:
                of = f" of {blamed}" if blamed else ""
                raise root.refused(f"the code {code!r}{of} comes twice among the {kind}", "Add a suffix, as in V06.1.")
