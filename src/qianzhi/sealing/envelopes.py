"""
The envelope in which a batch travels where the wire is ours.

An Arrow IPC stream of one record batch (row_id, then one text column a field), its schema metadata saying what
it is, the whole compressed with zstd. The compression is around the stream and not inside it, so that a reader
can stop at a bound before it has allocated anything: a bomb costs its sender more than its reader.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import polars as pl
import pyarrow as pa

from qianzhi.errors import SenderError
from qianzhi.sealing.stream import no_rows, read_messages, too_large, unpacked, unsound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.specs.model import Dataset

MEDIA_TYPE = "application/vnd.qianzhi.batch+zstd"
ROW_COUNT_MAX = 100_000
DECODED_BYTES_MAX = 512 * 2**20
_PREFIX = b"qianzhi."
_IMAGES = _PREFIX + b"images"
_FOLLOW = b"follow"
_NARROW_BYTES_MAX = 2**31 - 1  # an offset of 32 bits reaches no further
_COMPRESSION_LEVEL = 1
_TEXT_TYPES = (pa.string(), pa.large_string())  # no views: a few bytes seen a million times are no small text


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an envelope says of itself."""

    batch_id: UUID
    regulator: str
    dataset: str
    edition: str
    ruleset: str
    institution: str
    as_of: datetime  # local time of Asia/Shanghai, without zone
    images_follow: bool = False  # the sender holds every image that a row names, and sends it after the rows


@dataclass(frozen=True, slots=True)
class Envelope:
    """An opened envelope: its manifest and its rows (row_id Int64, then String columns)."""

    manifest: Manifest
    rows: pl.DataFrame


def columns_of(dataset: Dataset) -> list[str]:
    """
    Return the text columns of a dataset's envelope: its fields, then the blob of each image field.

    A blob column holds the hexadecimal SHA-256 of the image, or null where the sender could not read it.
    """
    names = [field.name for field in dataset.fields]
    return names + [blob_column(field.name) for field in dataset.image_fields]


def blob_column(name: str) -> str:
    """Return the name of the column that carries the digest of an image field's blob."""
    return f"{name}#blob"


def digest(sealed: bytes) -> bytes:
    """Return the 32 bytes that prove two sealed envelopes to be the same."""
    return hashlib.sha256(sealed).digest()


def seal(manifest: Manifest, rows: pl.DataFrame) -> bytes:
    """Encode rows and manifest into the bytes that are committed before the first attempt and sent unchanged."""
    table = _narrowed(rows.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks())
    metadata = {
        _PREFIX + name.encode(): str(value).encode()
        for name, value in (
            ("batch_id", manifest.batch_id),
            ("regulator", manifest.regulator),
            ("dataset", manifest.dataset),
            ("edition", manifest.edition),
            ("ruleset", manifest.ruleset),
            ("institution", manifest.institution),
            ("as_of", manifest.as_of.isoformat()),
        )
    }
    if manifest.images_follow:
        metadata[_IMAGES] = _FOLLOW
    table = table.replace_schema_metadata(metadata)
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    sealed: bytes = pa.Codec("zstd", compression_level=_COMPRESSION_LEVEL).compress(stream.getvalue(), asbytes=True)
    return sealed


def _narrowed(table: pa.Table) -> pa.Table:
    """Return texts with offsets of 32 bits where they suffice: half as many bytes that say nothing."""
    if table.nbytes > _NARROW_BYTES_MAX:
        return table
    narrow = [field.with_type(pa.string()) if field.type == pa.large_string() else field for field in table.schema]
    return table.cast(pa.schema(narrow))


def open_envelope(sealed: bytes, fields: Sequence[str] | None = None) -> Envelope:
    """
    Decode a sealed envelope.

    With `fields`, the columns must be exactly row_id and these. Raises SenderError for anything that is not
    a sound envelope within the bounds; nothing is allocated beyond them.
    """
    try:
        schema, message = read_messages(unpacked(sealed, bytes_max=DECODED_BYTES_MAX))
        _require_columns(schema, fields)
        batch = pa.ipc.read_record_batch(message, schema)
        _require_size(batch)
        batch.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unsound(type(error).__name__) from error
    return Envelope(_manifest(schema.metadata or {}), _frame(batch))


def _frame(batch: pa.RecordBatch) -> pl.DataFrame:
    plain = [pa.field(field.name, field.type) for field in batch.schema]  # an extension's name stands in its metadata
    frame = pl.from_arrow(pa.Table.from_batches([pa.RecordBatch.from_arrays(batch.columns, schema=pa.schema(plain))]))
    if not isinstance(frame, pl.DataFrame):
        raise unsound("no table")
    return frame


def _require_columns(schema: pa.Schema, fields: Sequence[str] | None) -> None:
    if schema.names[:1] != ["row_id"] or schema.field(0).type != pa.int64():
        raise unsound("the first column is not row_id of int64")
    if any(column.type not in _TEXT_TYPES for column in list(schema)[1:]):
        raise unsound("a column is neither utf8 nor large_utf8")
    if len(set(schema.names)) < len(schema.names):
        raise unsound("two columns have one name")
    if fields is not None and schema.names[1:] != list(fields):
        raise SenderError(
            "The columns of the batch are not those of the dataset's edition.",
            remedy="Send row_id and then the fields in the order of the edition, spelt as it spells them.",
        )


def _require_size(batch: pa.RecordBatch) -> None:
    if batch.num_rows > ROW_COUNT_MAX:
        raise SenderError(
            f"The batch has {batch.num_rows} rows; at most {ROW_COUNT_MAX} are taken.",
            remedy="Send it in smaller batches.",
        )
    if batch.num_rows == 0:
        raise no_rows()
    if batch.column(0).null_count:
        raise unsound("a row has no row_id")
    # Columns may lie over each other in the stream, so that all of them are larger than it.
    buffers = [buffer for column in batch.columns for buffer in column.buffers() if buffer is not None]
    if sum(buffer.size for buffer in buffers) > DECODED_BYTES_MAX:
        raise too_large(DECODED_BYTES_MAX)


def _manifest(metadata: dict[bytes, bytes]) -> Manifest:
    try:
        said = {
            name.removeprefix(_PREFIX).decode(): value.decode()
            for name, value in metadata.items()
            if name.startswith(_PREFIX)
        }
        as_of = datetime.fromisoformat(said["as_of"])
        if as_of.tzinfo is not None:
            raise unsound("its as_of has a zone")
        return Manifest(
            batch_id=UUID(said["batch_id"]),
            regulator=said["regulator"],
            dataset=said["dataset"],
            edition=said["edition"],
            ruleset=said["ruleset"],
            institution=said["institution"],
            as_of=as_of,
            images_follow=metadata.get(_IMAGES) == _FOLLOW,
        )
    except (KeyError, ValueError) as error:
        raise unsound("its manifest is incomplete") from error
