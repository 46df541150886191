"""The documents of the repository, as their tests read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]*`")


def every_page() -> list[Path]:
    """Every Markdown file that is ours: at the root, below docs, and of the regulators."""
    below = (ROOT / "src").rglob("*.md")
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *below])


def generator() -> ModuleType:
    """The script that writes the reference."""
    spec = spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(path: Path) -> str:
    """The text of a page."""
    return path.read_text(encoding="utf-8")


def examples(path: Path, language: str) -> Iterator[str]:
    """The fenced examples of a page in a language."""
    for said, body in _FENCE.findall(text_of(path)):
        if said == language:
            yield body


def headings(path: Path) -> list[str]:
    """The headings of a page, without its examples."""
    return _HEADING.findall(_FENCE.sub("", text_of(path)))


def links(path: Path) -> Iterator[tuple[str, str]]:
    """The relative links of a page, each as file (empty: the page itself) and anchor."""
    prose = _CODE.sub("code", _FENCE.sub("", text_of(path)))
    for _, target in _LINK.findall(prose):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(path: Path) -> set[str]:
    """What the headings of a page can be linked by: small letters, hyphens for blanks, numbered where repeated."""
    seen: dict[str, int] = {}
    found = set()
    for heading in headings(path):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        count = seen.get(plain, 0)
        found.add(f"{plain}-{count}" if count else plain)
        seen[plain] = count + 1
    return found
