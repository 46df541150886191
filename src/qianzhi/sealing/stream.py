"""
The Arrow IPC stream inside an envelope, read without trusting it.

What a stranger's stream declares costs nothing to write and may cost a reader everything: lengths, columns, batches
and compression within compression are therefore bounded before pyarrow acts upon them.
"""

from __future__ import annotations

import struct
from typing import Final

import pyarrow as pa

from qianzhi.errors import SenderError

BYTES_PER_STEP: Final = 4 * 2**20
METADATA_BYTES_MAX: Final = 2**20  # of the schema, and of the description of the rows
_MESSAGE_HEADER: Final = 2  # numbers of fields, counted in Arrow's Message.fbs
_BATCH_COMPRESSION: Final = 3


def unpacked(sealed: bytes, *, bytes_max: int) -> bytes:
    """Return what zstd packed. Raises SenderError beyond `bytes_max`, OSError for what zstd did not pack."""
    parts: list[bytes] = []
    length = 0
    with pa.CompressedInputStream(pa.BufferReader(sealed), "zstd") as stream:
        while step := stream.read(BYTES_PER_STEP):
            length += len(step)
            if length > bytes_max:
                raise too_large(bytes_max)
            parts.append(step)
    return b"".join(parts)


def read_messages(stream: bytes) -> tuple[pa.Schema, pa.ipc.Message]:
    """
    Return the schema and the only record batch of a stream, the latter not yet read.

    Reading it allocates no more than the stream is long. Raises SenderError, and what pyarrow raises.
    """
    reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(stream))
    schema = pa.ipc.read_schema(_next(reader, "schema"))
    batch = _next(reader, "record batch")
    if _is_compressed(batch.metadata.to_pybytes()):
        raise unsound("its rows are compressed once more within the stream")
    _require_end(reader)
    return schema, batch


def _next(reader: pa.ipc.MessageReader, kind: str) -> pa.ipc.Message:
    try:
        message = reader.read_next_message()
    except StopIteration:
        raise (no_rows() if kind == "record batch" else unsound("it is empty")) from None
    if message.type != kind:
        raise unsound(f"a {message.type} stands where a {kind} belongs")
    if message.metadata.size > METADATA_BYTES_MAX:
        raise unsound(f"the description of its {kind} is larger than {METADATA_BYTES_MAX} bytes")
    return message


def _require_end(reader: pa.ipc.MessageReader) -> None:
    try:
        reader.read_next_message()
    except StopIteration:
        return
    raise unsound("it has more than one record batch")


def _is_compressed(description: bytes) -> bool:
    """
    Tell whether a record batch says that its buffers are compressed.

    A few bytes could then unpack to any length, and pyarrow has no switch to refuse them. The description is a
    flatbuffer that pyarrow has verified: from a table one goes to its table of offsets, and from there to a field.
    """
    try:
        (message,) = struct.unpack_from("<I", description)
        header = _field_at(description, message, _MESSAGE_HEADER)
        (distance,) = struct.unpack_from("<I", description, header)
        return _field_at(description, header + distance, _BATCH_COMPRESSION) != 0
    except struct.error as error:
        raise unsound("its rows are not described") from error


def _field_at(flatbuffer: bytes, table: int, number: int) -> int:
    """Return where a table's field lies, or 0 where the table does not have it."""
    (distance,) = struct.unpack_from("<i", flatbuffer, table)
    (size,) = struct.unpack_from("<H", flatbuffer, table - distance)
    slot = 4 + 2 * number
    if slot >= size:
        return 0
    (offset,) = struct.unpack_from("<H", flatbuffer, table - distance + slot)
    return table + int(offset) if offset else 0


def no_rows() -> SenderError:
    """Return the refusal of a batch without rows."""
    return SenderError("The batch has no rows.", remedy="Send at least one row.")


def too_large(bytes_max: int) -> SenderError:
    """Return the refusal of a batch beyond its bound."""
    return SenderError(
        f"The batch is larger than {bytes_max} bytes when unpacked.", remedy="Send it in smaller batches."
    )


def unsound(why: str) -> SenderError:
    """Return the refusal of what is no envelope."""
    return SenderError(
        f"The body is not a sound batch ({why}).",
        remedy="Send one zstd-compressed Arrow IPC stream of one uncompressed record batch, "
        "with the manifest in its schema metadata.",
    )
