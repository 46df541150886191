"""Who may import whom: the contracts of pyproject.toml, and what holds for every regulator's folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.architecture.tree import PACKAGE, ROOT, dotted, imported, modules, shown

REGULATORS = PACKAGE / "regulators"
PURE = ("errors", "specs", "codes", "checks", "sealing")
PURE_OF_PATHLIB = {"pathlib", "pathlib.PurePath", "pathlib.PurePosixPath"}


def test_the_contracts_hold() -> None:
    """import-linter finds every contract kept."""
    program = Path(sys.executable).with_name("lint-imports")
    ended = subprocess.run(
        [program, "--no-cache", "--config", ROOT / "pyproject.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_regulator_is_known_to_nobody_but_itself() -> None:
    """Everybody else reaches a regulator through `qianzhi.regulators`, also other regulators."""
    folders = [path.parent for path in REGULATORS.glob("*/regulator.toml")]
    assert folders

    trespasses = [
        f"{shown(module)} imports {name}"
        for folder in folders
        for module in modules()
        if folder not in module.parents
        for name in imported(module)
        if name == dotted(folder / "__init__.py") or name.startswith(dotted(folder / "__init__.py") + ".")
    ]
    assert trespasses == []


def test_nobody_needs_the_conformance_kit_to_run() -> None:
    """`qianzhi.testing` is for those who write a regulator's folder."""
    trespasses = [
        shown(module)
        for module in modules()
        if PACKAGE / "testing" not in module.parents
        and any(name.startswith("qianzhi.testing") for name in imported(module))
    ]
    assert trespasses == []


@pytest.mark.parametrize("package", PURE)
def test_pure_packages_open_no_path(package: str) -> None:
    """They may calculate with names of files, but not with files."""
    trespasses = {
        shown(module): sorted(names)
        for module in modules()
        if dotted(module).split(".")[1:2] == [package]
        and (names := {name for name in imported(module) if name.startswith("pathlib")} - PURE_OF_PATHLIB)
        and not _is_for_types_only(module, names)
    }
    assert trespasses == {}


def _is_for_types_only(module: Path, names: set[str]) -> bool:
    text = module.read_text(encoding="utf-8")
    return all(f"\nfrom pathlib import {name.rpartition('.')[2]}" not in text for name in names)
