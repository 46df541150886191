"""What rows pledge of evidence, against what can be served: the rules `evidence_served(FIELD)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.checks import findings as findings_of
from qianzhi.checks.findings import Blame
from qianzhi.ledger import evidence
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from qianzhi.db.server import Session
    from qianzhi.regulators.protocols import Asked
    from qianzhi.specs.model import Dataset, Rule

PROMISED: Final = "T"


class Pledges:
    """Compares the rows of one regulator's datasets with the files that are registered."""

    def __init__(self, regulator: str, asked: Sequence[Asked]) -> None:
        self._regulator = regulator
        self._asked = asked

    def broken(self, session: Session, raw: pl.DataFrame, dataset: Dataset, regulator: str) -> pl.DataFrame:
        """
        Return a finding for each pledge of evidence that there is not; asks the ledger once, or not at all.

        A row that withdraws a record pledges nothing.
        """
        judged = [(each, rule) for each in self._asked if (rule := _rule(each, dataset)) is not None]
        if not judged or regulator != self._regulator or raw.is_empty():
            return findings_of.empty()
        stays = (raw[dataset.change.field].str.strip_chars() != dataset.change.revoke).fill_null(value=True)
        promised = {each.name: stays & _is_promised(raw, each) for each, _ in judged}
        records = {each.name: raw[each.record].str.strip_chars() for each, _ in judged}
        wanted = {text for name, mask in promised.items() for text in records[name].filter(mask).drop_nulls()}
        if not wanted:
            return findings_of.empty()
        known = evidence.known(session, self._regulator, [text for text in wanted if "\0" not in text])
        found = []
        for each, rule in judged:
            served = [pair["record"] for pair in known if pair["kind"] == each.name]
            mask = promised[each.name] & ~records[each.name].is_in(served).fill_null(value=False)
            found.append(findings_of.blamed(raw, _blame(rule), mask.arg_true()))
        return findings_of.concat(found)


def _is_promised(raw: pl.DataFrame, asked: Asked) -> pl.Series:
    return (raw[asked.promised].str.strip_chars() == PROMISED).fill_null(value=False)


def _rule(asked: Asked, dataset: Dataset) -> Rule | None:
    wanted = f"evidence_served({asked.promised})"
    rules = dataset.rules if dataset.name == asked.dataset else ()
    return next((rule for rule in rules if rule.kind is RuleKind.SENDER and rule.check == wanted), None)


def _blame(rule: Rule) -> Blame:
    return Blame(rule.code, rule.error_class, rule.field, rule.severity)
