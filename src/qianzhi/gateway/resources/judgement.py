"""What the product's own checks find in records that are not saved yet. Reads images, writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from qianzhi.checks.checker import checker
from qianzhi.checks.findings import concat
from qianzhi.gateway import images, staging

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from qianzhi.gateway.destination import Destination
    from qianzhi.gateway.images import PathMap
    from qianzhi.specs.model import Dataset

FIRST_ROW_ID: Final = 1


def frame_of(rows: Sequence[Mapping[str, str | None]], dataset: Dataset) -> pl.DataFrame:
    """Return rows as a raw frame, numbered from FIRST_ROW_ID in their order."""
    columns = {field.name: [row.get(field.name) for row in rows] for field in dataset.fields}
    numbered = pl.int_range(FIRST_ROW_ID, FIRST_ROW_ID + len(rows), dtype=pl.Int64, eager=True)
    return pl.DataFrame({"row_id": numbered, **columns}, schema=staging.raw_schema(dataset))


def judge(
    raw: pl.DataFrame,
    dataset: Dataset,
    destination: Destination,
    paths: PathMap,
    *,
    at_hand: Collection[str] = (),
    as_of: datetime,
) -> pl.DataFrame:
    """
    Return the findings (findings.SCHEMA) of whole rows: structure, row and batch rules, code maps, images.

    `at_hand` are paths of pictures that will be kept together with the rows: they are in order.
    """
    mapped = staging.mapped(raw, dataset, destination.maps)
    checked = checker(destination.regulator, dataset).check(mapped, as_of=as_of)
    elsewhere = mapped.with_columns(
        pl.when(~pl.col(field.name).is_in(list(at_hand))).then(field.name).alias(field.name)
        for field in dataset.image_fields
    )
    return concat([checked.findings, images.inspect(elsewhere, dataset, paths)])
