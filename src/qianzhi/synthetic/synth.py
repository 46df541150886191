"""A synthetic hospital played into a gateway's staging tables, with the list of what must be found."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qianzhi.db import server
from qianzhi.synthetic import images
from qianzhi.synthetic.faults import SPOILT_IMAGE
from qianzhi.synthetic.insert import insert
from qianzhi.synthetic.season import play

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path

    from qianzhi.db.server import Session
    from qianzhi.specs.model import Regulator
    from qianzhi.synthetic.plan import Plan
    from qianzhi.synthetic.season import Day, Expected

APPLICATION = "qianzhi synth"


@dataclass(frozen=True, slots=True)
class SynthPlan:
    """
    What to play and where to: `dsn` opens a session as `us_pos`, `expected` is the JSON file to write.

    The staging tables stand in the schema named after the regulator.
    """

    plan: Plan
    regulator: Regulator
    dsn: str
    expected: Path


@dataclass(frozen=True, slots=True)
class SynthResult:
    """How many rows each dataset got, how many of them are faulty, how many pictures were drawn."""

    rows: Mapping[str, int]
    faults: int
    pictures: int
    expected: Path


def run(order: SynthPlan, after_day: Callable[[date], None] | None = None) -> SynthResult:
    """
    Play a plan, draw its pictures, insert its days in order and write the file of expected findings.

    Each day is one transaction; `after_day` is called behind it, so that a cycle can run between two days.
    Raises ConfigurationError or RetryableError when the database cannot be reached.
    """
    played = play(order.plan, order.regulator)
    pictures = images.draw(order.plan.images, played.members)
    images.spoil(order.plan.images / SPOILT_IMAGE)
    rows: Counter[str] = Counter()
    expected: list[dict[str, object]] = []
    with server.connect(order.dsn, application=APPLICATION) as connection:
        for day in played.days:
            ids = _insert_day(connection, order.regulator.key, day)
            connection.commit()
            rows.update({dataset: len(new) for dataset, new in ids.items()})
            expected += [entry(found, ids[found.dataset][found.position]) for found in day.expected]
            if after_day is not None:
                after_day(day.on)
    write_expected(order.expected, expected)
    return SynthResult(dict(rows), len(expected), pictures, order.expected)


def entry(expected: Expected, row_id: int) -> dict[str, object]:
    """Return what the file says about one faulty row."""
    return {
        "kind": expected.kind,
        "day": expected.on.isoformat(),
        "dataset": expected.dataset,
        "row_id": row_id,
        "key": dict(expected.key),
        "code": expected.finding.code,
        "class": expected.finding.error_class,
        "field": expected.finding.field,
        "severity": expected.finding.severity,
        "outcome": expected.finding.outcome.value,
    }


def write_expected(path: Path, entries: list[dict[str, object]]) -> None:
    """Write the list of expected findings as JSON, one entry a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(found, ensure_ascii=False) for found in entries)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _insert_day(connection: Session, schema: str, day: Day) -> dict[str, list[int]]:
    return {dataset: insert(connection, f"{schema}.{dataset}", frame) for dataset, frame in day.frames.items()}
