"""Which regulators there are, and each one's rules: shipped folders, installed packages, imported editions."""

from __future__ import annotations

from functools import cache
from importlib import import_module, resources
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qianzhi.errors import ConfigurationError, SpecError
from qianzhi.specs.folder import REGULATOR_FILE, belongs
from qianzhi.specs.load import parse_regulator
from qianzhi.specs.paperwork import DOCUMENTS_FILE, FORMS_FILE, parse_paperwork

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.metadata import EntryPoint
    from importlib.resources.abc import Traversable
    from types import ModuleType

    from qianzhi.specs.model import Regulator
    from qianzhi.specs.paperwork import Paperwork

ENTRY_POINTS: Final = "qianzhi.regulators"
"""The group in which an installed package names its folder: `<key> = "package"`."""

PAPERWORK: Final = "documents"
"""The capability of a regulator that wants documents and forms."""

_imported: Path | None = None


def use(directory: Path | None) -> None:
    """Let the editions in `directory` (one folder for each regulator's key) come before all others; None forgets it."""
    global _imported  # noqa: PLW0603  # one process serves one data directory
    _imported = directory
    regulator.cache_clear()
    paperwork.cache_clear()


def keys() -> tuple[str, ...]:
    """Return the key of every regulator, sorted. No file is parsed and no adapter imported."""
    return tuple(sorted({*_shipped(), *_installed(), *_editions()}))


def discover() -> Mapping[str, Traversable]:
    """Return the folder of every regulator by key, sorted; nothing in it is parsed or imported."""
    return {key: folder(key) for key in keys()}


def folder(key: str) -> Traversable:
    """Return the folder of a regulator: an imported edition before an installed package before the shipped one."""
    if edition := _editions().get(key):
        return edition
    if packaged := _packaged(key):
        return packaged
    raise ConfigurationError(f"There is no regulator {key!r}.", remedy=f"Use one of: {', '.join(keys()) or 'none'}.")


@cache
def regulator(key: str) -> Regulator:
    """Return the regulator called `key`, parsed once. ConfigurationError: none is; SpecError: its folder is wrong."""
    found = parse_regulator(dict(_files(folder(key))))
    if found.key != key:
        raise SpecError(
            f"{REGULATOR_FILE}: the folder {key!r} says that its key is {found.key!r}.",
            remedy="Give the folder or the entry point the name of the key.",
        )
    return found


@cache
def paperwork(key: str) -> Paperwork:
    """
    Return the documents and forms that a regulator wants.

    An imported edition that brings none of its own leaves those of the package. ConfigurationError: it wants none.
    """
    if PAPERWORK not in regulator(key).capabilities:
        raise ConfigurationError(
            f"The regulator {key!r} wants no documents.", remedy="Name one that does: see `qianzhi specs list`."
        )
    places = [place for place in (folder(key), _packaged(key)) if place and (place / DOCUMENTS_FILE).is_file()]
    files = ((name, places[0] / name) for name in (DOCUMENTS_FILE, FORMS_FILE) if places)
    return parse_paperwork({name: file.read_bytes() for name, file in files if file.is_file()})


def adapter(key: str, name: str) -> ModuleType:
    """
    Import one of a regulator's adapters, such as "deliver" or "intake", and nothing else of it.

    An imported edition brings rules only: its adapters are those of the package. ConfigurationError: there is none.
    """
    package = point.module if (point := _installed().get(key)) else f"{__name__}.{key}"
    if find_spec(package) is None or find_spec(f"{package}.{name}") is None:
        raise ConfigurationError(
            f"The regulator {key!r} has no adapter {name!r}.", remedy="Install a package that brings it."
        )
    return import_module(f"{package}.{name}")


def _shipped() -> dict[str, Traversable]:
    return _folders(resources.files(__name__))


def _editions() -> dict[str, Traversable]:
    return _folders(_imported) if _imported is not None and _imported.is_dir() else {}


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _folders(parent: Traversable) -> dict[str, Traversable]:
    return {child.name: child for child in parent.iterdir() if child.is_dir() and (child / REGULATOR_FILE).is_file()}


def _package_folder(point: EntryPoint) -> Path:
    # The package is located and not imported: its adapters may need what is not installed here.
    spec = find_spec(point.module)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        return Path(location)
    raise ConfigurationError(
        f"The regulator {point.name!r} is to come from the package {point.module!r}, which is not installed.",
        remedy="Install the package again, or remove it.",
    )


def _packaged(key: str) -> Traversable | None:
    point = _installed().get(key)
    return _package_folder(point) if point else _shipped().get(key)


def _files(parent: Traversable, above: str = "") -> Iterator[tuple[str, bytes]]:
    for child in parent.iterdir():
        path = f"{above}{child.name}"
        if child.is_file() and belongs(path):
            yield path, child.read_bytes()
        elif child.is_dir() and not above:
            yield from _files(child, f"{path}/")
