"""Dataset tables follow an edition by adding only."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from qianzhi.db import differ, server
from qianzhi.db.differ import Change, Column, Kind, Table
from qianzhi.errors import RetryableError, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qianzhi.db.server import Session

ID = Column("id", "bigint", constraint="GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
FIRST = Table("guangdong", "person", (Column("jgdm", comment="机构代码"), Column("xm", comment="姓名"), ID), "患者")
SECOND = Table(
    "guangdong",
    "person",
    (Column("jgdm", comment="机构代码"), Column("xm", comment="患者'姓名"), Column("zjhm", comment="证件号码"), ID),
    "患者信息",
)


@pytest.fixture
def session(database: str) -> Iterator[Session]:
    """A session in an empty database, in autocommit."""
    with server.connect(database, application="test", autocommit=True) as connection:
        yield connection


def described(changes: list[Change]) -> list[tuple[Kind, str | None]]:
    """Give what changes do, and to which column."""
    return [(change.kind, change.column) for change in changes]


def columns(session: Session) -> list[tuple[object, ...]]:
    """Give the columns as they stand: name, type, comment."""
    return session.execute(
        "SELECT column_name, data_type, col_description('guangdong.person'::regclass, ordinal_position)"
        " FROM information_schema.columns WHERE table_schema = 'guangdong' ORDER BY ordinal_position"
    ).fetchall()


def test_a_table_is_created_with_schema_and_comments(session: Session) -> None:
    """Columns stand in the given order with their comments, the identity last."""
    assert described(differ.apply(session, [FIRST])) == [
        (Kind.CREATE_TABLE, None),
        (Kind.COMMENT, None),
        (Kind.COMMENT, "jgdm"),
        (Kind.COMMENT, "xm"),
    ]
    assert columns(session) == [("jgdm", "text", "机构代码"), ("xm", "text", "姓名"), ("id", "bigint", None)]
    assert session.execute("SELECT obj_description('guangdong.person'::regclass)").fetchone() == ("患者",)


def test_a_second_run_does_nothing(session: Session) -> None:
    """Once the tables are as wanted there is no change."""
    differ.apply(session, [FIRST])
    assert differ.apply(session, [FIRST]) == []
    assert differ.plan(session, [FIRST]) == []


def test_the_next_edition_adds_to_a_filled_table(session: Session) -> None:
    """Rows and their ids stay, the new column is NULL in them and stands after id, and ids go on."""
    differ.apply(session, [FIRST])
    session.execute("INSERT INTO guangdong.person (jgdm, xm) SELECT '1', n::text FROM generate_series(1, 1000) AS n")
    wanted = [(Kind.ADD_COLUMN, "zjhm"), (Kind.COMMENT, None), (Kind.COMMENT, "xm"), (Kind.COMMENT, "zjhm")]
    assert described(differ.plan(session, [SECOND])) == wanted
    assert [name for name, _, _ in columns(session)] == ["jgdm", "xm", "id"]
    assert described(differ.apply(session, [SECOND])) == wanted
    assert columns(session) == [
        ("jgdm", "text", "机构代码"),
        ("xm", "text", "患者'姓名"),
        ("id", "bigint", None),
        ("zjhm", "text", "证件号码"),
    ]
    session.execute("INSERT INTO guangdong.person (jgdm, xm, zjhm) VALUES ('1', 'new', 'z')")
    counted = "SELECT count(*), count(zjhm), max(id), sum(id) FROM guangdong.person"
    assert session.execute(counted).fetchone() == (1001, 1, 1001, 1001 * 1002 // 2)
    assert differ.apply(session, [SECOND]) == []


def test_what_an_edition_drops_or_retypes_is_left_and_told(session: Session) -> None:
    """Neither a dropped column nor its contents go; another type is never forced on them."""
    differ.apply(session, [SECOND])
    session.execute("INSERT INTO guangdong.person (xm, zjhm) VALUES ('a', 'b')")
    third = Table("guangdong", "person", (Column("jgdm"), Column("xm", "bigint"), ID))
    assert described(differ.apply(session, [third])) == [(Kind.LEFT_RETYPED, "xm"), (Kind.LEFT_UNWANTED, "zjhm")]
    assert session.execute("SELECT xm, zjhm FROM guangdong.person").fetchall() == [("a", "b")]


def test_a_comment_that_nobody_wants_to_set_stays(session: Session) -> None:
    """A site's own comment on a column without one is kept."""
    differ.apply(session, [Table("guangdong", "person", (Column("xm"), ID))])
    session.execute("COMMENT ON COLUMN guangdong.person.xm IS 'ours'")
    assert differ.apply(session, [Table("guangdong", "person", (Column("xm"), ID))]) == []


def test_a_partitioned_table_takes_rows_and_new_columns(session: Session) -> None:
    """A table by range of a date is extended with all its partitions."""
    table = Table("guangdong", "person", (Column("received_on", "date", constraint="NOT NULL"),), None, "received_on")
    differ.apply(session, [table])
    session.execute(
        "CREATE TABLE guangdong.person_1 PARTITION OF guangdong.person FOR VALUES FROM ('2026-11-01') TO ('2026-12-01')"
    )
    session.execute("INSERT INTO guangdong.person VALUES ('2026-11-20')")
    wider = Table(table.schema, table.name, (*table.columns, Column("xm")), None, "received_on")
    assert described(differ.apply(session, [wider])) == [(Kind.ADD_COLUMN, "xm")]
    assert session.execute("SELECT xm FROM guangdong.person_1").fetchall() == [(None,)]


def test_two_runs_at_once_make_one_table(database: str) -> None:
    """The lock of the schema lets one run change a table at a time; the other finds nothing to do."""
    tables = [Table("guangdong", f"t{n}", (Column("a", comment="a"), ID)) for n in range(5)]
    changes: list[Change] = []

    def run() -> None:
        with server.connect(database, application="test", autocommit=True) as connection:
            changes.extend(differ.apply(connection, tables))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(change.table for change in changes if change.kind is Kind.CREATE_TABLE) == [f"t{n}" for n in range(5)]


def test_a_table_in_use_is_tried_again_later(database: str, session: Session) -> None:
    """A sender in the middle of a transaction delays the change, which then is a matter of repeating."""
    differ.apply(session, [FIRST])
    with (
        server.connect(database, application="test") as sender,
        server.connect(database, application="test", lock_timeout_seconds=0.1) as hasty,
    ):
        sender.execute("INSERT INTO guangdong.person (xm) VALUES ('a')")
        with pytest.raises(RetryableError, match=r"guangdong\.person"):
            differ.apply(hasty, [SECOND])
        hasty.rollback()
        sender.commit()
        assert differ.apply(hasty, [SECOND])


@pytest.mark.parametrize(
    "column", [Column("a", "text); DROP TABLE b; --"), Column("a", "text", constraint="DEFAULT random()")]
)
def test_a_type_is_no_place_for_sql(session: Session, column: Column) -> None:
    """Only what looks like a type, and a known constraint, reaches a statement."""
    with pytest.raises(SpecError):
        differ.apply(session, [Table("guangdong", "person", (column,))])
    assert session.execute("SELECT to_regclass('guangdong.person')").fetchone() == (None,)
