"""
The offline bundle: wheels, their digests and a script, for machines that reach no registry.

Everything is named by the lock: what pip fetches must have one of its digests, here and again where it is installed.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

import qianzhi
from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.runtime import clock
from qianzhi.runtime.bundle import lock, wheel
from qianzhi.runtime.bundle.platforms import PLATFORMS, PYTHON_VERSION, Platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.runtime.bundle.lock import Requirement

__all__ = ["PLATFORMS", "PYTHON_VERSION", "Bundle", "make"]

WHEELS: Final = "wheels"
SUMS: Final = "SHA256SUMS"
MANIFEST: Final = "manifest.json"
REQUIREMENTS: Final = "requirements.txt"
FETCH_SECONDS_MAX: Final = 3600.0
_PYTHON: Final = re.compile(r"3\.1[1-9]")
_TAIL_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that was made; `digest` is the SHA-256 of its sums, by which it can be known again."""

    folder: Path
    wheels: tuple[str, ...]
    byte_count: int
    digest: str


def make(platform: str, folder: Path, *, python_version: str = PYTHON_VERSION) -> Bundle:
    """
    Fetch the wheels of a platform, build that of the product, and write what installs and verifies them.

    Raises ConfigurationError for an unknown platform or a folder that holds anything, OperatorError where a wheel
    cannot be had.
    """
    chosen = PLATFORMS.get(platform)
    if chosen is None or not _PYTHON.fullmatch(python_version):
        raise ConfigurationError(
            f"No bundle can be made for {platform} and Python {python_version}.",
            remedy=f"Name one of {', '.join(PLATFORMS)}, and a Python from 3.11.",
        )
    wheels = _empty(folder) / WHEELS
    wheels.mkdir()
    requirements = lock.needed(lock.parse(lock.text()), chosen.environment(python_version))
    _fetch(requirements, chosen, python_version, wheels)
    ours = wheel.make(wheels)
    pin = f"{wheel.NAME}=={qianzhi.__version__} --hash=sha256:{_digest(ours)}"
    lines = "\n".join([*(each.line for each in requirements), pin, ""])
    (folder / REQUIREMENTS).write_text(lines, encoding="utf-8", newline="\n")
    script = resources.files(__name__).joinpath(chosen.script).read_text(encoding="utf-8")
    (folder / chosen.script).write_text(
        script.replace("@PYTHON@", python_version), encoding="utf-8", newline="\r\n" if "ps1" in chosen.script else "\n"
    )
    return _sealed(folder, chosen, python_version)


def _sealed(folder: Path, platform: Platform, python_version: str) -> Bundle:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    wheels = [path for path in files if path.suffix == ".whl"]
    said = {
        "product": wheel.NAME,
        "version": qianzhi.__version__,
        "platform": platform.key,
        "python": python_version,
        "made_at": clock.now(),
        "wheels": [{"file": path.name, "bytes": path.stat().st_size, "sha256": _digest(path)} for path in wheels],
    }
    manifest = folder / MANIFEST
    manifest.write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2))
    lines = [f"{_digest(path)}  {path.relative_to(folder).as_posix()}" for path in sorted([*files, manifest])]
    sums = folder / SUMS
    sums.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="\n")
    total = sum(path.stat().st_size for path in files)
    return Bundle(folder, tuple(path.name for path in wheels), total, _digest(sums))


def _empty(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty.", remedy="Name a new folder.")
    return folder


def _fetch(requirements: Sequence[Requirement], platform: Platform, python_version: str, wheels: Path) -> None:
    tags = [word for tag in platform.tags for word in ("--platform", tag)]
    with tempfile.TemporaryDirectory() as place:
        wanted = Path(place) / REQUIREMENTS
        wanted.write_text("\n".join(each.line for each in requirements), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary", ":all:", *tags, "--implementation", "cp"]
        command += ["--python-version", python_version, "--dest", str(wheels), "--requirement", str(wanted)]
        ended = subprocess.run(
            command, check=False, capture_output=True, timeout=FETCH_SECONDS_MAX, stdin=subprocess.DEVNULL
        )
    if ended.returncode:
        raise OperatorError(
            f"pip could not fetch every wheel: {ended.stderr.decode(errors='replace')[-_TAIL_CHARACTERS:].strip()}",
            remedy="Make the bundle on a machine that reaches a package index, with pip's usual settings.",
        )


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
