"""
The receipt: a regulator's answer to one batch, as JSON that a person can read and a program can settle.

An answer per row by exception: a row that is not named in `rejected` is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from types import NoneType
from typing import Final, TypeVar
from uuid import UUID

import orjson
import polars as pl

from qianzhi.errors import OperatorError

_Kind = TypeVar("_Kind")

DIGEST_BYTES: Final = 32
FINDING = pl.Schema(
    {
        "row_id": pl.Int64,
        "code": pl.String,
        "class": pl.String,
        "field": pl.String,
        "value": pl.String,
        "detail": pl.String,
        "severity": pl.String,
    }
)
_ROW = "row_id"
_OPTIONAL: Final = frozenset({"field", "value", "detail"})


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a destination says of one batch."""

    batch_id: UUID
    digest: bytes
    received_at: datetime
    submitted_count: int
    accepted_count: int
    rejected: pl.Series  # row_id, Int64
    findings: pl.DataFrame  # FINDING; to be encoded, also with reason and remedy


def encode(receipt: Receipt) -> bytes:
    """Return the receipt as JSON bytes."""
    head = {
        "batch_id": str(receipt.batch_id),
        "digest": receipt.digest.hex(),
        "received_at": receipt.received_at.isoformat(),
        "submitted": receipt.submitted_count,
        "accepted": receipt.accepted_count,
        "rejected": receipt.rejected.to_list(),
    }
    # The findings are the long part: written by columns, spliced behind the head.
    return orjson.dumps(head)[:-1] + b',"findings":' + receipt.findings.write_json().encode() + b"}"


def decode(document: bytes) -> Receipt:
    """
    Read a receipt.

    Raises OperatorError when the document is none: whoever answered is not what this gateway thinks it is.
    """
    try:
        said = _all(dict, [orjson.loads(document)])[0]
        batch_id, digest, received_at = _all(str, [said[name] for name in ("batch_id", "digest", "received_at")])
        submitted_count, accepted_count = _all(int, [said["submitted"], said["accepted"]])
        receipt = Receipt(
            batch_id=UUID(batch_id),
            digest=bytes.fromhex(digest),
            received_at=datetime.fromisoformat(received_at),
            submitted_count=submitted_count,
            accepted_count=accepted_count,
            rejected=pl.Series("row_id", _all(int, said["rejected"]), dtype=pl.Int64),
            findings=_findings(said["findings"]),
        )
    except (LookupError, ValueError, TypeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise _nonsense(type(error).__name__) from error
    if len(receipt.digest) != DIGEST_BYTES:
        raise _nonsense("its digest is none")
    if receipt.accepted_count < 0 or receipt.accepted_count + receipt.rejected.n_unique() != receipt.submitted_count:
        raise _nonsense("its counts do not add up")
    return receipt


def _findings(said: object) -> pl.DataFrame:
    """Read findings by columns. A destination may say more of a finding than we know; that stays in the document."""
    findings = _all(dict, said)
    columns = {
        name: _all(
            int if name == "row_id" else str, [finding.get(name) for finding in findings], or_null=name in _OPTIONAL
        )
        for name in FINDING
    }
    return pl.DataFrame(columns, schema_overrides=FINDING).select(*FINDING.names())


def _all(kind: type[_Kind], said: object, *, or_null: bool = False) -> list[_Kind]:
    """Return a list whose members all are of one kind; TypeError for anything else, numbers as texts among them."""
    if not isinstance(said, list) or not set(map(type, said)) <= ({kind, NoneType} if or_null else {kind}):
        raise TypeError(kind.__name__)
    return said


def _nonsense(why: str) -> OperatorError:
    return OperatorError(
        f"The destination's answer is not a receipt ({why}).",
        remedy="Check the destination's address and edition; the batch stays sealed and is sent again.",
    )
