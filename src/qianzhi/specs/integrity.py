"""Whether the datasets of a folder fit each other: references, repeats, code systems, order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qianzhi.specs.entry import refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qianzhi.errors import SpecError
    from qianzhi.specs.model import CodeSystem, Dataset, Reference


def refuse_misfits(datasets: Sequence[Dataset], systems: Mapping[str, CodeSystem]) -> None:
    """Raise SpecError at the first thing that one dataset says about another, or about a code system, and is not so."""
    by_name = {dataset.name: dataset for dataset in datasets}
    earlier: set[str] = set()
    for dataset in datasets:
        _refuse_unknown_systems(dataset, systems)
        for number, reference in enumerate(dataset.references, start=1):
            place = f"references[{number}] ({reference.code})"
            if reference.to not in by_name:
                raise _misfit(dataset, place, f"there is no dataset {reference.to!r}", "Spell it as in regulator.toml.")
            _refuse_partial_key(dataset, place, reference, by_name[reference.to])
            _refuse_wrong_repeats(dataset, place, reference, by_name[reference.to])
            if reference.to not in earlier:
                what = f"{reference.to!r} comes no earlier than {dataset.name!r} in the datasets of regulator.toml"
                raise _misfit(dataset, place, what, "List parents first; references cannot form a ring.")
        earlier.add(dataset.name)


def _refuse_unknown_systems(dataset: Dataset, systems: Mapping[str, CodeSystem]) -> None:
    for number, field in enumerate(dataset.fields, start=1):
        if field.codes is not None and field.codes not in systems:
            place = f"fields[{number}] ({field.name})"
            what = f"there is no code system {field.codes!r}"
            raise _misfit(dataset, place, what, "Add it to codes/systems.toml, or spell it as there.")


def _refuse_partial_key(dataset: Dataset, place: str, reference: Reference, parent: Dataset) -> None:
    if sorted(reference.on.values()) != sorted(parent.key):
        what = f"'on' must give every field of the key of {parent.name} once ({', '.join(parent.key)})"
        raise _misfit(dataset, place, what, "Write it as { FIELD = KEY_FIELD, … }.")


def _refuse_wrong_repeats(dataset: Dataset, place: str, reference: Reference, parent: Dataset) -> None:
    for repeat in reference.repeats:
        where = f"{place}.repeats ({repeat.code})"
        if repeat.group >= len(parent.shared):
            what = f"{parent.name} has {len(parent.shared)} shared groups, and none numbered {repeat.group}"
            raise _misfit(dataset, where, what, "Count the groups of 'shared' from 0.")
        group = parent.shared[repeat.group]
        if len(repeat.fields) != len(group):
            what = f"'fields' has {len(repeat.fields)} fields, the shared group {len(group)} ({', '.join(group)})"
            raise _misfit(dataset, where, what, "Name this dataset's fields in the order of the group.")


def _misfit(dataset: Dataset, place: str, problem: str, remedy: str) -> SpecError:
    return refused(f"datasets/{dataset.name}.toml", place, problem, remedy)
