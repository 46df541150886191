"""The machine that SEED-000 asks for (ch. 1 一.2, 一.4, 二), and the official software on it (App. 5 四)."""

from __future__ import annotations

from typing import Final

from qianzhi.regulators.machine import Machine
from qianzhi.specs.model import Text

MACHINE: Final = Machine(
    cores=4,
    memory_bytes=8 * 2**30,
    disk_days=30,
    uplink_bits_per_second=2_000_000,
    ports={
        8080: Text("官方前置机的应用维护服务（jenkins）", "the official machine's maintenance service (jenkins)"),
        8877: Text("官方前置机的本地上传服务", "the official machine's local upload service"),
        28888: Text("数据采集管理系统", "the console"),
    },
    untouchable=(
        r"C:\gdimsp\front-end-processor\build",
        r"C:\gdimsp\pgsql\data\pg_hba.conf",
        r"C:\gdimsp\pgsql\data\base",
    ),
)
