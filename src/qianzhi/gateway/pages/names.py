"""How pages call what has a name: datasets, severities, origins, destinations."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from qianzhi import regulators
from qianzhi.console.tables import Tagged, Words, tagged
from qianzhi.console.text import Language, _, language, mark
from qianzhi.gateway import assembly

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qianzhi.runtime.settings import Settings

_SEVERITIES: Final[Words] = {
    "error": (mark("错误"), "bad"),
    "warning": (mark("警告"), "warn"),
}
_STATES: Final[Words] = {
    "waiting": (mark("待上传"), "plain"),
    "under_way": (mark("上传中"), "accent"),
    "held": (mark("待补"), "warn"),
    "delivered": (mark("已送达"), "accent"),
    "accepted": (mark("已接收"), "good"),
    "rejected": (mark("已拒绝"), "bad"),
    "superseded": (mark("被替代"), "plain"),
    "nothing_to_revoke": (mark("无可撤销"), "plain"),
    "withheld": (mark("已拦截"), "bad"),
    "quarantined": (mark("隔离"), "bad"),
    "not_taken": (mark("未提交"), "plain"),
    "never_staged": (mark("未入表"), "bad"),
    "revoked": (mark("已撤销"), "warn"),
}
_CHANGES: Final[Mapping[str, str]] = {"new": mark("新增"), "modify": mark("修改"), "revoke": mark("撤销")}
_BATCH_STATES: Final[Words] = {
    "sealed": (mark("待回执"), "accent"),
    "settled": (mark("已结算"), "good"),
    "split": (mark("已拆分"), "plain"),
    "refused": (mark("被拒收"), "bad"),
    "delivered": (mark("已送达"), "accent"),
}
_CYCLES: Final[Mapping[str, str]] = {
    "nightly": mark("夜间"),
    "manual": mark("手动"),
    "realtime": mark("实时"),
    "backfill": mark("历史补传"),
}
_ORIGINS: Final[Mapping[str, str]] = {
    "gateway": mark("前置机"),
    "hub": mark("监管平台"),
    "official": mark("官方前置机"),
}


@cache
def titles(keys: tuple[str, ...]) -> Mapping[str, str]:
    """Return the official titles of the datasets of regulators, parents first."""
    return {each.name: each.title for key in keys for each in regulators.regulator(key).datasets}


def datasets(settings: Settings) -> dict[str, str]:
    """Return every dataset that the gateway serves, with what people call it."""
    return {name: dataset(settings, name) for name in titles(tuple(assembly.served(settings)))}


def dataset(settings: Settings, name: str) -> str:
    """Return what people call a dataset: its official title, in English its name."""
    title = titles(tuple(assembly.served(settings))).get(name, name)
    return title if language() is Language.ZH else name


def severity(key: str) -> Tagged:
    """Return a severity in its colour."""
    return tagged(_SEVERITIES, key)


def severities() -> dict[str, str]:
    """Return every severity with its word."""
    return {key: _(word) for key, (word, _tone) in _SEVERITIES.items()}


def origin(key: str) -> str:
    """Return who found something."""
    return _(_ORIGINS.get(key, key))


def state(key: str) -> Tagged:
    """Return where a row is, in its colour."""
    return tagged(_STATES, key)


def change(key: str | None) -> str:
    """Return what a row does to its record."""
    return _(_CHANGES.get(key or "", mark("未说明")))


def batch_state(key: str) -> Tagged:
    """Return what is known of a batch, in its colour."""
    return tagged(_BATCH_STATES, key)


def cycle(key: str | None) -> str:
    """Return the kind of a cycle."""
    return _(_CYCLES.get(key or "realtime", key or ""))
