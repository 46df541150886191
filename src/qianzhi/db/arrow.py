"""
Columns in and out of PostgreSQL: a query to a Polars frame, a frame into a table, both inside the caller's transaction.

Both ways go through COPY in CSV, which Polars reads and writes at about a million rows a second and in which NULL
(nothing) and the empty text (two quotes) differ. Frames hold String and Int64 columns; a query casts the rest to them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, LiteralString

import polars as pl
from psycopg import ClientCursor, sql
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus

from qianzhi.errors import OperatorError

if TYPE_CHECKING:
    from psycopg.abc import Params
    from psycopg.pq.abc import PGconn, PGresult

    from qianzhi.db.server import Session

BLOCK_ROWS_MAX = 5_000  # measured: blocks of 20,000 rows are a quarter slower, they leave the processor's cache
BLOCK_BYTES_MAX = 32 * 1024 * 1024
_WAIT = 0  # libpq shall not return before there is a row
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OUT = sql.SQL("COPY ({query}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')")
_IN = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')")

Schema = Mapping[str, pl.DataType | type[pl.DataType]]
Query = LiteralString | sql.Composable


def read(connection: Session, query: Query, parameters: Params | None = None, *, schema: Schema) -> pl.DataFrame:
    """
    Read the rows of a query as one frame, in the query's order.

    `schema` names the columns in the order of the query, each String or Int64. The client puts the parameters in.
    """
    blocks = list(read_blocks(connection, query, parameters, schema=schema))
    return pl.concat(blocks) if blocks else pl.DataFrame(schema=schema)


def read_blocks(
    connection: Session, query: Query, parameters: Params | None = None, *, schema: Schema
) -> Generator[pl.DataFrame]:
    """
    Read the rows of a query in frames of bounded size, so that a table of any size can be read.

    The connection can do nothing else until the last frame was taken or the iterator was closed. Closing it early
    cancels the query, and with it the transaction, if there is one.
    """
    statement = _OUT.format(query=sql.SQL(query) if isinstance(query, str) else query)
    with closing(_messages(connection, ClientCursor(connection).mogrify(statement, parameters).encode())) as messages:
        for text, count in _blocks(messages):
            yield _parse(text, count, schema)


def write(
    connection: Session, table: str, frames: pl.DataFrame | Iterable[pl.DataFrame], *, columns: Sequence[str] = ()
) -> int:
    """
    Append a frame, or frames of the same columns, to a table, and give the number of rows.

    `table` is "schema.table"; `columns` are the table's names for the frame's columns, by default the same names.
    A text with a NUL character is refused by the server with SQLSTATE 22021, and the transaction with it.
    """
    blocks = iter((frames,) if isinstance(frames, pl.DataFrame) else frames)
    first = next(blocks, None)
    if first is None:
        return 0
    written = 0
    names = sql.SQL(", ").join(map(sql.Identifier, columns or first.columns))
    statement = _IN.format(table=sql.Identifier(*table.split(".")), columns=names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for frame in chain((first,), blocks):
            for block in frame.iter_slices(_rows_of_a_block(frame)):
                copy.write(_format(block))
            written += frame.height
    return written


def _messages(connection: Session, statement: bytes) -> Generator[bytes | bytearray | memoryview]:
    """
    Yield the messages of a COPY, one a row.

    libpq is asked directly: a cursor's way costs as much for each row as PostgreSQL takes to make it.
    """
    if connection.info.transaction_status is TransactionStatus.IDLE and not connection.autocommit:
        connection.execute("SELECT")  # begins the transaction, as every statement does
    with connection.lock:
        result = connection.pgconn.exec_(statement)
        if result.status != ExecStatus.COPY_OUT:
            raise error_from_result(result)
        ended = False
        try:
            yield from _sent(connection.pgconn)
            ended = True
        finally:
            if not ended:  # the reader wants no more: let the server stop, and throw away what is on its way
                connection.cancel_safe()
                deque(_sent(connection.pgconn), maxlen=0)
            last = _last_result(connection.pgconn)
        if last is not None and last.status != ExecStatus.COMMAND_OK:
            raise error_from_result(last)


def _sent(pgconn: PGconn) -> Iterator[bytes | bytearray | memoryview]:
    while (row := pgconn.get_copy_data(_WAIT))[0] > 0:
        yield row[1]


def _last_result(pgconn: PGconn) -> PGresult | None:
    last = None
    while (result := pgconn.get_result()) is not None:
        last = result
    return last


def _blocks(rows: Iterable[bytes | bytearray | memoryview]) -> Iterator[tuple[bytes, int]]:
    """
    Gather messages of COPY, one a row, up to the bounds of a block: their text, and how many they are.

    One growing text instead of an object a row: thousands of those would set off the garbage collector.
    """
    text, count = bytearray(_BYTE_ORDER_MARK), 0
    for row in rows:
        text += row
        count += 1
        if count == BLOCK_ROWS_MAX or len(text) >= BLOCK_BYTES_MAX:
            yield bytes(text), count
            text, count = bytearray(_BYTE_ORDER_MARK), 0
    if count:
        yield bytes(text), count


def _parse(text: bytes, count: int, schema: Schema) -> pl.DataFrame:
    # Polars drops one byte order mark at the beginning: ours, and never one of the first value.
    frame = pl.read_csv(text, has_header=False, schema=dict(schema), raise_if_empty=False)
    if frame.height != count:
        raise OperatorError(
            f"PostgreSQL sent {count} rows, and {frame.height} were understood.",
            remedy="Nothing was taken over; report this as a defect of the product.",
        )
    return frame


def _format(block: pl.DataFrame) -> memoryview:
    text = BytesIO()
    # A single column is quoted throughout: PostgreSQL before 18 ends the copy at a line of backslash and full stop.
    block.write_csv(text, include_header=False, quote_style="non_numeric" if block.width == 1 else "necessary")
    return text.getbuffer()


def _rows_of_a_block(frame: pl.DataFrame) -> int:
    bytes_of_a_row = max(1, int(frame.estimated_size()) // max(1, frame.height))
    return max(1, min(BLOCK_ROWS_MAX, BLOCK_BYTES_MAX // bytes_of_a_row))
