"""What the gateway tells about its rows: tallies and findings, in the words of the two languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from qianzhi.checks.catalogue import HELD_REMEDY, catalogue
from qianzhi.checks.findings import SCHEMA
from qianzhi.gateway import staging
from qianzhi.ledger import findings, tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    from qianzhi.gateway.destination import Destination
    from qianzhi.ledger.tally import Tally

FINDINGS_MAX = 1_000_000


def tallies(connection: psycopg.Connection, destination: Destination) -> dict[str, Tally]:
    """Return where the rows of each dataset are."""
    regulator = destination.regulator
    staged = {each.name: staging.count(connection, regulator.key, each) for each in regulator.datasets}
    return tally.tally(connection, destination.name, staged)


def findings_of(
    connection: psycopg.Connection,
    destination: Destination,
    *,
    dataset: str | None = None,
    language: str = "zh",
    open_only: bool = False,
    limit: int = FINDINGS_MAX,
) -> list[dict[str, Any]]:
    """Return findings and held rows, each with its reason and remedy; all, or those that still ask for work."""
    listed = findings.listed(connection, destination.name, dataset=dataset, open_only=open_only, limit=limit)
    return explained(listed, destination, language)


def with_dataset(parts: Iterable[tuple[str, pl.DataFrame]]) -> pl.DataFrame:
    """Return the findings of several datasets as one frame with a column dataset."""
    frames = [frame.select(pl.lit(dataset).alias("dataset"), *SCHEMA.names()) for dataset, frame in parts]
    return pl.concat(frames) if frames else pl.DataFrame(schema=findings.LISTED)


def explained(listed: pl.DataFrame, destination: Destination, language: str) -> list[dict[str, Any]]:
    """Return findings (with a column dataset, and is_held where some may be held) in their public form."""
    texts, waits = catalogue(destination.regulator), pl.lit(HELD_REMEDY.said(language))
    frames = [
        texts.explain_frame(part, str(name), language)
        for (name,), part in sorted(listed.partition_by("dataset", as_dict=True).items())
    ]
    if "is_held" in listed.columns:
        told = pl.when("is_held").then(waits).otherwise("remedy").alias("remedy")
        frames = [frame.with_columns(told) for frame in frames]
    if not frames:
        return []
    public = ("dataset", "row_id", "code", "class", "field", "value", "reason", "remedy", "severity")
    return pl.concat(frames).select(*public).to_dicts()
