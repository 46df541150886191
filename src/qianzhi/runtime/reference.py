"""What there is to set, read off the declarations: for the reference page and for who looks up a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args, get_origin

from pydantic import BaseModel

from qianzhi.runtime.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE_PREFIX = "QIANZHI_"
VARIABLE_SEPARATOR = "__"
_TYPE_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", time: "time"}


@dataclass(frozen=True, slots=True)
class SettingEntry:
    """One line of the reference page."""

    name: str  # dotted, with <name> for a free one
    type: str
    default: str | None  # as TOML writes it; None when it must be set, "" when it may be left out
    unit: str
    sentence: str

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return VARIABLE_PREFIX + self.name.upper().replace(".", VARIABLE_SEPARATOR)


def every_setting(kind: type[BaseModel] = Settings, prefix: str = "") -> Iterator[SettingEntry]:
    """List every setting, in the order of the declarations."""
    for name, field in kind.model_fields.items():
        dotted = f"{prefix}{name}"
        inner = inner_section(field.annotation)
        if inner is None:
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            default = None if field.is_required() else _toml(field.default)
            yield SettingEntry(
                dotted, _type_name(field.annotation), default, str(extra.get("unit", "")), str(field.description)
            )
        else:
            yield from every_setting(inner, f"{dotted}.<name>." if is_table(field.annotation) else f"{dotted}.")


def is_table(annotation: object) -> bool:
    """Tell whether a field is a table of sections under free names."""
    return get_origin(annotation) is dict


def is_list(annotation: object) -> bool:
    """Tell whether a setting may hold several values."""
    return get_origin(annotation) is tuple or any(is_list(part) for part in get_args(annotation))


def inner_section(annotation: object) -> type[BaseModel] | None:
    """Return the section that a field holds, itself or under free names; None for a plain setting."""
    candidate = get_args(annotation)[1] if is_table(annotation) else annotation
    return candidate if isinstance(candidate, type) and issubclass(candidate, BaseModel) else None


def _toml(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"'


def _type_name(annotation: object) -> str:
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f'"{member.value}"' for member in annotation)
    if isinstance(annotation, type):
        return _TYPE_NAMES[annotation]
    parts = [part for part in get_args(annotation) if part not in {type(None), Ellipsis}]
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(f'"{part}"' for part in parts)
    if origin is tuple:
        return f"list of {_type_name(parts[0])}s"
    if origin is Annotated:
        return _type_name(parts[0])
    return " or ".join(_type_name(part) for part in parts)
