from __future__ import annotations

import polars as pl

from qianzhi.checks import findings
from qianzhi.checks.findings import Blame
from qianzhi.specs.model import ErrorClass, Severity


def _frame(*rows: tuple[int, str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(row_id, code, "E01", field, None, None, severity) for row_id, code, field, severity in rows],
        schema=findings.SCHEMA,
        orient="row",
    )


def test_an_empty_frame_has_the_schema() -> None:
    """Nothing found still has every column."""
    assert findings.empty().schema == findings.SCHEMA
    assert findings.concat([]).schema == findings.SCHEMA


def test_findings_are_ordered_by_row_code_and_field() -> None:
    """The order of the parts does not show in the whole."""
    first = _frame((2, "V01", "B", "error"), (1, "V02", "A", "error"))
    second = _frame((1, "V01", "B", "error"), (1, "V01", "A", "error"))

    together = findings.concat([first, second])

    assert together.select("row_id", "code", "field").rows() == [
        (1, "V01", "A"),
        (1, "V01", "B"),
        (1, "V02", "A"),
        (2, "V01", "B"),
    ]


def test_only_errors_reject() -> None:
    """A row with an error is rejected once; one with warnings only is not."""
    frame = _frame((3, "V01", "A", "error"), (3, "V02", "A", "error"), (1, "V09", "A", "warning"))

    assert findings.rejecting(frame).to_list() == [3]
    assert findings.rejecting(findings.empty()).to_list() == []


def test_a_finding_shows_at_most_two_hundred_characters() -> None:
    """A value of megabytes is cut, by characters and not by bytes."""
    raw = pl.DataFrame({"row_id": [7], "XM": ["张" * 5_000_000]})
    blame = Blame("V02", ErrorClass.LENGTH, "XM", Severity.ERROR)

    frame = findings.blamed(raw, blame, pl.Series([0], dtype=pl.UInt32))

    assert frame.schema == findings.SCHEMA
    assert frame.row(0) == (7, "V02", "E02", "XM", "张" * 200, None, "error")
