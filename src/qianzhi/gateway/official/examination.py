"""What the doctor looks at in front of an official machine: its server, its tables, its rights, its image folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import uuid4

from qianzhi.errors import QianzhiError
from qianzhi.gateway.diagnosis import Diagnosis, both, ill, note, well
from qianzhi.gateway.official import tables
from qianzhi.gateway.official.reconciling import unknown
from qianzhi.gateway.official.session import judged, open_session
from qianzhi.gateway.official.tables import SQL
from qianzhi.runtime.files import write_durably
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from psycopg import sql

    from qianzhi.db.server import Session
    from qianzhi.gateway.official.door import Machine
    from qianzhi.gateway.official.folder import Folder
    from qianzhi.gateway.official.tables import Place
    from qianzhi.specs.model import Dataset, Regulator

NAME_CHARACTERS: Final = 75  # of an image within the folder, separators included


def examine(name: str, machine: Machine, datasets: Collection[Dataset], *, wait_seconds: float) -> Iterator[Diagnosis]:
    """Yield one diagnosis after the other; no row is inserted, and the folder is left as it was."""
    title = f"destination {name}"
    try:
        with open_session(machine.dsn, wait_seconds=wait_seconds) as session, judged("The official machine refused"):
            version = session.info.server_version // 10_000
            yield well(title, f"官方 PostgreSQL {version} 可以连接。", f"The official PostgreSQL {version} answers.")
            yield _tables(f"tables of {name}", session, machine.place, datasets)
    except QianzhiError as error:
        what = both(error.what)
        yield ill(title, Text(f"无法使用：{what.zh}", what.en), both(error.remedy))
    if any(field.image for dataset in datasets for field in dataset.fields):
        yield _folder(f"image folder of {name}", machine.folder, datasets)


def rows_there(name: str, machine: Machine, dsn: str, regulator: Regulator, *, wait_seconds: float) -> Diagnosis:
    """Return whether the official tables have rows that the ledger (`dsn`) cannot explain: nothing goes there then."""
    title = f"rows at {name}"
    found = list(unknown(dsn, name, machine, regulator, wait_seconds=wait_seconds))
    stopping = [each for each in found if each.dataset not in machine.shared]
    if not found:
        return well(
            title, "官方表中的记录都在本机台账中，或已核对。", "Each is known to the ledger here, or decided about."
        )
    listed = ", ".join(f"{each.dataset} {each.first}-{each.last}" for each in stopping or found)
    zh, en = (
        f"官方表中有本机台账不知道的记录（ID）：{listed}。",
        f"Rows that the ledger here does not know, by ID: {listed}.",
    )
    if not stopping:
        return note(
            title, Text(zh, en), Text("这些表由多方写入，无需处理。", "Others fill these tables as well: all is well.")
        )
    return ill(
        title,
        Text(f"{zh}核对之前，不向这些表送达记录。", f"{en} Nothing goes to these tables before they are reconciled."),
        Text(
            "若本机刚从较早的备份恢复，请先让业务系统补写备份之后的记录，再运行 `qianzhi gateway results reconcile`："
            "已在官方表中的记为已送达，其余照常送达。若这些记录都不是本机写入的，加 --others；"
            "若该表长期由其他系统写入，请在 machine.shared 中写明。",
            "After the restore of an older backup let hospital systems insert again what the backup lacks, then run "
            "`qianzhi gateway results reconcile`: what stands there is recorded as delivered, and the rest goes. With "
            "--others where none of these rows came from this gateway; name the dataset in machine.shared where other "
            "systems always insert there.",
        ),
    )


def _tables(title: str, session: Session, place: Place, datasets: Collection[Dataset]) -> Diagnosis:
    """Look at every table, and name what is wrong of each."""
    wrong: list[QianzhiError] = []
    unlawful: list[str] = []
    for dataset in datasets:
        try:
            table = tables.find(session, place, dataset)
        except QianzhiError as error:
            wrong.append(error)
            continue
        if not _may_deliver(session, table.identifier):
            unlawful.append(dataset.name)
    if wrong:
        said = [both(error.what) for error in wrong]
        zh, en = "".join(each.zh for each in said), " ".join(each.en for each in said)
        return ill(title, Text(f"与规范版本不一致：{zh}", en), both(wrong[0].remedy))
    if unlawful:
        return ill(title, *_unlawful(", ".join(unlawful)))
    return well(
        title,
        f"{len(datasets)} 张表的列与规范版本一致，可以写入。",
        f"{len(datasets)} tables have the edition's columns, and may be filled.",
    )


def _unlawful(named: str) -> tuple[Text, Text]:
    what = Text(
        f"账号不能查询和插入，或不能询问事务结果：{named}。",
        f"The account may not select and insert, or not ask what became of it: {named}.",
    )
    remedy = Text(
        "请官方前置机的运维方授予这些表的 SELECT 和 INSERT 权限，以及 txid_current() 和 txid_status(bigint) 的 EXECUTE "
        "权限（PostgreSQL 默认授予所有人）。",
        "Ask the official machine's operator for SELECT and INSERT on these tables, and for EXECUTE on "
        "txid_current() and txid_status(bigint), which PostgreSQL gives to everybody by itself.",
    )
    return what, remedy


def _may_deliver(session: Session, table: sql.Identifier) -> bool:
    row = session.execute(SQL.rights, {"table": table.as_string(session)}).fetchone()
    return bool(row) and all(row or ())


def _folder(title: str, folder: Folder | None, datasets: Collection[Dataset]) -> Diagnosis:
    if folder is None:
        return note(
            title,
            Text(
                "没有设置：图片路径按记录原样送出，不复制文件。",
                "None is set: paths go as records name them, and nothing is copied.",
            ),
            Text(
                "请设置 machine.images_folder 和 machine.images_prefix，除非记录填写的就是官方前置机上的文件。",
                "Set machine.images_folder and machine.images_prefix, unless records name files on that machine.",
            ),
        )
    if why := _unwritable(folder.folder):
        return ill(
            title,
            Text(f"{folder.folder} 不可写：{both(why).zh}。", f"{folder.folder} cannot be written: {why}."),
            Text("请挂载该目录，或授予本账号写入权限。", "Mount it, or give this account the right to write there."),
        )
    longest = len(folder.prefix) + NAME_CHARACTERS
    bounds = {f.name: f.format.length_max for d in datasets for f in d.fields if f.image and f.format.length_max}
    short = ", ".join(name for name, bound in bounds.items() if longest > bound)
    if short:
        return ill(
            title,
            Text(f"{short} 放不下 {longest} 个字符的路径。", f"Paths of {longest} characters do not fit into {short}."),
            Text(
                "请与平台商定更短的目录，并设为 machine.images_prefix。",
                "Agree on a folder with a shorter name, and set it as machine.images_prefix.",
            ),
        )
    return well(title, f"{folder.folder} 可以写入。", f"{folder.folder} can be written.")


def _unwritable(folder: Path) -> str | None:
    if not folder.is_dir():
        return "there is no such folder"
    probe = folder / f".qianzhi-{uuid4().hex}"
    try:
        write_durably(probe, b"")
        probe.unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
