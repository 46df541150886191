"""What the checker and the state rules find on played days: a regulator in memory, without either end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from qianzhi.checks import findings as findings_of
from qianzhi.checks.checker import checker
from qianzhi.checks.parse import said
from qianzhi.checks.state import (
    KEY,
    STATE,
    chain,
    reference_findings,
    reference_keys,
    repeat_findings,
    rows_of,
    unmet,
)
from qianzhi.synthetic.faults import MISSING_IMAGE, SPOILT_IMAGE

if TYPE_CHECKING:
    from qianzhi.checks.checker import Checked
    from qianzhi.specs.model import Dataset, Regulator
    from qianzhi.synthetic import Day


@dataclass(frozen=True)
class Found:
    """A finding, placed the way `Expected` is."""

    dataset: str
    position: int
    code: str
    error_class: str
    field: str
    severity: str


class Desk:
    """Judges day after day what an institution sends; holds the keys it accepted."""

    def __init__(self, regulator: Regulator, institution: str) -> None:
        self._regulator = regulator
        self._institution = institution
        self._states = {dataset.name: pl.DataFrame(schema=STATE) for dataset in regulator.datasets}

    def judge(self, day: Day) -> list[Found]:
        """Return everything that is found on a day's rows, checked at three the next morning."""
        as_of = datetime.combine(day.on, time(3)) + timedelta(days=1)
        found = []
        for dataset in self._regulator.datasets:
            findings = self._judge(dataset, day.frames[dataset.name], as_of)
            found += [
                Found(dataset.name, row["row_id"], row["code"], row["class"], row["field"], row["severity"])
                for row in findings.iter_rows(named=True)
            ]
        return found

    def _judge(self, dataset: Dataset, frame: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
        raw = frame.with_row_index("row_id").with_columns(pl.col("row_id").cast(pl.Int64))
        checked = checker(self._regulator, dataset).check(raw, as_of=as_of)
        findings = findings_of.concat(
            [checked.findings, *self._sender(dataset, raw), *self._references(dataset, checked, as_of)]
        )
        chained = chain(
            rows_of(raw, said(raw, checked.typed), checked.typed, dataset),
            self._states[dataset.name],
            dataset,
            findings_of.rejecting(findings),
        )
        before = self._states[dataset.name]
        self._states[dataset.name] = pl.concat([before.join(chained.states, on=KEY, how="anti"), chained.states])
        return findings_of.concat([findings, chained.findings])

    def _references(self, dataset: Dataset, checked: Checked, as_of: datetime) -> list[pl.DataFrame]:
        found = []
        for reference in dataset.references:
            applies = checker(self._regulator, dataset).applies(checked, reference, as_of=as_of)
            texts = said(checked.raw, checked.typed)
            keys = reference_keys(checked.raw, texts, reference, self._regulator.dataset(reference.to), applies)
            parents = self._states[reference.to]
            found.append(reference_findings(unmet(keys, parents), reference))
            found.append(repeat_findings(keys, parents, reference))
        return found

    def _sender(self, dataset: Dataset, raw: pl.DataFrame) -> list[pl.DataFrame]:
        """Judge what only the sender's machine could: institution and images, by what the plan says of them."""
        found = [_blame(raw.filter(pl.col("JGDM") != self._institution), "V20", "E09", "JGDM")]
        if dataset.name == "staff":
            for code, field in (("V41.1", "GRZPCFDZ"), ("V41.2", "ZGZCFDZ"), ("V41.3", "ZYZCFDZ")):
                paths = raw[field].to_list()
                unreadable = [_is_no_image(path) for path in paths]
                found.append(_blame(raw.filter(pl.Series(unreadable, dtype=pl.Boolean)), code, "E08", field))
        return found


def _is_no_image(path: str) -> bool:
    return Path(path).name in {MISSING_IMAGE, SPOILT_IMAGE, "images"}


def _blame(rows: pl.DataFrame, code: str, error_class: str, field: str) -> pl.DataFrame:
    return rows.select(
        "row_id",
        code=pl.lit(code),
        **{"class": pl.lit(error_class)},
        field=pl.lit(field),
        value=pl.col(field),
        detail=pl.lit(None, pl.String),
        severity=pl.lit("error"),
    )
