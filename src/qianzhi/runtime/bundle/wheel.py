"""The wheel of the product itself: built from its tree, or made again from what is installed."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

import qianzhi
from qianzhi.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Iterable

BUILD_SECONDS_MAX: Final = 600.0
NAME: Final = "qianzhi"
_MADE_BY_PIP: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
_FIRST_MOMENT: Final = (1980, 1, 1, 0, 0, 0)  # of a ZIP archive: equal contents make equal wheels


def make(folder: Path) -> Path:
    """Put the wheel of this release into a folder. Raises OperatorError where that fails."""
    tree = Path(qianzhi.__file__).parents[2]
    return _built(tree, folder) if (tree / "pyproject.toml").is_file() else packed_again(folder)


def packed_again(folder: Path) -> Path:
    """Make the wheel from the files of the installed distribution, as their record lists them."""
    found = distribution(NAME)
    made = folder / f"{NAME}-{found.version}-py3-none-any.whl"
    info = f"{NAME}-{found.version}.dist-info"
    listed = [each for each in found.files or () if each.parts[0] in {NAME, info} and "__pycache__" not in each.parts]
    if not any(each.parts[0] == NAME for each in listed):
        raise OperatorError(
            "This installation of qianzhi does not list its files.",
            remedy="Make the bundle where it was installed by pip.",
        )
    entries = {
        each.as_posix(): Path(str(each.locate())).read_bytes()
        for each in listed
        if not (each.parts[0] == info and each.name in _MADE_BY_PIP)
    }
    record = f"{info}/RECORD"
    entries[record] = _record(entries.items(), record)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(entries, key=lambda name: (name.startswith(info), name)):
            archive.writestr(zipfile.ZipInfo(name, _FIRST_MOMENT), entries[name], zipfile.ZIP_DEFLATED)
    return made


def _record(entries: Iterable[tuple[str, bytes]], record: str) -> bytes:
    lines = []
    for name, content in sorted(entries):
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{record},,", ""]).encode()


def _built(tree: Path, folder: Path) -> Path:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    ended = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(tree)],
        check=False,
        capture_output=True,
        timeout=BUILD_SECONDS_MAX,
        stdin=subprocess.DEVNULL,
    )
    made = sorted(folder.glob(f"{NAME}-*.whl"))
    if ended.returncode or len(made) != 1:
        raise OperatorError(
            f"The wheel of qianzhi was not built: {ended.stderr.decode(errors='replace')[-500:]}",
            remedy="Make the environment of the tree: make setup.",
        )
    return made[0]
