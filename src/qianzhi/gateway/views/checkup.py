"""The check at any hour, for people who watch it: how far it is, and a bounded part of what it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as with_
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from qianzhi.gateway import report
from qianzhi.gateway.preview import preview
from qianzhi.gateway.views.personal import PERSONAL
from qianzhi.ledger import backlog
from qianzhi.runtime import clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination, Workplace

FINDINGS_KEPT_MAX: Final = 5_000

Progress = Callable[[int, int], None]  # rows checked, and rows there were when it began; more may have come


@dataclass(frozen=True, slots=True)
class CheckedDataset:
    """What the check says of one dataset."""

    dataset: str
    title: str
    row_count: int
    rejected_count: int  # rows that the regulator would reject
    warned_count: int  # rows that would go with a warning
    finding_count: int


@dataclass(frozen=True, slots=True)
class Checkup:
    """A finished check of what waited when it ran. Nothing was submitted."""

    destination: str
    begun_at: datetime
    finished_at: datetime
    datasets: Sequence[CheckedDataset]
    findings: Sequence[dict[str, Any]] = with_(metadata=PERSONAL)  # of report.explained; the first ones, errors first
    is_bounded: bool  # whether there are more findings than are kept

    @property
    def rejected_count(self) -> int:
        """How many rows the regulator would reject."""
        return sum(dataset.rejected_count for dataset in self.datasets)


def check_now(
    session: Session,
    workplace: Workplace,
    destination: Destination,
    *,
    progress: Progress,
    language: str = "zh",
) -> Checkup:
    """Check what waits, telling the progress after each chunk. `session` must be in autocommit."""
    begun_at = clock.now()
    total, done = sum(backlog.waiting(session, destination.name).values()), 0
    progress(0, total)

    def note(_dataset: str, rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, max(total, done))

    checked: list[CheckedDataset] = []
    kept: list[tuple[str, pl.DataFrame]] = []
    room, found_count = FINDINGS_KEPT_MAX, 0
    as_of = clock.local(begun_at)
    for name, rows, found in preview(session, workplace, destination, as_of=as_of, note=note):
        checked.append(_said(name, destination.regulator.dataset(name).title, rows, found))
        first = found.sort("severity", maintain_order=True).head(room)  # "error" stands before "warning"
        kept.append((name, first))
        room, found_count = room - first.height, found_count + found.height
    listed = report.explained(report.with_dataset(kept), destination, language)
    return Checkup(destination.name, begun_at, clock.now(), checked, listed, is_bounded=found_count > len(listed))


def _said(name: str, title: str, rows: int, found: pl.DataFrame) -> CheckedDataset:
    rejected = found.filter(pl.col("severity") == "error")["row_id"].unique()
    warned = found.filter(~pl.col("row_id").is_in(rejected.implode()))["row_id"].n_unique()
    return CheckedDataset(name, title, rows, rejected.len(), warned, found.height)
