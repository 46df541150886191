"""The files of the repository, as the tests of its architecture read them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "qianzhi"
_MADE = {"build", "dist", "node_modules", "htmlcov"}  # and whatever begins with a dot but .ci


def files() -> Iterator[Path]:
    """Every file of the repository that is not made from others, in order."""
    return _below(ROOT)


def modules() -> list[Path]:
    """Every module of the package, in order."""
    return sorted(path for path in _below(PACKAGE) if path.suffix == ".py")


@cache
def parsed(path: Path) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def imported(path: Path) -> set[str]:
    """The modules that a module imports anywhere, also as types only; `from a import b` counts as a and as a.b."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def dotted(path: Path) -> str:
    """The name under which a module is imported."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def shown(path: Path) -> str:
    """The path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in _MADE or (path.name.startswith(".") and path.name not in {".ci", ".gitignore"}):
            continue
        if path.is_dir() and path.name != "__pycache__":
            yield from _below(path)
        elif path.is_file():
            yield path
