"""The staging table takes everything and says in its comments what was published."""

from __future__ import annotations

import pytest

from qianzhi.specs.ddl import identifier, published_type, staging_ddl
from qianzhi.specs.formats import parse_format
from qianzhi.specs.load import parse_regulator

VISIT = """CREATE TABLE "tiny"."visit" (
    "jgdm" text,
    "mzh" text,
    "kh" text,
    "hzxm" text,
    "hzxb" text,
    "je" text,
    "zs" text,
    "nl" text,
    "rq" text,
    "sjscsj" text,
    "cxbz" text,
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
)"""


def test_table_of_a_dataset(files: dict[str, bytes]) -> None:
    """Every column is a nullable text in lower case; the identity is last."""
    statements = staging_ddl(parse_regulator(files).dataset("visit"), "tiny")
    assert statements[0] == VISIT
    assert statements[1] == """COMMENT ON TABLE "tiny"."visit" IS '病历 · 非必须提供 · document 1, chapter 4'"""
    assert len(statements) == 2 + 11


@pytest.mark.parametrize(
    ("column", "comment"),
    [
        ("jgdm", "'机构代码 · varchar(30) · 必填'"),
        ("hzxm", "'患者''s姓名 · varchar(50) · 选填'"),
        ("hzxb", "'患者性别 · char(1) · 选填 · 值域 GB/T 2261.1'"),
        ("je", "'金额 · numeric(16,4) · 选填'"),
        ("zs", "'症状 · text · 选填'"),
        ("nl", "'年龄 · integer · 选填'"),
        ("rq", "'日期 · date · 选填'"),
        ("sjscsj", "'数据生成日期时间 · timestamp · 必填'"),
    ],
)
def test_comment_holds_what_was_published(files: dict[str, bytes], column: str, comment: str) -> None:
    """Title, type, requirement and code system stand in the column's comment, quoted."""
    statements = staging_ddl(parse_regulator(files).dataset("visit"), "tiny")
    assert f'COMMENT ON COLUMN "tiny"."visit"."{column}" IS {comment}' in statements


@pytest.mark.parametrize(
    ("notation", "sql"),
    [("AN6", "char(6)"), ("A..20", "varchar(20)"), ("N9", "integer"), ("N..10", "numeric(10)"), ("T/F", "char(1)")],
)
def test_published_type(notation: str, sql: str) -> None:
    """A number beyond nine digits is no SQL integer; a T/F value is one character."""
    assert published_type(parse_format(notation)) == sql


def test_identifier_is_the_unquoted_name() -> None:
    """A word of SQL can name a column, and capitals do not matter."""
    assert identifier("Order") == '"order"'
