"""What is to be saved: lines with what happens to each record, and what the checks say of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from qianzhi.checks.catalogue import catalogue
from qianzhi.gateway.resources import judgement
from qianzhi.gateway.resources.remarks import Place, Remark
from qianzhi.specs.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import polars as pl

    from qianzhi.gateway.destination import Destination
    from qianzhi.gateway.images import PathMap
    from qianzhi.gateway.resources.form import Form
    from qianzhi.gateway.resources.pictures import Picture
    from qianzhi.specs.model import Change

REMARKS_SHOWN_MAX: Final = 5_000


class Action(StrEnum):
    """What happens to the record of a line."""

    NEW = "new"
    MODIFY = "modify"
    REVOKE = "revoke"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Line:
    """One record as it is to be; `columns` says by field in which column of the sheet it stood."""

    place: Place
    action: Action
    values: Mapping[str, str | None]
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """
    Lines by dataset, what was remarked, and the pictures that are kept with them (by path).

    `seen` is the newest row of each dataset when the plan was made: saved later, it must still be that one.
    """

    lines: dict[str, list[Line]] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """How many remarks forbid saving."""
        return sum(remark.severity is Severity.ERROR for remark in self.remarks)

    @property
    def changes(self) -> int:
        """How many records are new, modified or revoked."""
        return sum(line.action is not Action.UNCHANGED for lines in self.lines.values() for line in lines)

    def add(self, remarks: Iterable[Remark]) -> None:
        """
        Take in what the checks remark, in the order in which somebody goes through the workbook.

        A place at which an error is known already is not blamed again: what follows from the error helps nobody.
        """
        known = {
            (each.place, each.field) for each in self.remarks if each.severity is Severity.ERROR and each.place.column
        }
        self.remarks += [each for each in remarks if (each.place, each.field) not in known]
        sheets = {line.place.sheet: at for at, lines in enumerate(self.lines.values()) for line in lines}

        def order(each: Remark) -> tuple[int, int, int, str, bool]:
            row, column, is_mild = each.place.row or 0, each.place.column, each.severity is not Severity.ERROR
            elsewhere = len(sheets) if is_mild else -1  # of a file, or of a sheet that nobody knows
            return sheets.get(each.place.sheet, elsewhere), row, len(column), column, is_mild

        self.remarks.sort(key=order)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return by dataset how many records are new, modified, revoked and unchanged."""
        counted = {name: Counter(line.action.value for line in lines) for name, lines in self.lines.items()}
        return {name: {action.value: found[action.value] for action in Action} for name, found in counted.items()}

    def as_json(self, language: str) -> dict[str, Any]:
        """Return the public form; of very many remarks, the first."""
        return {
            "datasets": self.counts(),
            "errors": self.errors,
            "findings_count": len(self.remarks),
            "findings": [remark.as_json(language) for remark in self.remarks[:REMARKS_SHOWN_MAX]],
        }


def frames(
    plan: Plan, forms: Mapping[str, Form], institution: str, *, at: datetime
) -> Iterator[tuple[Form, list[Line], pl.DataFrame]]:
    """Yield the form of each dataset, the lines of it that change anything, and their whole rows; `at` is local."""
    for name, lines in plan.lines.items():
        form = forms[name]
        changed = [line for line in lines if line.action is not Action.UNCHANGED]
        if changed:
            rows = [
                form.completed(line.values, institution=institution, change=_code(line, form.dataset.change), at=at)
                for line in changed
            ]
            yield form, changed, judgement.frame_of(rows, form.dataset)


def judged(
    plan: Plan, forms: Mapping[str, Form], destination: Destination, paths: PathMap, *, at: datetime
) -> list[Remark]:
    """Return what the product's checks find in the lines that change anything."""
    return [
        remark
        for form, lines, raw in frames(plan, forms, destination.institution, at=at)
        for remark in _remarks(
            judgement.judge(raw, form.dataset, destination, paths, at_hand=plan.pictures, as_of=at),
            lines,
            form,
            destination,
        )
    ]


def _code(line: Line, change: Change) -> str:
    return {Action.REVOKE: change.revoke, Action.MODIFY: change.modify}.get(line.action, change.new)


def _remarks(found: pl.DataFrame, lines: Sequence[Line], form: Form, destination: Destination) -> Iterator[Remark]:
    if found.is_empty():
        return
    texts = catalogue(destination.regulator)
    for finding in found.iter_rows(named=True):
        line = lines[finding["row_id"] - judgement.FIRST_ROW_ID]
        name = finding["field"]
        told = texts.explain(form.dataset.name, finding["code"], finding["class"], name, finding["detail"])
        yield Remark(
            Place(line.place.sheet, line.place.row, line.columns.get(name, "")),
            finding["code"],
            Severity(finding["severity"]),
            name,
            finding["value"] or "",
            told.reason,
            told.remedy,
        )
