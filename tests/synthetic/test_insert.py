from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from qianzhi.db import server
from qianzhi.errors import ConfigurationError
from qianzhi.synthetic.insert import STATEMENT_ROWS_MAX, copy, insert

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.server import Session

ROWS = STATEMENT_ROWS_MAX * 2 + 7


@pytest.fixture
def session(us_pos: str) -> Iterator[Session]:
    """A session of the hospital's system."""
    with server.connect(us_pos, application="test") as connection:
        yield connection


@pytest.fixture
def frame() -> pl.DataFrame:
    """More rows than a statement takes, with everything that text can hold."""
    odd = ["", None, "多喝水\a", '"x", y', "a\nb", "{1,NULL}", "\\N", "  "]
    return pl.DataFrame(
        {
            "JGDM": ["1"] * ROWS,
            "BM": [str(place) for place in range(ROWS)],
            "FZRXM": [odd[place % len(odd)] for place in range(ROWS)],
        }
    )


def test_ids_come_back_in_the_order_of_the_rows(session: Session, frame: pl.DataFrame) -> None:
    """Every row has its id, over several statements, and holds exactly the text of the frame."""
    ids = insert(session, "guangdong.contacts", frame)
    assert ids == sorted(ids)
    assert len(set(ids)) == ROWS
    stored = session.execute("SELECT id, bm, fzrxm FROM guangdong.contacts ORDER BY id").fetchall()
    assert stored == [(row_id, bm, name) for row_id, (_, bm, name) in zip(ids, frame.rows(), strict=True)]


def test_copied_rows_are_those_of_the_frame(session: Session, frame: pl.DataFrame) -> None:
    """The way for volume stores the same text, missing and empty apart."""
    assert copy(session, "guangdong.contacts", frame) == ROWS
    stored = session.execute("SELECT jgdm, bm, fzrxm FROM guangdong.contacts ORDER BY id").fetchall()
    assert stored == frame.rows()


def test_a_failure_names_no_value(session: Session) -> None:
    """A column that the table lacks is refused with an error of ours that quotes no row."""
    with pytest.raises(Exception, match="synthetic rows were not inserted") as caught:
        insert(session, "guangdong.contacts", pl.DataFrame({"XM": ["某某"]}))
    assert "某某" not in str(caught.value)


def test_rights_beyond_those_of_the_hospital_are_not_needed(session: Session, frame: pl.DataFrame) -> None:
    """The role that inserts may neither change nor delete nor choose an id."""
    insert(session, "guangdong.contacts", frame.head(1))
    session.commit()
    with pytest.raises(ConfigurationError), server.translated("The row was not inserted"):
        session.execute("INSERT INTO guangdong.contacts (id, jgdm) OVERRIDING SYSTEM VALUE VALUES (1, '1')")
