"""Storage: the key file that what lies at rest needs, and the folder that old rows go to."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from qianzhi.errors import OperatorError
from qianzhi.gateway.diagnosis import Diagnosis, both, ill, note, well
from qianzhi.gateway.doctor.hardware import FREE_BYTES_MIN, GIB
from qianzhi.runtime import clock
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from pathlib import Path

    from qianzhi.runtime.keyfile import KeyFile


def key_file(keys: KeyFile | None) -> Diagnosis:
    """Return whether what is to be encrypted can be: without its key file, no row goes and no image is sent."""
    name = "key file"
    if keys is None:
        return well(name, "未设置：文件不加密。", "None is set: files are not encrypted.")
    try:
        versions = keys.versions
    except OperatorError as error:
        what = both(error.what)
        return ill(
            name,
            Text(f"无法使用，上传已停止：{what.zh}", f"It cannot be used, and nothing goes: {what.en}"),
            both(error.remedy),
        )
    made_on = f"{clock.local(versions[-1].made_at):%Y-%m-%d}"
    return well(
        name,
        f"{keys.path} 可读，共 {len(versions)} 个版本，最新的生成于 {made_on}。",
        f"{keys.path} can be read: {len(versions)} versions, the newest of {made_on}.",
    )


def archive(folder: Path) -> Diagnosis:
    """Return whether old rows can be archived: until they can, they stay where they are."""
    name = "archive folder"
    if not folder.exists():
        return well(name, "尚无归档。", "Nothing is archived yet.")
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return ill(
            name,
            Text(f"{folder} 不是本账户可读写的目录。", f"{folder} is no folder that this account can read and write."),
            Text("挂载它，或授予本账户读写权限。", "Mount it, or give this account the right to read and write there."),
        )
    free_bytes = shutil.disk_usage(folder).free
    zh, en = f"{folder} 剩余 {free_bytes // GIB} GiB。", f"{free_bytes // GIB} GiB are free in {folder}."
    if free_bytes < FREE_BYTES_MIN:
        remedy = Text(
            "请腾出空间，或移到更大的磁盘；此前旧记录留在中间表。", "Make room, or mount a larger disk there."
        )
        return note(name, Text(zh, en), remedy)
    return well(name, zh, en)
