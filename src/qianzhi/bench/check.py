"""
The checks alone: rows and verdicts a second, a chunk of a cycle at a time, on as many processors as Polars takes.

Timed: for each chunk, reading every field, every structural check, every row and batch rule, and the sentences (reason
and remedy) of every finding. Not timed: making the rows, compiling the rules (once a process, before the first round).
Counted as structural: for each field "is there" where it is required, "in its code system" where it has one, "as its
format says" where it has none but a format that can be broken, and "no control characters" in free text. A column
that holds no value in a whole chunk gets its verdicts without a look at its rows; the facts tell how many do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi import regulators
from qianzhi.bench.figures import Report, Series, ratio
from qianzhi.bench.ground import INSTITUTION, REGULATOR
from qianzhi.checks.catalogue import Catalogue, catalogue
from qianzhi.checks.checker import LOCAL_KINDS, Checker, checker
from qianzhi.errors import OperatorError
from qianzhi.runtime import clock
from qianzhi.specs.formats import ValueType
from qianzhi.synthetic import Plan, play, volume
from qianzhi.synthetic.faults import KINDS, Spoilt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date

    from qianzhi.specs.model import Dataset, Field
    from qianzhi.synthetic.guangdong_resources import Row

ROWS: Final = 200_000
CHUNK_ROWS: Final = 20_000
"""What a cycle checks at once by default."""
PEOPLE: Final = 20_000
RATES: Final = (0.0, 0.05)
LANGUAGE: Final = "zh"
# Besides what the synthetic hospital spoils by name: a required value that is missing, and a day that never was.
GENERAL: Final[tuple[Row, ...]] = ({"TBRQSJ": None}, {"SJSCSJ": "2026-02-30 08:00:00"})


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How many verdicts a row of a dataset gets."""

    structural: int
    rules: int

    @property
    def all(self) -> int:
        """Every verdict."""
        return self.structural + self.rules


@dataclass(slots=True)
class _Case:
    """One dataset at one rate of faults."""

    dataset: Dataset
    rate: float
    raw: pl.DataFrame
    planted: int
    speeds: list[float]
    findings: int = 0

    @property
    def name(self) -> str:
        return f"{self.dataset.name} {self.rate:.0%}"


def run(rows: int, rounds: int, tell: Callable[[str], None], *, people: int = PEOPLE) -> Report:
    """Check `rows` rows of the widest dataset and of the visits, without and with faults, in turn."""
    on = clock.local_now().date() - timedelta(days=1)
    cases = list(_cases(rows, people, on))
    as_of = datetime.combine(on, time(3)) + timedelta(days=1)
    explaining = catalogue(regulators.regulator(REGULATOR))
    for number in range(rounds + 1):
        for case in cases:
            speed = case.raw.height / _seconds(case, explaining, as_of)
            if number:  # the first round compiles the rules and warms the processor's caches
                case.speeds.append(speed)
        if number:
            tell(f"round {number}/{rounds}: " + ", ".join(f"{each.name} {each.speeds[-1]:,.0f}" for each in cases))
    return _report(cases, rows, rounds)


def verdicts(dataset: Dataset) -> Verdicts:
    """Count the verdicts that each row of a dataset gets."""
    return Verdicts(
        structural=sum(_structural(field) for field in dataset.fields),
        rules=sum(rule.kind in LOCAL_KINDS for rule in dataset.rules),
    )


def _structural(field: Field) -> int:
    if field.codes:
        return field.required + 1
    if field.format.type is not ValueType.TEXT:
        return field.required + 1
    measured = bool(field.format.length_min) or field.format.length_max is not None
    return field.required + measured + 1


def _report(cases: list[_Case], rows: int, rounds: int) -> Report:
    speeds = {case.name: Series(case.name, "rows/s", case.speeds) for case in cases}
    series = list(speeds.values())
    facts: dict[str, object] = {"rows": rows, "rounds": rounds, "chunk_rows": CHUNK_ROWS}
    for case in cases:
        count = verdicts(case.dataset)
        every = [speed * count.all for speed in case.speeds]
        series.append(Series(f"{case.name} verdicts", "verdicts/s", every))
        series.append(Series(f"{case.name} rules", "rules/s", [speed * count.rules for speed in case.speeds]))
        facts[f"{case.dataset.name} columns"] = len(case.dataset.fields)
        facts[f"{case.dataset.name} structural checks"] = count.structural
        facts[f"{case.dataset.name} rules"] = count.rules
        facts[f"{case.dataset.name} columns without values"] = _empty_count(case.raw)
        facts[f"{case.name} rows with findings"] = case.planted
        facts[f"{case.name} findings"] = case.findings
    clean, faulty = (f"{{}} {rate:.0%}" for rate in RATES)
    names = dict.fromkeys(case.dataset.name for case in cases)
    ratios = {faulty.format(name): ratio(speeds[faulty.format(name)], speeds[clean.format(name)]) for name in names}
    return Report("check", series, ratios=ratios, facts=facts)


def _empty_count(raw: pl.DataFrame) -> int:
    return sum(column.null_count() == raw.height for column in raw.iter_columns())


def _seconds(case: _Case, explaining: Catalogue, as_of: datetime) -> float:
    compiled = checker(regulators.regulator(REGULATOR), case.dataset)
    begun = clock.monotonic()
    found = [_judge(compiled, explaining, case.dataset, chunk, as_of) for chunk in case.raw.iter_slices(CHUNK_ROWS)]
    seconds = clock.monotonic() - begun
    case.findings = sum(findings.height for findings in found)
    with_findings = sum(findings["row_id"].n_unique() for findings in found)
    if with_findings != case.planted:
        raise OperatorError(
            f"{case.planted} rows of {case.name} are faulty, and {with_findings} have findings.",
            remedy="The figures would mean nothing.",
        )
    return seconds


def _judge(
    compiled: Checker, explaining: Catalogue, dataset: Dataset, chunk: pl.DataFrame, as_of: datetime
) -> pl.DataFrame:
    findings = compiled.check(chunk, as_of=as_of).findings
    return findings if findings.is_empty() else explaining.explain_frame(findings, dataset.name, LANGUAGE)


def _cases(rows: int, people: int, on: date) -> Iterator[_Case]:
    regulator = regulators.regulator(REGULATOR)
    images = Path("/images").absolute()
    played = play(Plan(people, 1, 1, on, INSTITUTION, images, rows_per_dataset=1), regulator)
    frames = {
        "treatment_order": pl.concat(volume.treatment_orders(rows, volume.orders(played, on), 1, on)),
        "treatment_record": pl.concat(volume.treatment_records(rows, volume.parents(played, on), 1, on)),
    }
    for name, frame in frames.items():
        for rate in RATES:
            planted = round(rows * rate)
            dataset = regulator.dataset(name)
            raw = spoilt(frame, dataset, planted, images).with_row_index("row_id").cast({"row_id": pl.Int64})
            yield _Case(dataset, rate, raw.rechunk(), planted, [])


def spoilt(frame: pl.DataFrame, dataset: Dataset, count: int, images: Path) -> pl.DataFrame:
    """Return the frame with so many of its rows spoilt, evenly spread, one kind of fault after the other."""
    if not count:
        return frame
    step = frame.height // count
    kinds = cycle(_kinds(dataset))
    numbered = frame.with_row_index("at")
    chosen = pl.int_range(count, dtype=pl.UInt32, eager=True) * step
    bad = [row | next(kinds)(row, images) for row in numbered[chosen].iter_rows(named=True)]
    rest = numbered.filter(~pl.col("at").is_in(chosen.implode()))
    return pl.concat([rest, pl.DataFrame(bad, schema=numbered.schema)]).sort("at").drop("at")


def _kinds(dataset: Dataset) -> list[Callable[[Row, Path], Row]]:
    """Return the faults that a row has by itself, whatever is already accepted."""
    told = {rule.code for rule in dataset.rules if rule.kind in LOCAL_KINDS} | {"V03", "V11", "V12"}
    named = [
        kind.spoil
        for kind in KINDS
        if isinstance(kind, Spoilt)
        and (kind.dataset, kind.change, kind.prescribed) == (dataset.name, None, False)
        and kind.finding.code in told
    ]
    return [*named, *(_setting(values) for values in GENERAL)]


def _setting(values: Row) -> Callable[[Row, Path], Row]:
    return lambda _row, _images: values
