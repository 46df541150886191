"""Results: what people export from the official console becomes the answer to rows that were delivered."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from qianzhi.checks.catalogue import REPLY_CODE
from qianzhi.checks.findings import SCHEMA
from qianzhi.db.server import translated
from qianzhi.errors import ConfigurationError, RetryableError
from qianzhi.gateway.official import export
from qianzhi.gateway.official.lines import Reading, lines_of
from qianzhi.gateway.official.matching import match
from qianzhi.ledger import deliveries, findings, lanes
from qianzhi.specs.model import Severity

if TYPE_CHECKING:
    from datetime import datetime

    from qianzhi.db.server import Session
    from qianzhi.gateway.destination import Destination
    from qianzhi.gateway.official.matching import Matched
    from qianzhi.ledger.lanes import Lane

PATIENCE_SECONDS: Final = 60.0  # how long a lane is waited for that a cycle has
UNMATCHED_SHOWN_MAX: Final = 1_000


@dataclass(slots=True)
class Imported:
    """What an import did, or would do."""

    line_count: int
    accepted_count: int = 0  # rows
    failed_count: int = 0  # rows
    known_count: int = 0  # lines that say again what was imported before
    unmatched_count: int = 0  # lines
    unmatched: list[dict[str, Any]] = field(default_factory=list)  # sheet, line, dataset, why; the first ones

    def as_json(self) -> dict[str, Any]:
        """Return the public form: no value of a record stands in it."""
        return {
            "lines": self.line_count,
            "accepted": self.accepted_count,
            "failed": self.failed_count,
            "known": self.known_count,
            "unmatched": self.unmatched_count,
            "unmatched_lines": self.unmatched,
        }

    def leave(self, lines: pl.DataFrame) -> None:
        """Count lines that settle nothing, and name the first of them."""
        self.unmatched_count += lines.height
        shown = lines.select("sheet", "line", "dataset", why="trouble").head(UNMATCHED_SHOWN_MAX - len(self.unmatched))
        self.unmatched += shown.to_dicts()


def settle_results(
    session: Session, destination: Destination, content: bytes, reading: Reading, *, is_rehearsal: bool = False
) -> Imported:
    """
    Import an export: each row that a line speaks of is answered once, with findings where it failed.

    Dataset by dataset in a transaction each, so that a crash leaves what the next import goes on with; the same
    file again changes nothing. Raises SenderError for a file that is no export, RetryableError while a cycle does
    not let go of a lane, and ConfigurationError for a destination that was never set up.
    """
    read = lines_of(export.read(content), reading)
    done = Imported(read.height)
    done.leave(read.filter(pl.col("trouble").is_not_null()))
    by_name = {lane.dataset: lane for lane in lanes.lanes_of(session, destination.name, destination.regulator)}
    session.rollback()
    sound = read.filter(pl.col("trouble").is_null())
    if not by_name:
        raise ConfigurationError(
            f"The ledger does not know the destination {destination.name}.", remedy="Repeat `qianzhi gateway init`."
        )
    for (dataset,), part in sound.partition_by("dataset", as_dict=True, maintain_order=True).items():
        with translated("The results were not imported"):
            _settle(session, by_name[str(dataset)], part, done, reading.now, is_rehearsal=is_rehearsal)
    if done.accepted_count + done.failed_count and not is_rehearsal:
        counts = {
            "lines": done.line_count,
            "accepted": done.accepted_count,
            "failed": done.failed_count,
            "unmatched": done.unmatched_count,
        }
        digest = hashlib.sha256(content).digest()
        deliveries.note_import(session, destination.name, digest=digest, counts=counts, now=reading.now)
        session.commit()
    return done


def _settle(
    session: Session, lane: Lane, lines: pl.DataFrame, done: Imported, now: datetime, *, is_rehearsal: bool
) -> None:
    with lanes.locked(session, lane, patience_seconds=PATIENCE_SECONDS) as is_ours:
        if not is_ours:
            raise RetryableError(
                f"A cycle is at {lane.dataset} and does not let go.", remedy="Import the file again when it is over."
            )
        matched = match(lines, deliveries.of_keys(session, lane.lane_id, lines["key_hash"]))
        answers = _answers(matched)
        if not is_rehearsal:
            _record(session, lane, matched, answers, now)
            session.commit()
    failed = answers.filter(~pl.col("accepted")).height
    done.accepted_count += answers.height - failed
    done.failed_count += failed
    done.known_count += matched.known.height
    done.leave(matched.unmatched)


def _answers(matched: Matched) -> pl.DataFrame:
    return matched.news.group_by("row_id", maintain_order=True).agg(
        accepted=pl.col("accepted").all(), answered_us=pl.col("told_us").max()
    )


def _record(session: Session, lane: Lane, matched: Matched, answers: pl.DataFrame, now: datetime) -> None:
    if answers.is_empty():
        return
    news = deliveries.answer(session, lane.lane_id, answers)
    failed = news.filter(~pl.col("accepted"))
    deliveries.restate(session, lane.lane_id, failed["row_id"])
    said = matched.news.filter(~pl.col("accepted")).join(failed.select("row_id", "batch_id"), on="row_id")
    for (batch_id,), part in said.partition_by("batch_id", as_dict=True).items():
        findings.record(
            session,
            lane.lane_id,
            _findings(part),
            "official",
            rows=part.unique("row_id"),
            batch_id=str(batch_id),
            now=now,
        )


def _findings(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the findings that failed lines tell, in the words of the console."""
    code, reason = pl.col("code").fill_null(""), pl.col("reason").fill_null("")
    return (
        lines.select(
            "row_id",
            "class",
            "field",
            "value",
            code=pl.lit(REPLY_CODE),
            detail=pl.concat_str(code, pl.lit(" "), reason).str.strip_chars().replace("", None),
            severity=pl.lit(Severity.ERROR.value),
        )
        .select(*SCHEMA.names())
        .unique(maintain_order=True)
    )
