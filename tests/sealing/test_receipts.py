from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qianzhi.errors import OperatorError
from qianzhi.sealing.receipts import FINDING, Receipt, decode, encode

DOCUMENT: dict[str, Any] = {
    "batch_id": "0190f3a4-0000-4000-8000-000000000001",
    "digest": "ab" * 32,
    "received_at": "2026-11-20T03:00:00+08:00",
    "submitted": 3,
    "accepted": 1,
    "rejected": [7, 9],
    "findings": [
        {"row_id": 7, "code": "V01", "class": "E01", "field": "XM", "value": None, "detail": None, "severity": "error"},
        {"row_id": 9, "code": "V22", "class": "E06", "field": "CXBZ", "value": "3", "detail": "x", "severity": "error"},
    ],
}

numbers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]))
findings = st.tuples(numbers, texts, texts, st.none() | texts, st.none() | texts, st.none() | texts, texts)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def written(value: object) -> bytes:
    """Return JSON, as any other program writes it."""
    return json.dumps(value, ensure_ascii=False).encode()


def said(**changes: Any) -> bytes:
    """Return the document with some of its keys changed; ... takes a key away."""
    return written({key: value for key, value in (DOCUMENT | changes).items() if value is not ...})


def refused(document: bytes) -> str:
    """Read what is no receipt and return why."""
    with pytest.raises(OperatorError, match="answer is not a receipt") as caught:
        decode(document)
    return caught.value.what


@settings(deadline=None)
@given(
    st.uuids(),
    st.binary(min_size=32, max_size=32),
    st.datetimes(timezones=st.just(UTC)),
    st.integers(0, 10**6),
    st.sets(numbers, max_size=5),
    st.lists(findings, max_size=5),
)
def test_a_receipt_comes_out_as_it_went_in(
    batch_id: UUID,
    digest: bytes,
    received_at: datetime,
    accepted: int,
    rejected: set[int],
    found: list[tuple[Any, ...]],
) -> None:
    """Whatever the findings say, and however many rows are rejected."""
    receipt = Receipt(
        batch_id=batch_id,
        digest=digest,
        received_at=received_at,
        submitted_count=accepted + len(rejected),
        accepted_count=accepted,
        rejected=pl.Series("row_id", sorted(rejected), dtype=pl.Int64),
        findings=pl.DataFrame(found, schema=FINDING, orient="row"),
    )
    read = decode(encode(receipt))
    assert (read.batch_id, read.digest, read.received_at) == (batch_id, digest, received_at)
    assert (read.submitted_count, read.accepted_count) == (receipt.submitted_count, accepted)
    assert read.rejected.equals(receipt.rejected, check_dtypes=True)
    assert read.findings.schema == FINDING
    assert read.findings.equals(receipt.findings)


def test_a_receipt_is_json_that_a_person_can_read() -> None:
    """Chinese stands as it is, ids and digests as text, rows as numbers."""
    document = encode(decode(said(findings=[DOCUMENT["findings"][0] | {"detail": "姓名"}])))
    assert "姓名".encode() in document
    assert json.loads(document) == DOCUMENT | {"findings": [DOCUMENT["findings"][0] | {"detail": "姓名"}]}


def test_reason_and_remedy_are_written_where_they_are_given() -> None:
    """What the destination adds to a finding stands in the document for people, and is passed over in settling."""
    receipt = decode(said())
    more = receipt.findings.with_columns(reason=pl.lit("缺少"), remedy=pl.lit("补填"))
    document = encode(
        Receipt(
            receipt.batch_id,
            receipt.digest,
            receipt.received_at,
            receipt.submitted_count,
            receipt.accepted_count,
            receipt.rejected,
            more,
        )
    )
    assert json.loads(document)["findings"][0]["remedy"] == "补填"
    assert decode(document).findings.equals(receipt.findings)


def test_keys_that_nobody_knows_are_passed_over() -> None:
    """A later edition may say more, of the batch and of its findings."""
    document = said(later={"a": [1]}, findings=[finding | {"later": {"x": 1}} for finding in DOCUMENT["findings"]])
    assert decode(document).findings.equals(decode(said()).findings)


def test_a_finding_may_leave_out_what_may_be_null() -> None:
    """Field, value and detail need not be there."""
    finding = {"row_id": 7, "code": "Q01", "class": "E03", "severity": "warning"}
    assert decode(said(findings=[finding])).findings.rows() == [(7, "Q01", "E03", None, None, None, "warning")]


def test_no_findings_are_a_frame_of_none() -> None:
    """A batch without a fault has a receipt too."""
    receipt = decode(said(accepted=3, rejected=[], findings=[]))
    assert receipt.findings.schema == FINDING
    assert receipt.rejected.dtype == pl.Int64
    assert receipt.rejected.len() == receipt.findings.height == 0


@pytest.mark.parametrize("key", [*DOCUMENT])
@pytest.mark.parametrize(
    "value",
    [..., None, True, -1, 1.5, 2**70, "", "x", "-1", [None], [1.5], [True], ["x"], [[7]], [2**70], {}, {"a": 1}],
)
def test_a_part_of_nonsense_makes_no_receipt(key: str, value: object) -> None:
    """Each part must be there and be what it is called; nothing is bent into shape."""
    refused(said(**{key: value}))


@pytest.mark.parametrize("part", [*FINDING.names()])
@pytest.mark.parametrize("value", [True, 1.5, [], {}, {"a": "b"}, 2**63])
def test_a_finding_of_nonsense_makes_no_receipt(part: str, value: object) -> None:
    """A finding that names a row by half a number would be put to another row's account."""
    refused(said(findings=[DOCUMENT["findings"][0] | {part: value}]))


@pytest.mark.parametrize("part", ["row_id", "code", "class", "severity"])
def test_a_finding_must_say_which_row_breaks_which_rule(part: str) -> None:
    """What the ledger needs of a finding is there, or the answer is none."""
    refused(said(findings=[DOCUMENT["findings"][0] | {part: None}]))


@pytest.mark.parametrize(
    "changes",
    [
        {"accepted": 2},
        {"accepted": 0},
        {"submitted": 2},
        {"rejected": [7]},
        {"rejected": [7, 9, 11]},
        {"rejected": [7, 7]},
        {"accepted": -1, "submitted": 1},
    ],
)
def test_counts_must_add_up(changes: dict[str, Any]) -> None:
    """Accepted and rejected rows, each named once, are all that were submitted."""
    assert "counts do not add up" in refused(said(**changes))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_digest_has_32_bytes(length: int) -> None:
    """A shorter one proves nothing."""
    assert "digest" in refused(said(digest="ab" * length))


@given(st.binary(max_size=200))
def test_random_bytes_are_no_receipt(document: bytes) -> None:
    """Neither nothing nor noise is."""
    refused(document)


@settings(max_examples=300, deadline=None)
@given(anything)
def test_any_json_is_no_receipt(document: object) -> None:
    """Somebody else's answer is refused as such, whatever it is made of."""
    refused(written(document))


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([*DOCUMENT]), anything)
def test_any_json_in_any_place_is_refused_or_read(key: str, value: object) -> None:
    """Nothing in a receipt raises anything but an OperatorError."""
    with contextlib.suppress(OperatorError):
        decode(said(**{key: value}))


@pytest.mark.parametrize(
    "document", [b"[" * 100_000, b'{"a":' * 100_000, b'{"findings":' + b"[" * 900 + b"]" * 900 + b"}"], ids=len
)
def test_a_deep_document_is_no_receipt(document: bytes) -> None:
    """Nesting without end does not exhaust the reader."""
    refused(document)


@pytest.mark.parametrize(
    "document", [b"<html><body>502 Bad Gateway</body></html>", b"{}", b"null", b'"ok"', b"", '"张三"'.encode("gbk")]
)
def test_the_page_of_a_proxy_is_no_receipt(document: bytes) -> None:
    """What stands between gateway and hub answers with pages of its own."""
    refused(document)


def test_a_refusal_repeats_nothing_of_the_answer() -> None:
    """No value of a row stands in the exception or its cause."""
    document = said(findings=[DOCUMENT["findings"][0] | {"row_id": "张三", "value": "张三"}])
    with pytest.raises(OperatorError) as caught:
        decode(document)
    assert "张三" not in f"{caught.value!r} {caught.value.__cause__!r}"
