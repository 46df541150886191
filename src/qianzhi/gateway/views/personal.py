"""Which values of a view are about patients, so that whoever shows them can put that on record."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from qianzhi import regulators

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.specs.model import Regulator

PERSONAL: Final[Mapping[str, bool]] = {"personal": True}
"""The metadata of a dataclass field that may hold a patient's value."""


def personal_fields(shown: type[Any]) -> frozenset[str]:
    """Return the fields of a view's dataclass that may hold patients' values."""
    return frozenset(each.name for each in fields(shown) if each.metadata.get("personal"))


def is_personal(regulator: Regulator, dataset: str, field: str | None) -> bool:
    """Tell whether a field says something about a person; what is not known does."""
    return field not in _harmless(regulator.key, dataset)


@cache
def _harmless(regulator: str, dataset: str) -> frozenset[str]:
    try:
        known = regulators.regulator(regulator).dataset(dataset)
    except KeyError:
        return frozenset()
    return frozenset(field.name for field in known.fields if not field.personal)
