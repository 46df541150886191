"""The views of a regulator's schema that its sender may read: where its rows are, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

import polars as pl
from psycopg import sql

from qianzhi.checks.catalogue import HELD_REMEDY, catalogue
from qianzhi.db import arrow
from qianzhi.db.queries import load
from qianzhi.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.db.server import Session
    from qianzhi.specs.model import Dataset, Regulator

_SQL = load("qianzhi.ledger", "views.sql")

ROW_STATES: Final = "row_states"
FINDINGS: Final = "findings"
VIEWS: Final = (ROW_STATES, FINDINGS)

STATES: Final[Mapping[str, str]] = {
    "waiting": "待上传",
    "under_way": "上传中",
    "held": "待补",
    "delivered": "已送达",
    "accepted": "已接收",
    "rejected": "已拒绝",
    "superseded": "被替代",
    "nothing_to_revoke": "无可撤销",
    "withheld": "已拦截",
    "quarantined": "隔离",
    "not_taken": "未提交",
}
"""The words of `row_states.state`, and what `state_zh` says for each."""

_WORDS: Final = sql.SQL(" ").join(
    sql.SQL("WHEN {} THEN {}").format(sql.Literal(word), sql.Literal(said)) for word, said in STATES.items()
)

REMARKS: Final[Mapping[str, str]] = {
    ROW_STATES: "入表记录的状态：每个上报目标一行。Where each staged row is, a row for each destination.",
    f"{ROW_STATES}.dataset": "数据集。The dataset, which is the name of the staging table.",
    f"{ROW_STATES}.id": "中间表的 id。The id that the staging table gave.",
    f"{ROW_STATES}.key": "主键。The key of the record, as the row spells it.",
    f"{ROW_STATES}.destination": "上报目标。Where the row goes.",
    f"{ROW_STATES}.state": "状态。" + "；".join(f"{word} {said}" for word, said in STATES.items()) + "。",
    f"{ROW_STATES}.state_zh": "状态的中文。The state in Chinese.",
    f"{ROW_STATES}.state_at": "进入该状态的时间。Since when; null where the ledger has not heard of the row.",
    f"{ROW_STATES}.wants": "待补记录所等待的上级记录。The record that a held row waits for.",
    f"{ROW_STATES}.batch_id": "批次。The batch that the row went with.",
    FINDINGS: "校验问题，以及待补记录所等待的内容。Findings, and what held rows wait for.",
    f"{FINDINGS}.finding_id": "编号，只增不减。Numbers ascend; null for a held row, which is no finding on record yet.",
    f"{FINDINGS}.destination": "上报目标。Towards which destination it was found.",
    f"{FINDINGS}.dataset": "数据集。The dataset, which is the name of the staging table.",
    f"{FINDINGS}.id": "中间表的 id。The id of the row in the staging table.",
    f"{FINDINGS}.code": "规则代码。The stable code of the check, rule or reference.",
    f"{FINDINGS}.class": "错误类别。The error class, E01 to E12.",
    f"{FINDINGS}.field": "数据元。The field that is blamed; null where the whole row is.",
    f"{FINDINGS}.value": "原值，至多 200 个字符。Its value as it came, cut to 200 characters.",
    f"{FINDINGS}.reason": "原因。Why it was made.",
    f"{FINDINGS}.remedy": "处理办法。What to do.",
    f"{FINDINGS}.severity": "级别：error 拒绝该记录，warning 提示。error rejects the record, warning informs.",
    f"{FINDINGS}.origin": "发现方：gateway 前置机，hub 监管端，official 官方前置机。Who found it.",
    f"{FINDINGS}.found_at": "发现时间。When it was put on record.",
    f"{FINDINGS}.closed_at": "同一记录后来被接收的时间。When a later row of the record was accepted; null: open.",
    f"{FINDINGS}.batch_id": "批次。The batch that the row went with; null where it was not sent.",
}


def install(session: Session, regulator: Regulator) -> None:
    """
    Make the views of a regulator, and fill in the sentences of its edition; index the keys of its staging tables.

    Safe to repeat. The rights to the views are given anew afterwards (`roles.ensure_sender`).
    The staging tables must be there. Raises SpecError where a dataset has the name of a view.
    """
    if taken := sorted({dataset.name for dataset in regulator.datasets} & set(VIEWS)):
        raise SpecError(
            f"The dataset {taken[0]} of {regulator.key} has the name of a view.", remedy="Give it another name."
        )
    _fill_texts(session, regulator)
    branches = sql.SQL("\nUNION ALL\n").join(_branch(regulator, dataset) for dataset in regulator.datasets)
    for dataset in regulator.datasets:
        session.execute(_index(regulator, dataset))
    _create(session, regulator.key, ROW_STATES, _SQL.create_row_states, branches=branches)
    said = {"regulator": sql.Literal(regulator.key), "held_remedy": sql.Literal(HELD_REMEDY.zh)}
    _create(session, regulator.key, FINDINGS, _SQL.create_findings, **said)


def _create(session: Session, schema: str, name: str, statement: LiteralString, **parts: sql.Composable) -> None:
    view = sql.Identifier(schema, name)
    session.execute(sql.SQL(_SQL.drop_view).format(view=view))
    session.execute(sql.SQL(statement).format(view=view, **parts))
    for subject, remark in REMARKS.items():
        of, _, column = subject.partition(".")
        if of == name:
            said = sql.SQL(_SQL.comment_on_column if column else _SQL.comment_on_view)
            session.execute(
                said.format(subject=sql.Identifier(schema, *subject.split(".")), remark=sql.Literal(remark))
            )


def _index(regulator: Regulator, dataset: Dataset) -> sql.Composed:
    return sql.SQL(_SQL.index_key).format(
        index=sql.Identifier(f"{dataset.name}_key"),
        table=sql.Identifier(regulator.key, dataset.name),
        column=sql.Identifier(dataset.key[-1].lower()),
    )


def _branch(regulator: Regulator, dataset: Dataset) -> sql.Composed:
    return sql.SQL(_SQL.row_states_branch).format(
        dataset=sql.Literal(dataset.name),
        table=sql.Identifier(regulator.key, dataset.name),
        regulator=sql.Literal(regulator.key),
        key=key_shown(dataset),
        words=_WORDS,
    )


def key_shown(dataset: Dataset) -> sql.Composed:
    """Return the expression that shows the key of a staged row (called `staged`) as a held row says what it wants."""
    parts = (
        sql.SQL("{} || staged.{}").format(sql.Literal(f"{name}="), sql.Identifier(name.lower())) for name in dataset.key
    )
    return sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join(parts))


def _fill_texts(session: Session, regulator: Regulator) -> None:
    texts = catalogue(regulator)
    found = {
        (regulator.key, dataset.name, *key): (said.reason.zh, said.reason.en, said.remedy.zh, said.remedy.en)
        for dataset in regulator.datasets
        for key, said in texts.every(dataset.name)
    }
    names = (
        "regulator",
        "dataset",
        "code",
        "class",
        "field",
        "why",
        "reason_zh",
        "reason_en",
        "remedy_zh",
        "remedy_en",
    )
    rows = [key + said for key, said in found.items()]
    session.execute(_SQL.lock_texts)
    session.execute(_SQL.forget_texts, {"regulator": regulator.key})
    arrow.write(
        session, "qianzhi.finding_texts", pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
    )
