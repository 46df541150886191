"""Folders: images that can be read, and what a scanner of viruses must leave alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Final

import psutil

from qianzhi.gateway.diagnosis import Diagnosis, ill, note, well
from qianzhi.specs.model import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from qianzhi.runtime.settings import ImageFolder

QUESTION_SECONDS_MAX: Final = 20.0
QUESTION: Final = "ConvertTo-Json -Compress @((Get-MpPreference).ExclusionPath)"
DEFENDER: Final = "msmpeng.exe"
# Programs that look into every file as it is written.
SCANNERS: Final = frozenset({
    DEFENDER, "clamonacc", "clamd", "360sd.exe", "360tray.exe", "360rp.exe", "qqpcrtp.exe", "hipsdaemon.exe",
    "kxescore.exe", "ravmond.exe", "avp.exe", "ccsvchst.exe", "ekrn.exe",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scanners:
    """The facts: which scanners run, and which folders Defender leaves alone (None: it does not say)."""

    programs: tuple[str, ...]
    excluded: tuple[str, ...] | None


def images(name: str, said: ImageFolder) -> Diagnosis:
    """Return whether a folder of images can be read."""
    title = f"images {name}"
    if said.folder.is_dir() and os.access(said.folder, os.R_OK | os.X_OK):
        return well(title, f"{said.folder} 可读。", f"{said.folder} can be read.")
    return ill(
        title,
        Text(f"{said.folder} 不是本账户可读的目录。", f"{said.folder} is no folder that this account can read."),
        Text(
            "挂载它、授予本账户读取权限，或在 qianzhi.toml 中更正。",
            "Mount it, give this account the right to read it, or correct it in qianzhi.toml.",
        ),
    )


def to_exclude(root: Path, official: Iterable[str]) -> list[str]:
    """Return the folders that no scanner may hold: ours, and what is here of the official software's."""
    theirs = [path for path in official if sys.platform == "win32" and os.path.exists(path)]  # noqa: PTH110 - a text
    return [str(root / "pg"), str(root / "spool"), str(root / "blobs"), *theirs]


def look() -> Scanners:
    """Return what scans here."""
    names: set[str] = set()
    for process in psutil.process_iter(["name"]):
        name = str(process.info["name"] or "").lower()
        if name in SCANNERS:
            names.add(name)
    return Scanners(tuple(sorted(names)), _defender_exclusions() if DEFENDER in names else None)


def scanners(facts: Scanners, folders: Sequence[str]) -> Diagnosis:
    """Return whether a scanner may get in the way: it holds files open, and makes each write slow. Pure."""
    name = "antivirus"
    others = [program for program in facts.programs if program != DEFENDER]
    missing = list(folders) if facts.excluded is None or others else _not_excluded(folders, facts.excluded)
    if not facts.programs:
        return well(
            name,
            "没有发现防病毒软件；以后安装时请排除数据目录。",
            "No scanner was found; where one is installed, exclude the data directory.",
        )
    if not missing:
        return well(name, "Defender 已排除需要排除的目录。", "Defender leaves the folders alone that it should.")
    known = facts.excluded is not None and not others
    what = Text(
        f"{'、'.join(facts.programs)} 在运行，" + ("未排除数据目录。" if known else "无法得知是否已排除数据目录。"),
        f"{', '.join(facts.programs)} runs"
        + (" and looks into the data." if known else "; what it leaves alone is not known."),
    )
    listed = "; ".join(missing)
    return note(name, what, Text(f"在防病毒软件中排除：{listed}", f"Exclude in it: {listed}"))


def _not_excluded(folders: Iterable[str], excluded: Iterable[str]) -> list[str]:
    known = [_path(each) for each in excluded]
    return [each for each in folders if not any(_path(each).is_relative_to(one) for one in known)]


def _path(text: str) -> PurePath:
    # Of two paths of Windows that differ in case only, one is the other.
    return PureWindowsPath(text) if "\\" in text or ":" in text else PurePath(text)


def _defender_exclusions() -> tuple[str, ...] | None:
    """Ask Windows Defender; only an administrator is told."""
    shell = shutil.which("powershell")
    if shell is None:
        return None
    try:
        told = subprocess.run(
            [shell, "-NoProfile", "-NonInteractive", "-Command", QUESTION],
            check=False,
            capture_output=True,
            timeout=QUESTION_SECONDS_MAX,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parsed(told.stdout.decode("utf-8", errors="replace"))


def parsed(answer: str) -> tuple[str, ...] | None:
    """Return the folders that Defender says it excludes; None where it says that one may not know. Pure."""
    try:
        said = json.loads(answer)
    except ValueError:
        return None
    found = tuple(each for each in said if isinstance(each, str)) if isinstance(said, list) else ()
    if not isinstance(said, list) or any(each.startswith("N/A") for each in found):
        return None
    return found
