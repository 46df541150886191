"""Rows of people who do not exist, and a hub in this process to send them to."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson
import polars as pl
from PIL import Image

from qianzhi.hub.bodies import Body
from qianzhi.hub.reception import Answer
from qianzhi.regulators import regulator
from qianzhi.sealing import envelopes
from qianzhi.specs.formats import ValueType

if TYPE_CHECKING:
    from qianzhi.hub.desk import Desk
    from qianzhi.hub.identity import Sender
    from qianzhi.hub.problems import Problem
    from qianzhi.specs.model import Field

GUANGDONG = "guangdong"
CODE = "440100000000000001"
OTHER_CODE = "440100000000000002"
AS_OF = datetime(2026, 11, 20, 3, 0)
_BY_TYPE = {
    ValueType.TEXT: "1",
    ValueType.INTEGER: "1",
    ValueType.DECIMAL: "1",
    ValueType.DATE: "1980-01-02",
    ValueType.DATETIME: "2026-11-19 10:00:00",
    ValueType.FLAG: "T",
}
_KNOWN = {"JGDM": CODE, "FWWDDM": CODE, "CXBZ": "1", "XM": "张三", "XBDM": "1", "XBMC": "男", "KH": "K1", "KLX": "9"}


def row(dataset: str, row_id: int = 1, **fields: str | None) -> dict[str, Any]:
    """Return a row that has every required field; `fields` replaces or adds some."""
    wanted = regulator(GUANGDONG).dataset(dataset)
    required = {each.name: _plain(each) for each in wanted.fields if each.required}
    return {"row_id": row_id} | required | fields


def frame(dataset: str, *rows: dict[str, Any]) -> pl.DataFrame:
    """Return rows as they are sent: row_id, every field, the blob of every image."""
    columns = envelopes.columns_of(regulator(GUANGDONG).dataset(dataset))
    schema = {"row_id": pl.Int64} | dict.fromkeys(columns, pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")


def manifest(dataset: str, **said: Any) -> envelopes.Manifest:
    """Return what an envelope says of itself; `said` replaces some of it."""
    held = regulator(GUANGDONG)
    known: dict[str, Any] = {
        "batch_id": uuid4(),
        "regulator": GUANGDONG,
        "dataset": dataset,
        "edition": held.edition,
        "ruleset": held.digest,
        "institution": CODE,
        "as_of": AS_OF,
    }
    return envelopes.Manifest(**(known | said))


def sealed(dataset: str, *rows: dict[str, Any], **said: Any) -> tuple[UUID, bytes]:
    """Return the id and the bytes of a batch."""
    stated = manifest(dataset, **said)
    return stated.batch_id, envelopes.seal(stated, frame(dataset, *rows))


@dataclass(frozen=True)
class Receipt:
    """A receipt as a sender reads it."""

    accepted: int
    rejected: list[int]
    findings: list[dict[str, Any]] = field(repr=False)

    def codes(self, row_id: int | None = None, severity: str | None = None) -> set[str]:
        """Return the codes found, of one row or one severity only."""
        return {
            each["code"]
            for each in self.findings
            if row_id in {None, each["row_id"]} and severity in {None, each["severity"]}
        }


def picture(side: int) -> bytes:
    """Return a red square as PNG."""
    drawn = io.BytesIO()
    Image.new("RGB", (side, side), "red").save(drawn, "PNG")
    return drawn.getvalue()


def read(receipt: bytes) -> Receipt:
    """Read a receipt."""
    said = orjson.loads(receipt)
    return Receipt(said["accepted"], said["rejected"], said["findings"])


def send(desk: Desk, sender: Sender, dataset: str, *rows: dict[str, Any], **said: Any) -> Receipt:
    """Send rows to a hub in this process and read the receipt."""
    answer = deliver(desk, sender, *sealed(dataset, *rows, **said))
    assert isinstance(answer, Answer), answer
    return read(answer.receipt)


def deliver(desk: Desk, sender: Sender, batch_id: UUID, content: bytes) -> Answer | Problem:
    """Send the bytes of a batch to a hub in this process."""
    body = Body(content, envelopes.digest(content))
    return desk.reception.receive(sender, batch_id, body, envelopes.MEDIA_TYPE)


def _plain(wanted: Field) -> str:
    if wanted.name in _KNOWN:
        return _KNOWN[wanted.name]
    system = regulator(GUANGDONG).codes.get(wanted.codes or "")
    if system is not None and system.codes:
        return next(iter(system.codes))
    return _BY_TYPE[wanted.format.type]
