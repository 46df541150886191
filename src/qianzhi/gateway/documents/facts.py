"""What this installation knows of itself, by the names under which a regulator's forms ask for it."""

from __future__ import annotations

import platform
import shutil
import socket
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psutil
from psycopg.conninfo import conninfo_to_dict

from qianzhi import regulators
from qianzhi.errors import QianzhiError
from qianzhi.gateway import assembly
from qianzhi.gateway.doctor import Health, examine
from qianzhi.gateway.doctor.ports import is_taken
from qianzhi.gateway.resources.registry import registry
from qianzhi.runtime.home import End

if TYPE_CHECKING:
    from collections.abc import Callable

    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings
    from qianzhi.specs.paperwork import Item

RECORD: Final = "record"
"""A field of a record that people keep; it may be blank, so people are asked all the same."""

LOOPBACK: Final = "127.0.0.1"
ADDRESSES_MAX: Final = 20
_DEPLOYMENTS: Final = ("一体式", "分离式")
"""What a form without choices of its own calls them: one machine, and a database apart."""

_GIB: Final = 2**30
_HERE: Final = frozenset({"", "localhost", LOOPBACK, "::1"})
_TROUBLES: Final = {Health.WELL: "正常", Health.NOTE: "提示", Health.ILL: "异常"}


def facts(home: Home, settings: Settings, regulator_key: str) -> dict[str, Callable[[Item], str]]:
    """Return every fact as a question that is asked when a form wants it."""
    regulator = regulators.regulator(regulator_key)
    return {
        "institution": lambda _: settings.gateway.institution,
        "edition": lambda _: f"{regulator.name.zh} {regulator.edition}",
        "deployment": lambda item: (item.choices or _DEPLOYMENTS)[0 if _is_one_machine(home, settings) else -1],
        "purpose": lambda _: "前置服务、数据库" if _is_one_machine(home, settings) else "前置服务",
        "addresses": lambda _: "\n".join(_addresses()),
        "whitelist": lambda _: "\n".join(settings.gateway.whitelist),
        "ports": lambda item: "、".join(f"{port}{_use(settings, int(port))}" for port in item.of),
        "home": lambda _: str(home.path),
        "images": lambda _: "\n".join(f"{each.prefix} → {each.folder}" for each in settings.gateway.images.values()),
        "hardware": lambda _: _hardware(home),
        "system": lambda _: f"{platform.system()} {platform.release()}（{platform.machine()}）",
        "database_address": lambda _: _address(home, settings),
        "database_port": lambda _: _database(home, settings).get("port", ""),
        "database_name": lambda _: f"{_database(home, settings).get('dbname', '')}（模式：{regulator.key}）",
        "database_user": lambda _: regulator.sender,
        "database_password": lambda _: _password(home, settings, regulator.sender),
        "health": lambda _: _health(home, settings),
        RECORD: lambda item: _of_record(home, settings, regulator_key, *item.of),
    }


def _database(home: Home, settings: Settings) -> dict[str, str]:
    return {name: str(value) for name, value in conninfo_to_dict(assembly.owner_dsn(home, settings)).items()}


def _address(home: Home, settings: Settings) -> str:
    database = settings.gateway.database
    return database.listen if database.dsn is None else _database(home, settings).get("host", LOOPBACK)


def _password(home: Home, settings: Settings, role: str) -> str:
    return str(conninfo_to_dict(assembly.role_dsn(home, settings, role)).get("password", ""))


def _is_one_machine(home: Home, settings: Settings) -> bool:
    host = _database(home, settings).get("host", "")
    return settings.gateway.database.dsn is None or host in _HERE or host.startswith("/")


def _addresses() -> list[str]:
    found = (each for addresses in psutil.net_if_addrs().values() for each in addresses)
    plain = {each.address for each in found if each.family == socket.AF_INET}
    return sorted(plain - {LOOPBACK})[:ADDRESSES_MAX]


def _use(settings: Settings, port: int) -> str:
    if not is_taken(port):
        return "未占用"
    console = settings.gateway.console
    return "由前置机控制台使用" if console.enabled and port == console.port else "已占用"


def _hardware(home: Home) -> str:
    root = home.end(End.GATEWAY).root
    disk = shutil.disk_usage(root if root.is_dir() else home.path)
    memory = psutil.virtual_memory().total
    cores = psutil.cpu_count() or 1
    return f"{cores}核，内存{memory / _GIB:.0f}G，硬盘{disk.total / _GIB:.0f}G（可用{disk.free / _GIB:.0f}G）"


def _of_record(home: Home, settings: Settings, regulator_key: str, dataset: str, field: str) -> str:
    """Return what the only record of a dataset says in a field; blank where there is none, or one among several."""
    named = (name for name, said in settings.gateway.destinations.items() if said.regulator == regulator_key)
    with suppress(QianzhiError):  # the form is made all the same, and the line written by hand
        held = [each for each in registry(home, settings, next(named)).records(dataset) if each.exists]
        return held[0].values.get(field, "") if len(held) == 1 else ""
    return ""


def _health(home: Home, settings: Settings) -> str:
    looked = list(examine(home, settings))
    counts = Counter(each.health for each in looked)
    lines = ["，".join(f"{_TROUBLES[health]}{counts[health]}项" for health in Health)]
    lines += [f"{_TROUBLES[each.health]}：{each.name}" for each in looked if each.health is Health.ILL]
    return "\n".join(lines)
