"""How long a file and a function may be, and how many rules are switched off."""

from __future__ import annotations

import ast
import re

from tests.architecture.tree import modules, parsed, shown

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60  # without its docstring
SWITCHED_OFF = re.compile(r"#\s*(noqa|type:\s*ignore)")
NAMED_WITH_REASON = re.compile(r"# type: ignore\[[a-z, -]+\]|# noqa: [A-Z0-9]+(, [A-Z0-9]+)*\s+[-#(]\s*\w")


def test_no_file_is_longer_than_its_bound() -> None:
    """A longer file holds two nouns."""
    long = {
        shown(path): length
        for path in modules()
        if (length := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES_MAX
    }
    assert long == {}


def test_no_function_is_longer_than_its_bound() -> None:
    """A longer function does two things."""
    long = {
        f"{shown(path)}:{node.lineno} {node.name}": length
        for path in modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (length := _length(node)) > FUNCTION_LINES_MAX
    }
    assert long == {}


def test_every_rule_that_is_switched_off_for_a_line_is_named_with_a_reason() -> None:
    """A bare `noqa` or `type: ignore` hides more than it says; a `noqa` without a reason cannot be reviewed."""
    bare = [
        f"{shown(path)}:{number}"
        for path in modules()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if SWITCHED_OFF.search(line) and not NAMED_WITH_REASON.search(line)
    ]
    assert bare == []


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    last = function.end_lineno or function.lineno
    if ast.get_docstring(function) is None:
        return last - function.lineno + 1
    return last - function.lineno + 1 - ((first.end_lineno or first.lineno) - first.lineno + 1)
