"""Frame in, findings out: everything one dataset asks of its rows, compiled once."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks.batch import beyond
from qianzhi.checks.expressions import AtMost, RowCheck, compile_check, evaluated
from qianzhi.checks.findings import Blame
from qianzhi.checks.instants import ZONE
from qianzhi.checks.parse import parse
from qianzhi.checks.structure import Structure
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from qianzhi.checks.parse import Parsed
    from qianzhi.specs.model import Dataset, Reference, Regulator, Rule

CHECKERS_MAX: Final = 512
"""Compiled checkers kept: some thirty editions of some sixteen datasets."""

LOCAL_KINDS: Final = frozenset({RuleKind.ROW, RuleKind.BATCH})
"""The kinds that need nothing but the rows: both ends give the same verdict on them."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A frame read and judged: as it came, as it reads, and what is wrong with it (by row, code and field)."""

    raw: pl.DataFrame
    typed: pl.DataFrame
    findings: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Compiled:
    blame: Blame
    kind: RuleKind
    check: RowCheck | AtMost

    @property
    def condition(self) -> RowCheck:
        return self.check.condition if isinstance(self.check, AtMost) else self.check

    @property
    def mask(self) -> pl.Expr:
        holds = self.condition.holds
        return (holds if isinstance(self.check, AtMost) else ~holds).alias(self.blame.code)


class Checker:
    """The structural checks and the compiled row and batch rules of one dataset."""

    def __init__(self, regulator: Regulator, dataset: Dataset) -> None:
        """Compile every rule; SpecError when one is not in the rule language."""
        self._dataset = dataset
        self._structure = Structure(dataset, regulator)
        self._rules = list(_compiled_rules(regulator, dataset))
        self._unless = {
            reference.code: compile_check(reference.unless, dataset, regulator, RuleKind.ROW, code=reference.code)
            for reference in dataset.references
            if reference.unless is not None
        }

    def check(self, raw: pl.DataFrame, *, as_of: datetime, kinds: frozenset[RuleKind] = LOCAL_KINDS) -> Checked:
        """
        Read and judge a raw frame: row_id and one String a field.

        `as_of` is the moment that rules mean by now: local time of the regulator, or any time with a zone.
        Structure is always judged; `kinds` chooses among the rules.
        """
        parsed = parse(raw, self._dataset, self._structure.accepted)
        if raw.is_empty():
            return Checked(raw, parsed.typed, parsed.findings)
        rules = [rule for rule in self._rules if rule.kind in kinds]
        fields = frozenset[str]().union(*(rule.condition.raw_fields for rule in rules))
        frame = evaluated(parsed.typed, raw, fields, local(as_of))
        # row_id keeps the height where every mask is a constant.
        masks = frame.select("row_id", *self._structure.masks(parsed.inside), *(rule.mask for rule in rules))
        found = [
            parsed.findings,
            *self._structure.findings(parsed, masks),
            *_broken(parsed, rules, masks),
        ]
        return Checked(raw, parsed.typed, findings_of.concat(found))

    def applies(self, checked: Checked | Parsed, reference: Reference, *, as_of: datetime) -> pl.Series:
        """Return for each row whether `reference` asks anything of it: Boolean, never null."""
        check = self._unless.get(reference.code)
        if not isinstance(check, RowCheck):
            return pl.repeat(True, checked.raw.height, dtype=pl.Boolean, eager=True)  # noqa: FBT003  # a value
        frame = evaluated(checked.typed, checked.raw, check.raw_fields, local(as_of))
        return frame.select("row_id", applies=~check.holds.fill_null(value=False))["applies"]


def checker(regulator: Regulator, dataset: Dataset) -> Checker:
    """Return the checker of a dataset, compiled once for each rule-set digest."""
    if not regulator.digest:
        return Checker(regulator, dataset)  # made in memory: two such regulators have no names to tell them apart
    key = regulator.digest, dataset.name
    with _lock:
        if (known := _checkers.get(key)) is not None:
            _checkers.move_to_end(key)
            return known
    made = Checker(regulator, dataset)
    with _lock:
        _checkers[key] = made
        while len(_checkers) > CHECKERS_MAX:
            _checkers.popitem(last=False)
    return made


_checkers: OrderedDict[tuple[str, str], Checker] = OrderedDict()
_lock = Lock()


def local(as_of: datetime) -> datetime:
    """Return a moment as local time without zone; one that has no zone is taken to be local."""
    if as_of.tzinfo is None:
        return as_of
    converted: datetime = pl.select(pl.lit(as_of).dt.convert_time_zone(ZONE).dt.replace_time_zone(None)).item()
    return converted


def _compiled_rules(regulator: Regulator, dataset: Dataset) -> Iterator[_Compiled]:
    for rule in dataset.rules:
        check = compile_check(rule.check, dataset, regulator, rule.kind, code=rule.code)
        if isinstance(check, (RowCheck, AtMost)):
            yield _Compiled(_blame(rule), rule.kind, check)


def _blame(rule: Rule) -> Blame:
    return Blame(rule.code, rule.error_class, rule.field, rule.severity)


def _broken(parsed: Parsed, rules: list[_Compiled], masks: pl.DataFrame) -> Iterator[pl.DataFrame]:
    for rule in rules:
        mask = masks[rule.blame.code]
        if not mask.any():
            continue
        at = beyond(rule.check, parsed.typed, mask) if isinstance(rule.check, AtMost) else mask.arg_true()
        if not at.is_empty():
            yield findings_of.blamed(parsed.raw, rule.blame, at)
