"""What the code says to its logs can be checked before it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import modules, parsed, shown

from qianzhi.runtime.privacy import NAMES, NUMBERS, SENTENCES, is_event

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
KEYS = NAMES | NUMBERS | SENTENCES | {"exc_info"}


def test_every_entry_is_a_fixed_event_with_allowed_keys() -> None:
    """No call formats a value into an event or passes one under a key that would be dropped."""
    wrong = [
        f"{shown(path)}:{call.lineno}"
        for path in modules()
        for call in _calls(path)
        if not _is_fixed(call) or {keyword.arg for keyword in call.keywords} - KEYS
    ]
    assert wrong == []


def test_nobody_else_writes_logs() -> None:
    """`logging` is configured in one place and otherwise not used."""
    users = [
        shown(path)
        for path in modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Import) and any(alias.name == "logging" for alias in node.names)
    ]
    assert users == ["src/qianzhi/runtime/logs.py", "src/qianzhi/runtime/server.py"]


def _calls(path: Path) -> Iterator[ast.Call]:
    """The calls `log.<level>(…)` of a module."""
    for node in ast.walk(parsed(path)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in {"log", "logger", "_log"}
        ):
            yield node


def _is_fixed(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and is_event(call.args[0].value)
