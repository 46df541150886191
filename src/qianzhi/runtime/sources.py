"""Where settings come from: `qianzhi.toml`, over it the environment. Writing keeps the comments of the file."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from datetime import time
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
from pydantic import ValidationError
from tomlkit import TOMLDocument

from qianzhi.errors import ConfigurationError
from qianzhi.runtime.files import write_durably
from qianzhi.runtime.home import HOME_VARIABLE
from qianzhi.runtime.reference import VARIABLE_PREFIX, VARIABLE_SEPARATOR, inner_section, is_list, is_table
from qianzhi.runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from pydantic import BaseModel

    from qianzhi.runtime.home import Home

_PROBLEMS_MAX = 5  # told at once
_SENTENCES = {  # where pydantic speaks of Python, or repeats a pattern
    "dict_type": "it is a section, written [like.this]",
    "model_type": "it is a section, written [like.this]",
    "string_pattern_mismatch": "a name has small letters, digits and single underscores, and begins with a letter",
    "tuple_type": 'it is a list, written ["like", "this"]',
}
_HEADING = "Settings of qianzhi. What is not written here has its default."


@dataclass(slots=True)
class _Sources:
    """What is said, and which of it by an environment variable; the rest stands in the file."""

    home: Home
    tree: dict[str, Any]
    variables: dict[tuple[str, ...], str] = field(default_factory=dict)

    def of(self, location: tuple[str, ...]) -> str:
        for depth in range(len(location), 0, -1):
            if variable := self.variables.get(location[:depth]):
                return f"the environment variable {variable}"
        return str(self.home.settings)


def load_settings(home: Home, environment: Mapping[str, str] | None = None) -> Settings:
    """
    Return the settings of a home; `environment` is the process's own unless given.

    Raises ConfigurationError that names each wrong key, where it stands and, if it is misspelt, the nearest name;
    never a value.
    """
    return _validated(_overlaid(home, _read(home.settings), environment))


def write_settings(home: Home, changes: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Settings:
    """
    Change settings by their dotted names in `qianzhi.toml` (None removes one), keep the rest; return what counts now.

    Raises ConfigurationError, and writes nothing, when the outcome would be refused, or when an environment variable
    says otherwise and goes over the change. Safe to repeat.
    """
    before = _read(home.settings)
    _parse(home.settings, before)
    document = tomlkit.parse(before) if before else _empty_document()
    for name, value in changes.items():
        _put(document, name.split("."), value)
    text = tomlkit.dumps(document)
    written, sources = _validated(_Sources(home, _parse(home.settings, text))), _overlaid(home, text, environment)
    settings = _validated(sources)
    for name in changes:
        if _said(written, name) != _said(settings, name):
            raise ConfigurationError(
                f"{name} cannot be changed in {home.settings}: {sources.of(tuple(name.split('.')))} says otherwise.",
                remedy="Change the variable, or unset it, here and where the service gets it from.",
            )
    write_durably(home.settings, text.encode("utf-8"))
    return settings


def _said(settings: Settings, name: str) -> object:
    """Return what a setting is by its dotted name; None where a table lacks the entry."""
    node: Any = settings
    for part in name.split("."):
        node = node.get(part) if isinstance(node, dict) else getattr(node, part, None)
    return node


def _overlaid(home: Home, text: str, environment: Mapping[str, str] | None) -> _Sources:
    """Return what the file says, and over it the environment."""
    sources = _Sources(home, _parse(home.settings, text))
    for variable, value in sorted((os.environ if environment is None else environment).items()):
        if variable.startswith(VARIABLE_PREFIX) and variable != HOME_VARIABLE and value:
            _overlay(sources, variable, value)
    return sources


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # editors of Windows put a mark before the text
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8.", remedy="Save it as UTF-8.") from error
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror}.", remedy="Let this account read it."
        ) from error


def _parse(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{file} is not TOML: {error}.", remedy="Correct the line it names.") from error


def _overlay(sources: _Sources, variable: str, value: str) -> None:
    """Put what an environment variable says over the file."""
    location = tuple(variable.removeprefix(VARIABLE_PREFIX).lower().split(VARIABLE_SEPARATOR))
    if len(location) == 1:
        _refuse_single_separator(variable, location[0])
        return
    node = sources.tree
    for depth, name in enumerate(location[:-1], start=1):
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            raise _refusal([f"{'.'.join(location[:depth])} in the environment variable {variable} is not a section"])
    node[location[-1]] = [part.strip() for part in value.split(",")] if _wants_list(location) else value
    sources.variables[location] = variable


def _refuse_single_separator(variable: str, rest: str) -> None:
    """Refuse what would be passed over in silence: `QIANZHI_HUB_PORT` for a setting of [hub]."""
    if rest.partition("_")[0] in Settings.model_fields:
        raise _refusal([f"the environment variable {variable} parts its names by one underscore instead of two"])


def _wants_list(location: tuple[str, ...]) -> bool:
    _, annotation = _walk(location)
    return is_list(annotation)


def _walk(location: tuple[str, ...]) -> tuple[type[BaseModel], object]:
    """Return the innermost section on the way to a location, and the annotation of the setting (None if unknown)."""
    kind: type[BaseModel] = Settings
    names = iter(location)
    for name in names:
        if name not in kind.model_fields:
            return kind, None
        annotation = kind.model_fields[name].annotation
        inner = inner_section(annotation)
        if inner is None:
            return kind, annotation
        if is_table(annotation):
            next(names, None)  # the free name
        kind = inner
    return kind, None


def _validated(sources: _Sources) -> Settings:
    try:
        return Settings.model_validate(sources.tree, context={"home": sources.home.path})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        problems = dict.fromkeys(_problem(dict(each), sources) for each in found)
    raise _refusal(list(problems))  # outside of the handler: the original error holds the values


def _problem(error: Mapping[str, Any], sources: _Sources) -> str:
    location = tuple(str(part) for part in error["loc"] if part != "[key]")
    kind, annotation = _walk(location)
    if annotation is not None:  # below a setting there are only the members of its type
        location = location[: _depth(location)]
    setting, source = ".".join(location), sources.of(location)
    if error["type"] == "extra_forbidden":
        return f"{setting} in {source} is unknown; {_nearest(location[-1], kind)}"
    return f"{setting} in {source}: {_SENTENCES.get(error['type'], error['msg'].removeprefix('Value error, '))}"


def _depth(location: tuple[str, ...]) -> int:
    """Return how many parts of a location lead to the setting."""
    return next(depth for depth in range(1, len(location) + 1) if _walk(location[:depth])[1] is not None)


def _nearest(name: str, kind: type[BaseModel]) -> str:
    matches = get_close_matches(name, kind.model_fields, n=1)
    return f"did you mean {matches[0]}?" if matches else f"known here are {', '.join(kind.model_fields)}"


def _refusal(problems: list[str]) -> ConfigurationError:
    return ConfigurationError(
        f"Settings are not right: {'; '.join(problems[:_PROBLEMS_MAX])}.",
        remedy="Correct what is named; the reference page of the settings lists every one.",
    )


def _empty_document() -> TOMLDocument:
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEADING))
    return document


def _put(table: MutableMapping[str, Any], names: list[str], value: object) -> None:
    first, *rest = names
    if rest:
        if first not in table:
            table[first] = tomlkit.table(is_super_table=len(rest) > 1)
        _put(table[first], rest, value)
    elif value is None:
        table.pop(first, None)
    else:
        table[first] = _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, time):
        return value.isoformat(timespec="minutes")
    return list(value) if isinstance(value, tuple) else value
