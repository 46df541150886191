"""
Archive files: Parquet (zstd) with a label, personal columns encrypted under a data key of the file's own.

The encryption is Parquet's own ("modular encryption", AES-GCM): every reader that knows it can read such a file with
the key, and any reader can read the other columns without. The data keys lie in the file, wrapped by the key file's
newest version and bound to the label; the footer is plain and signed.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64decode, b64encode
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet import encryption

from qianzhi.errors import OperatorError
from qianzhi.runtime.files import written_durably
from qianzhi.sealing import cipher

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from qianzhi.runtime.keyfile import KeyFile

GROUP_ROWS_MAX = 20_000
GROUP_BYTES_MAX = 32 * 2**20  # a group is held in memory while it is written
READ_ROWS = 5_000
ROW_ID = "row_id"
_LABEL = b"qianzhi"
_DATA_KEY_BITS = 256
_KEY_LIFETIME = timedelta(minutes=10)  # of unwrapped data keys in memory; one file is read in less


@dataclass(frozen=True, slots=True)
class Label:
    """What a file says of itself, in its footer; `month` is YYYY-MM."""

    regulator: str
    dataset: str
    edition: str
    month: str
    part: int

    @property
    def name(self) -> str:
        """What the file's data keys are bound to."""
        return f"archive {self.regulator}/{self.dataset}/{self.month}/{self.part}"


@dataclass(frozen=True, slots=True)
class Contents:
    """How many rows, and the SHA-256 over all of their values: the same for the same rows, however they are stored."""

    row_count: int
    digest: bytes


class Checksum:
    """Adds frames up to Contents. Frames hold row_id (Int64) and String columns; where they are cut does not matter."""

    def __init__(self) -> None:
        self._row_count = 0
        self._columns: dict[str, tuple[Any, Any]] = {}

    def add(self, frame: pl.DataFrame) -> None:
        """Count a frame that follows those before."""
        self._row_count += frame.height
        for column in frame:
            shape, text = self._columns.setdefault(column.name, (hashlib.sha256(), hashlib.sha256()))
            if column.dtype == pl.String:
                # A length for each value keeps neighbours apart, and -1 keeps nothing apart from the empty text.
                shape.update(_numbers(column.str.len_bytes().cast(pl.Int64).fill_null(-1)))
                text.update("".join(column.drop_nulls().to_list()).encode())
            else:
                shape.update(_numbers(column))

    def contents(self) -> Contents:
        """Return what was added up."""
        every = hashlib.sha256()
        for name, (shape, text) in self._columns.items():
            every.update(hashlib.sha256(name.encode()).digest() + shape.digest() + text.digest())
        return Contents(self._row_count, every.digest())


def write(
    path: Path, frames: Iterable[pl.DataFrame], label: Label, personal: Collection[str], keys: KeyFile | None
) -> Contents:
    """
    Write an archive file durably, in bounded memory; return what was written.

    The personal columns are encrypted where there are keys. Raises OSError when the disk is full, OperatorError
    without the key; then there is no file.
    """
    checksum = Checksum()
    key_id = None if keys is None else keys.newest.key_id.hex()
    with written_durably(path) as file:
        writer = None
        for group in _groups(frames):
            checksum.add(group)
            table = group.to_arrow(compat_level=pl.CompatLevel.oldest())
            if writer is None:
                encrypted = [name for name in table.column_names if name in personal]
                properties = _encryption(keys, label, encrypted) if keys is not None and encrypted else None
                key_id = key_id if properties is not None else None
                writer = pq.ParquetWriter(file, table.schema, compression="zstd", encryption_properties=properties)
            writer.write_table(table, row_group_size=GROUP_ROWS_MAX)
        if writer is not None:
            said = {**asdict(label), "row_count": checksum.contents().row_count, "key_id": key_id}
            writer.add_key_value_metadata({_LABEL: orjson.dumps(said)})
            writer.close()
    return checksum.contents()


def label_of(path: Path) -> tuple[Label, bytes | None]:
    """Return what a file says of itself, and the id of the key that its personal columns need; needs no key itself."""
    with _read(path):
        said = orjson.loads(pq.read_metadata(path).metadata[_LABEL])
        key_id = said.pop("key_id")
        said.pop("row_count")
        return Label(**said), None if key_id is None else bytes.fromhex(key_id)


def names_of(path: Path) -> list[str]:
    """Return the columns of a file; needs no key."""
    with _read(path):
        return list(pq.read_schema(path).names)


def frames_of(path: Path, keys: KeyFile | None, *, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file in bounded frames. Raises OperatorError where it is damaged or its key is missing."""
    label, key_id = label_of(path)
    properties = None
    if key_id is not None and columns is None:
        properties = _decryption(keys, label)
    with _read(path), pq.ParquetFile(path, decryption_properties=properties) as file:
        for batch in file.iter_batches(READ_ROWS, columns=columns):
            yield pl.DataFrame(pa.Table.from_batches([batch]))


def contents_of(path: Path, keys: KeyFile | None) -> Contents:
    """Return what a file holds, from reading all of it."""
    checksum = Checksum()
    for frame in frames_of(path, keys):
        checksum.add(frame)
    return checksum.contents()


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file's bytes."""
    with _read(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _groups(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Gather frames up to the bounds of a row group."""
    held: list[pl.DataFrame] = []
    for frame in frames:
        held.append(frame)
        rows, size = sum(each.height for each in held), sum(each.estimated_size() for each in held)
        if rows >= GROUP_ROWS_MAX or size >= GROUP_BYTES_MAX:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)


def _numbers(column: pl.Series) -> memoryview:
    """Return the bytes of a column of numbers without nulls."""
    held = column.rechunk().to_arrow()
    return memoryview(held.buffers()[1] or b"")[8 * held.offset : 8 * (held.offset + len(held))]


def _encryption(keys: KeyFile, label: Label, columns: list[str]) -> encryption.FileEncryptionProperties:
    key_id = keys.newest.key_id.hex()
    wanted = encryption.EncryptionConfiguration(
        footer_key=key_id,
        column_keys={key_id: columns},
        plaintext_footer=True,
        double_wrapping=False,
        data_key_length_bits=_DATA_KEY_BITS,
    )
    return _factory(keys, label).file_encryption_properties(encryption.KmsConnectionConfig(), wanted)


def _decryption(keys: KeyFile | None, label: Label) -> encryption.FileDecryptionProperties:
    if keys is None:
        raise OperatorError(
            f"The personal columns of the {label.name} are encrypted, and no key file is set.",
            remedy="Set gateway.encryption.key_file to the key file that it was written with.",
        )
    wanted = encryption.DecryptionConfiguration(cache_lifetime=_KEY_LIFETIME)
    return _factory(keys, label).file_decryption_properties(encryption.KmsConnectionConfig(), wanted)


def _factory(keys: KeyFile, label: Label) -> encryption.CryptoFactory:
    return encryption.CryptoFactory(lambda _connection: _Keys(keys, label))


class _Keys(encryption.KmsClient):  # type: ignore[misc]
    """Wraps the data keys of one file by the key file, as Parquet asks its "key management service" to."""

    def __init__(self, keys: KeyFile, label: Label) -> None:
        super().__init__()
        self._keys = keys
        self._name = label.name

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        """Encrypt a data key under a version of the key."""
        secret = self._keys.key(bytes.fromhex(master_key_identifier), self._name).secret
        return b64encode(cipher.wrap(secret, key_bytes, secrets.token_bytes(cipher.SALT_BYTES), self._name))

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        """Decrypt a data key."""
        secret = self._keys.key(bytes.fromhex(master_key_identifier), self._name).secret
        return cipher.unwrap(secret, b64decode(wrapped_key), self._name)


@contextmanager
def _read(path: Path) -> Iterator[None]:
    """Say in our own words that a file cannot be read; the library's own might quote what it found there."""
    try:
        yield
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError) as error:
        raise OperatorError(
            f"The archive {path.name} is damaged, cut off or missing ({type(error).__name__}).",
            remedy="Restore the archive folder from the last backup.",
        ) from None
