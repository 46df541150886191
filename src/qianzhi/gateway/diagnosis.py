"""A diagnosis: one thing looked at, how it is, and what to do, in the two languages of the product."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from qianzhi.console.text import Language, told
from qianzhi.errors import QianzhiError
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

# How names begin, in Chinese; what follows is a name or a number. Names stay the same for programs.
_TITLES: Mapping[str, str] = {
    "access": "访问",
    "antivirus": "防病毒",
    "archive folder": "归档目录",
    "authority of": "签发机构",
    "certificate of": "证书",
    "clock of": "时钟",
    "database": "数据库",
    "deliveries to": "投递",
    "destination": "上报目标",
    "disk for": "磁盘够用",
    "disk": "磁盘",
    "documents for": "文档",
    "edition of": "规范版本",
    "evidence address": "调阅地址",
    "evidence folder": "调阅文件夹",
    "evidence key": "调阅私钥",
    "evidence": "调阅",
    "image folder of": "图片目录",
    "images for": "图片上传",
    "images": "图片目录",
    "key file": "密钥文件",
    "ledger": "台账",
    "listener": "监听地址",
    "memory": "内存",
    "password of": "密码",
    "ports": "端口",
    "port": "端口",
    "processors": "处理器",
    "role": "数据库账号",
    "rows at": "官方表记录",
    "tables of": "数据表",
    "uplink to": "上行线路",
    "version": "版本",
    "white-list": "白名单",
}
_DAYS = re.compile(r"^(\d+) days$")


class Health(StrEnum):
    """How a thing is."""

    WELL = "well"
    NOTE = "note"  # works, but somebody should know
    ILL = "ill"  # must be put right


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing looked at; `name` is the same in both languages, and so is what is given as one text."""

    name: str
    health: Health
    what: Text | str
    remedy: Text | str = ""

    def title(self, language: str = "zh") -> str:
        """Return its name for people."""
        start = next((each for each in _TITLES if self.name == each or self.name.startswith(f"{each} ")), None)
        if language == "en" or start is None:
            return self.name
        rest = _DAYS.sub(r"\1 天", self.name.removeprefix(start).strip())
        return f"{_TITLES[start]} {rest}".strip()

    def as_json(self, language: str = "zh") -> dict[str, str]:
        """Return the public form in a language."""
        return {
            "name": self.name,
            "health": self.health.value,
            "what": _said(self.what, language),
            "remedy": _said(self.remedy, language),
        }


def _said(text: Text | str, language: str) -> str:
    return text if isinstance(text, str) else text.said(language)


def well(name: str, zh: str, en: str) -> Diagnosis:
    """Return that a thing is as it should be."""
    return Diagnosis(name, Health.WELL, Text(zh, en))


def note(name: str, what: Text, remedy: Text) -> Diagnosis:
    """Return that a thing works, but somebody should know."""
    return Diagnosis(name, Health.NOTE, what, remedy)


def ill(name: str, what: Text, remedy: Text) -> Diagnosis:
    """Return that a thing must be put right."""
    return Diagnosis(name, Health.ILL, what, remedy)


def both(message: str) -> Text:
    """Return what an error of ours says, in both languages."""
    return Text(told(message, Language.ZH), message)


def guarded(name: str, look: Callable[[], Diagnosis | Iterable[Diagnosis]]) -> Iterator[Diagnosis]:
    """Yield what a look finds; where it cannot even look, that is what is ill."""
    try:
        found = look()
        yield from [found] if isinstance(found, Diagnosis) else found
    except QianzhiError as error:
        what = both(error.what)
        yield ill(name, Text(f"无法检查：{what.zh}", what.en), both(error.remedy))
