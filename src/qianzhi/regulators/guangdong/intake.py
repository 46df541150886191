"""
How a batch comes in at the hub: as a sealed envelope, or as JSON so that any HTTP client can send one.

Rows have the columns of the envelope either way; an image's blob was sent before its row.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import orjson
import polars as pl

from qianzhi.errors import SenderError
from qianzhi.runtime import clock
from qianzhi.sealing.envelopes import MEDIA_TYPE as SEALED
from qianzhi.sealing.envelopes import Envelope, Manifest, columns_of, open_envelope

if TYPE_CHECKING:
    from uuid import UUID

    from qianzhi.specs.model import Dataset, Regulator

JSON: Final = "application/json"
MEDIA_TYPES: Final = (SEALED, JSON)
JSON_ROW_COUNT_MAX: Final = 10_000
JSON_BYTES_MAX: Final = 16 * 2**20
"""Read, it takes ten times as much memory."""


_MANIFEST_KEYS: Final = frozenset({"dataset", "edition", "ruleset", "as_of", "institution", "rows"})
_FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,30}")
_NAMES_MAX: Final = 5
_JSON_REMEDY: Final = (
    'Send {"dataset", "edition", "ruleset", "as_of", "institution", "rows": [{"row_id": 1, "<FIELD>": "text"}, …]}.'
)


def open_batch(body: bytes, media_type: str, batch_id: UUID, regulator: Regulator) -> Envelope:
    """
    Decode a body into its manifest and rows, whose columns are then row_id and `columns_of(dataset)`.

    JSON says its batch id in the address alone. Raises SenderError for whatever is no sound batch.
    """
    if media_type == JSON:
        return _open_json(body, batch_id, regulator)
    envelope = open_envelope(body)
    expected = columns_of(_dataset(regulator, envelope.manifest.dataset))
    if envelope.rows.columns[1:] != expected:
        raise SenderError(
            "The columns of the batch are not those of the dataset's edition.",
            remedy="Send row_id, the fields in the order of the edition, then a column <FIELD>#blob for each image.",
        )
    return envelope


def _dataset(regulator: Regulator, name: str) -> Dataset:
    for dataset in regulator.datasets:
        if dataset.name == name:
            return dataset
    raise SenderError(
        f"The regulator {regulator.key} has no such dataset.",
        remedy=f"Send one of: {', '.join(dataset.name for dataset in regulator.datasets)}.",
    )


def _open_json(body: bytes, batch_id: UUID, regulator: Regulator) -> Envelope:
    if len(body) > JSON_BYTES_MAX:
        raise SenderError(
            f"The batch is larger than {JSON_BYTES_MAX} bytes of JSON.", remedy="Send it in smaller batches, or sealed."
        )
    try:
        said: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise SenderError("The body is not JSON in UTF-8.", remedy=_JSON_REMEDY) from error
    if not isinstance(said, dict) or said.keys() != _MANIFEST_KEYS:
        raise SenderError("The body has not exactly the keys of a batch.", remedy=_JSON_REMEDY)
    rows = said.pop("rows")
    if not all(isinstance(value, str) for value in said.values()):
        raise SenderError("A key of the batch does not hold a text.", remedy=_JSON_REMEDY)
    dataset = _dataset(regulator, said["dataset"])
    manifest = Manifest(
        batch_id=batch_id,
        regulator=regulator.key,
        dataset=dataset.name,
        edition=said["edition"],
        ruleset=said["ruleset"],
        institution=said["institution"],
        as_of=_instant(said["as_of"]),
    )
    return Envelope(manifest, _frame(rows, columns_of(dataset)))


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return clock.local(moment) if moment.tzinfo else moment
    except (ValueError, OverflowError) as error:
        raise SenderError("as_of is no instant.", remedy="Write local time as 2026-11-20T03:00:00.") from error


def _frame(rows: object, texts: list[str]) -> pl.DataFrame:
    if not isinstance(rows, list) or not rows or set(map(type, rows)) != {dict}:
        raise SenderError("'rows' is no list of one or more objects.", remedy=_JSON_REMEDY)
    if len(rows) > JSON_ROW_COUNT_MAX:
        raise SenderError(
            f"The batch has {len(rows)} rows; as JSON at most {JSON_ROW_COUNT_MAX} are taken.",
            remedy="Send it in smaller batches, or sealed.",
        )
    if unknown := set().union(*rows).difference(texts, ("row_id",)):
        # A name of this shape is a misspelt field; anything else could be a value in the wrong place.
        named = ", ".join(sorted(name for name in unknown if _FIELD_NAME.fullmatch(name))[:_NAMES_MAX])
        raise SenderError(
            f"A row has a field that the dataset does not have{named and ': '}{named}.",
            remedy="Send fields of the dataset only, spelt as it spells them.",
        )
    row_ids = [row.pop("row_id", None) for row in rows]
    types = set(map(type, chain.from_iterable(map(dict.values, rows))))
    # Numbers are refused and not written out: 0.10 would lose its last digit on the way to a text.
    if set(map(type, row_ids)) != {int} or not types <= {str, type(None)}:
        raise _wrong_types()
    try:
        numbers = pl.Series("row_id", row_ids, dtype=pl.Int64)
    except (OverflowError, pl.exceptions.PolarsError) as error:
        raise _wrong_types() from error
    return pl.DataFrame(rows, schema=dict.fromkeys(texts, pl.String), orient="row").insert_column(0, numbers)


def _wrong_types() -> SenderError:
    return SenderError(
        "A row has a field that is neither a text nor null, or no whole row_id.",
        remedy="Write every field as a text, numbers and dates too, and give each row a whole number as row_id.",
    )
