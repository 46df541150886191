"""The machine: processors, memory, and whether its disk holds a month."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psutil

from qianzhi.gateway.diagnosis import Diagnosis, ill, note, well
from qianzhi.ledger import backlog
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    import psycopg

    from qianzhi.regulators.machine import Machine
    from qianzhi.runtime.home import Rooms

GIB: Final = 2**30
FREE_BYTES_MIN: Final = 5 * GIB
FREE_BYTES_GOOD: Final = 20 * GIB  # below, somebody should know before it is too late
FREE_DAYS_MIN: Final = 7  # of measured volume; below, it must be put right now
AVAILABLE_BYTES_MIN: Final = GIB // 2
MEMORY_SHARE_MIN: Final = 0.9  # of what is asked for: firmware and graphics take some
WINDOW_DAYS: Final = 30
FILES_MAX: Final = 200_000  # that are looked at for their size
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the machine has."""

    cores: int
    memory_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """How full the disk is, and what a day adds to it."""

    free_bytes: int
    day_bytes: float | None  # None before the first day


def look() -> Hardware:
    """Return what this machine has."""
    memory = psutil.virtual_memory()
    return Hardware(os.cpu_count() or 1, memory.total, memory.available)


def diagnose(facts: Hardware, asked: Machine | None) -> Iterator[Diagnosis]:
    """Yield how the machine is, against what the authority asks for. Pure."""
    yield _processors(facts, asked)
    yield _memory(facts, asked)


def free(bytes_: int) -> Diagnosis:
    """Return how the room on the disk of the data directory is. Pure."""
    zh, en = (
        f"数据目录所在磁盘剩余 {bytes_ // GIB} GiB。",
        f"{bytes_ // GIB} GiB are free on the data directory's disk.",
    )
    least = FREE_BYTES_MIN // GIB
    if bytes_ >= FREE_BYTES_GOOD:
        return well("disk", zh, en)
    if bytes_ >= FREE_BYTES_MIN:
        remedy = Text(f"请在少于 {least} GiB 之前腾出空间。", f"Make room before it is less than {least} GiB.")
        return note("disk", Text(zh, en), remedy)
    return ill("disk", Text(zh, en), Text(f"至少保留 {least} GiB。", f"Keep at least {least} GiB free."))


def month(growth: Growth, days: int) -> Diagnosis:
    """Return whether the disk holds so many days more at the volume that was measured. Pure."""
    name = f"disk for {days} days"
    if growth.day_bytes is None:
        return well(name, "尚无可供估算的数据量。", "Nothing was sent yet by which to measure a day.")
    lasting = max(growth.free_bytes - FREE_BYTES_MIN, 0) / max(growth.day_bytes, 1.0)
    what = Text(
        f"每日约增 {growth.day_bytes / _MIB:,.1f} MiB，剩余空间约够 {min(lasting, 9999):,.0f} 天。",
        f"A day adds about {growth.day_bytes / _MIB:,.1f} MiB; the room lasts about {min(lasting, 9999):,.0f} days.",
    )
    if lasting >= days:
        return well(name, what.zh, what.en)
    short = (days - lasting) * growth.day_bytes / GIB
    remedy = Text(
        f"扩容约 {short:,.1f} GiB，或缩短保留期（见 qianzhi.toml 的保留设置）。",
        f"Add about {short:,.1f} GiB, or keep less (the settings of retention in qianzhi.toml).",
    )
    return note(name, what, remedy) if lasting >= FREE_DAYS_MIN else ill(name, what, remedy)


def growth(connection: psycopg.Connection, rooms: Rooms, schemas: Collection[str], *, now: datetime) -> Growth:
    """Measure what a day adds: rows with all that is kept of them, images, and logs are counted as they are."""
    since = now - timedelta(days=WINDOW_DAYS)
    went = backlog.volume(connection, since=since)
    table_bytes, row_count = backlog.sizes(connection, schemas)
    free_bytes = shutil.disk_usage(rooms.root).free
    if not went.row_count or went.first_at is None:
        return Growth(free_bytes, None)
    days = max((now - went.first_at) / timedelta(days=1), 1.0)
    row_bytes = table_bytes / max(row_count, went.row_count)
    images = young_bytes(rooms.blobs, since.timestamp())
    return Growth(free_bytes, (went.row_count * row_bytes + images) / days)


def young_bytes(folder: Path, since: float) -> int:
    """Return the bytes of the files below a folder that were written since an instant (seconds since 1970)."""
    total = 0
    for number, path in enumerate(folder.rglob("*")):
        if number >= FILES_MAX:
            break
        try:
            status = path.lstat()
        except OSError:  # removed meanwhile
            continue
        if status.st_mtime >= since and not path.is_dir():
            total += status.st_size
    return total


def _processors(facts: Hardware, asked: Machine | None) -> Diagnosis:
    if asked is None or facts.cores >= asked.cores:
        return well("processors", f"{facts.cores} 核。", f"{facts.cores} cores.")
    return note(
        "processors",
        Text(
            f"{facts.cores} 核，接入文档要求 {asked.cores} 核。",
            f"{facts.cores} cores; the document asks for {asked.cores}.",
        ),
        Text("为这台机器增加处理器。", "Give this machine more processors."),
    )


def _memory(facts: Hardware, asked: Machine | None) -> Diagnosis:
    total, available = facts.memory_bytes / GIB, facts.available_bytes / GIB
    what = Text(
        f"共 {total:.1f} GiB，可用 {available:.1f} GiB", f"{total:.1f} GiB, {available:.1f} GiB of it available"
    )
    if facts.available_bytes < AVAILABLE_BYTES_MIN:
        return ill(
            "memory",
            Text(f"{what.zh}。", f"{what.en}."),
            Text("停止其他占用内存的程序，或增加内存。", "Stop what else takes memory, or add some."),
        )
    if asked is not None and facts.memory_bytes < asked.memory_bytes * MEMORY_SHARE_MIN:
        wanted = asked.memory_bytes // GIB
        return note(
            "memory",
            Text(f"{what.zh}，接入文档要求 {wanted} GiB。", f"{what.en}; the document asks for {wanted}."),
            Text("为这台机器增加内存。", "Give this machine more memory."),
        )
    return well("memory", f"{what.zh}。", f"{what.en}.")
