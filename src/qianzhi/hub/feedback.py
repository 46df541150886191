"""What institutions and the regulator's people read of past batches: the log, failed records, findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import polars as pl
from psycopg import sql
from psycopg.rows import dict_row

from qianzhi.checks.catalogue import catalogue
from qianzhi.checks.findings import SCHEMA
from qianzhi.db.queries import load
from qianzhi.hub import tables
from qianzhi.regulators import regulator

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

    from qianzhi.checks.catalogue import Catalogue
    from qianzhi.db.server import Session
    from qianzhi.hub.reception import Served
    from qianzhi.specs.model import Dataset

LOG_COUNT_MAX: Final = 500
FAILED_COUNT_MAX: Final = 200
FINDINGS_COUNT_MAX: Final = 10_000

_WHOSE: Final = dict.fromkeys(("regulator", "institution", "dataset", "batch_id", "found_at"), pl.String)
_LISTED: Final = pl.Schema([*_WHOSE.items(), *SCHEMA.items()])
_QUERIES = load("qianzhi.hub", "feedback.sql")


def explained(found: pl.DataFrame, sentences: Catalogue, dataset: str) -> pl.DataFrame:
    """Return findings with reason and remedy in Chinese, and in English as reason_en and remedy_en."""
    if found.is_empty():
        return found
    chinese = sentences.explain_frame(found, dataset, "zh")
    english = sentences.explain_frame(found, dataset, "en")
    return chinese.with_columns(reason_en=english["reason"], remedy_en=english["remedy"])


def log(
    session: Session,
    institution_id: int,
    regulator: str,
    *,
    first: date | None = None,
    last: date | None = None,
    dataset: str | None = None,
    page: int = 0,
) -> list[dict[str, Any]]:
    """Return the validation log of an institution between two local days, a page of LOG_COUNT_MAX lines."""
    with session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            _QUERIES.log,
            {
                "institution_id": institution_id,
                "regulator": regulator,
                "first": first,
                "last": last,
                "dataset": dataset,
                "count": LOG_COUNT_MAX,
                "skip": page * LOG_COUNT_MAX,
            },
        ).fetchall()


def log_of_all(session: Session, institution: str | None, dataset: str | None, count: int) -> list[dict[str, Any]]:
    """Return the newest lines of the validation log of every institution, or of one by its code."""
    asked = {"institution": institution, "dataset": dataset, "count": min(count, FINDINGS_COUNT_MAX)}
    with session.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_QUERIES.log_of_all, asked).fetchall()


def failed(
    session: Session, institution_id: int, served: Served, batch_id: UUID, *, after: int
) -> list[dict[str, Any]] | None:
    """
    Return the failed records of a batch, each with row_id, content as it came, and findings with reason and remedy.

    At most FAILED_COUNT_MAX, those whose row_id is greater than `after`; None when the institution sent no such batch.
    """
    with session.cursor(row_factory=dict_row) as cursor:
        scope = {"institution_id": institution_id, "regulator": served.regulator.key, "batch_id": batch_id}
        batch = cursor.execute(_QUERIES.batch, scope).fetchone()
        if batch is None:
            return None
        dataset = served.regulator.dataset(batch["dataset"])
        query = sql.SQL(_QUERIES.failed).format(
            columns=sql.SQL(", ").join(sql.Identifier(field.name.lower()) for field in dataset.fields),
            table=tables.table(served.regulator.key, dataset.name),
        )
        place = {"batch_seq": batch["batch_seq"], "after": after, "count": FAILED_COUNT_MAX}
        rows = cursor.execute(query, place).fetchall()
        asked = {"batch_seq": batch["batch_seq"], "row_ids": [row["row_id"] for row in rows]}
        found = cursor.execute(_QUERIES.findings_of_rows, asked).fetchall()
    frame = pl.DataFrame(found, schema=SCHEMA, orient="row")
    return _with_findings(rows, explained(frame, served.catalogue, dataset.name).to_dicts(), dataset)


def findings(
    session: Session,
    *,
    institution: str | None = None,
    dataset: str | None = None,
    since: datetime | None = None,
    count: int = FINDINGS_COUNT_MAX,
    language: str = "zh",
) -> list[dict[str, Any]]:
    """Return the newest findings of the hub, at most `count`, with reason and remedy in a language."""
    asked = {
        "institution": institution,
        "dataset": dataset,
        "since": since,
        "count": min(count, FINDINGS_COUNT_MAX),
    }
    with session.cursor(row_factory=dict_row) as cursor:
        found = pl.DataFrame(cursor.execute(_QUERIES.findings, asked).fetchall(), schema=_LISTED, orient="row")
    told = [
        catalogue(regulator(str(key))).explain_frame(frame, None, language)
        for (key,), frame in found.group_by("regulator", maintain_order=True)
    ]
    return pl.concat(told).to_dicts() if told else []


def _with_findings(rows: list[dict[str, Any]], found: list[dict[str, Any]], dataset: Dataset) -> list[dict[str, Any]]:
    of_row: dict[int, list[dict[str, Any]]] = {}
    for finding in found:
        of_row.setdefault(finding.pop("row_id"), []).append(finding)
    return [
        {
            "row_id": row["row_id"],
            "content": {field.name: row[field.name.lower()] for field in dataset.fields},
            "findings": of_row.get(row["row_id"], []),
        }
        for row in rows
    ]
