from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import psycopg
import pytest
from tests.faults import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.field import Field

pytestmark = pytest.mark.faults

TEN_MB = 10 * 2**20
FORMAT, LENGTH, IDENTITY = "E03", "E02", "E12"
# What stands in which field, and the class of its finding; whether it rejects the row.
SPOILT = {
    "bell": ("FZRXM", "张\a三", FORMAT, False),
    "escape": ("BM", "办公室\x1b[2J", FORMAT, False),
    "ten megabytes": ("FZRXM", "长" * (TEN_MB // 3), LENGTH, True),
    "infinity": ("SJSCSJ", "infinity", FORMAT, True),
    "minus infinity": ("TBRQSJ", "-infinity", FORMAT, True),
    "30 February": ("TBRQSJ", "2026-02-30 10:00:00", FORMAT, True),
    "an hour that summer time left out": ("TBRQSJ", "1986-05-04 02:30:00", FORMAT, True),
    "Unix seconds": ("TBRQSJ", "1763600000", FORMAT, True),
    "year 10000": ("TBRQSJ", "10000-01-01 00:00:00", FORMAT, True),
    "nothing but blanks": ("FZRXM", "　 \t", "E01", True),
    "another institution": ("JGDM", "999999999999999999", None, True),
}


@pytest.fixture(scope="module")
def judged(field: Field) -> Iterator[dict[str, tuple[int, list[dict[str, object]]]]]:
    """The row ids of the spoilt rows and what was found in them, after a cycle with good neighbours."""
    field.run_until_still()
    frames = []
    for name, value, _, _ in SPOILT.values():
        frames += [rows.contacts([rows.label()]), rows.contacts([rows.label()], **{name: value})]
    ids = field.stage({"contacts": pl.concat(frames)})["contacts"]
    field.run_until_still()
    found = field.findings("contacts")
    yield {
        kind: (row_id, [each for each in found if each["row_id"] == row_id])
        for kind, row_id in zip(SPOILT, ids[1::2], strict=True)
    }
    good = ids[0::2]
    assert [each for each in found if each["row_id"] in good] == []
    assert rejected_of(field, good) == []


@pytest.mark.parametrize("kind", SPOILT)
def test_a_bad_value_is_one_clear_finding_and_stops_nobody_else(
    field: Field, judged: dict[str, tuple[int, list[dict[str, object]]]], kind: str
) -> None:
    """A value that no field may hold is told with its field and what to do; the row alone bears the consequence."""
    name, value, error_class, rejects = SPOILT[kind]
    row_id, found = judged[kind]
    of_field = [each for each in found if each["field"] == name]
    assert of_field
    assert error_class is None or {each["class"] for each in of_field} == {error_class}
    assert {each["severity"] for each in of_field} == {"error" if rejects else "warning"}
    assert all(each["reason"] and each["remedy"] for each in found)
    assert all(len(str(each["value"])) <= len(value) and len(str(each["value"])) < 1_000 for each in of_field)
    assert rejected_of(field, [row_id]) == ([row_id] if rejects else [])


@pytest.mark.parametrize("spoilt", [b"\xff\xfe", "张三".encode("gbk"), b"a\x00b"])
def test_what_is_no_text_does_not_come_in(field: Field, spoilt: bytes) -> None:
    """PostgreSQL refuses the statement, its sender learns why, and the next one is taken."""
    statement = b"INSERT INTO contacts (jgdm, bm) VALUES ('440000000000000001', $1::text)"
    with psycopg.connect(field.sender_dsn, autocommit=True) as connection:
        refused = connection.pgconn.exec_params(statement, [spoilt], param_formats=[1])
        assert (refused.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"")[:2] == b"22"
        connection.execute("INSERT INTO contacts (jgdm, bm) VALUES ('440000000000000001', %s)", [rows.label()])
    field.run_until_still()


def rejected_of(field: Field, row_ids: list[int]) -> list[int]:
    """Return those of some rows of contacts that the regulator rejected."""
    return [
        row_id
        for (row_id,) in field.ask_gateway(
            "SELECT row_id FROM qianzhi.outcomes JOIN qianzhi.lanes USING (lane_id)"
            " WHERE dataset = 'contacts' AND outcome = 'rejected' AND row_id = ANY(%s)",
            row_ids,
        )
    ]
