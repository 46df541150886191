"""A regulator as rows of a table, for a terminal, a page or JSON; every cell is text, a number or true and false."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from qianzhi.specs.ddl import published_type
from qianzhi.specs.model import Status

if TYPE_CHECKING:
    from qianzhi.specs.model import Dataset, Regulator

Row: TypeAlias = dict[str, str | int | bool]


def regulator_row(regulator: Regulator) -> Row:
    """Return what `specs list` says of a regulator."""
    fields = [field for dataset in regulator.datasets for field in dataset.fields]
    return {
        "key": regulator.key,
        "name_zh": regulator.name.zh,
        "name_en": regulator.name.en,
        "edition": regulator.edition,
        "datasets": len(regulator.datasets),
        "fields": len(fields),
        "fields_proposed": sum(field.status is Status.PROPOSED for field in fields),
        "rules": sum(len(dataset.rules) for dataset in regulator.datasets),
        "capabilities": ", ".join(sorted(regulator.capabilities)),
        "digest": regulator.digest,
    }


def dataset_rows(regulator: Regulator) -> list[Row]:
    """Return what `specs show <regulator>` says of each dataset, parents first."""
    return [
        {
            "name": dataset.name,
            "title": dataset.title,
            "obliged": dataset.obliged,
            "key": ", ".join(dataset.key),
            "fields": len(dataset.fields),
            "required": sum(field.required for field in dataset.fields),
            "references": ", ".join(sorted({reference.to for reference in dataset.references})),
            "rules": len(dataset.rules),
            "source": dataset.source,
        }
        for dataset in regulator.datasets
    ]


def field_rows(dataset: Dataset) -> list[Row]:
    """Return what `specs show <regulator> <dataset>` says of each field, in the order of the dataset."""
    return [
        {
            "name": field.name,
            "title": field.title,
            "format": field.format.notation,
            "type": published_type(field.format),
            "required": field.required,
            "codes": field.codes or "",
            "personal": field.personal,
            "image": field.image,
            "status": field.status.value,
            "source": field.source,
            "note": field.note,
        }
        for field in dataset.fields
    ]
