"""What errors say, read from the code: whole texts and the clauses that are put into them, as shapes with `{}`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.architecture.tree import PACKAGE, dotted, imported, modules, parsed, shown

import qianzhi.errors
from qianzhi.errors import QianzhiError, SpecError

# What the pages call, what the worker notes for them to show, and what regulators bring and is loaded by name.
STARTS = ("qianzhi.gateway.console", "qianzhi.gateway.worker", "qianzhi.regulators")
# SpecError concerns who writes a regulator's folder, by `qianzhi specs lint`: no console starts with such a folder.
ERRORS = frozenset(
    name for name, each in vars(qianzhi.errors).items() if isinstance(each, type) and issubclass(each, QianzhiError)
) - {SpecError.__name__}
VALUE = "{}"
IN_WORDS = re.compile(r"[A-Za-z{][^ ]* [^ ]*[A-Za-z{]")  # a name or a number is shown as it is

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands."""

    path: Path
    function: Function | None


@cache
def reached() -> list[Path]:
    """The modules that are loaded where a console or a worker runs, in order; what is imported for types is not."""
    by_name = {dotted(path): path for path in modules()}
    waiting = [name for name in by_name if name in STARTS or name.startswith("qianzhi.regulators.")]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [each for each in _loaded(parsed(by_name[name])) if each in by_name]
    return sorted(by_name[name] for name in found)


def said() -> dict[str, str]:
    """The shapes of what errors of those modules say in words, and where each is said."""
    found: dict[str, str] = {}
    for path in reached():
        for call, scope in _calls(path):
            name = _name(call.func)
            # `translate` names the class of its error by a word of its own.
            if name in ERRORS or (name == "kind" and path.name == "server.py"):
                for text in (*call.args[:1], *(each.value for each in call.keywords if each.arg == "remedy")):
                    found |= dict.fromkeys(_shapes(text, scope), f"{shown(path)}:{call.lineno}")
    return {shape: at for shape, at in found.items() if IN_WORDS.search(shape)}


def settings() -> dict[str, str]:
    """The shapes of what is wrong with settings, and where each is said; the library's own sentences are not ours."""
    places = {"_overlay", "_refuse_single_separator", "_problem", "_nearest"}
    found: dict[str, str] = {}
    for path in (PACKAGE / "runtime" / "settings.py", PACKAGE / "runtime" / "sources.py"):
        for function in (each for each in ast.walk(parsed(path)) if isinstance(each, Function)):
            scope = Scope(path, function)
            for node in ast.walk(function):
                for text in _raised(node, is_place=function.name in places):
                    found |= dict.fromkeys(_shapes(text, scope), f"{shown(path)}:{text.lineno}")
        found |= dict.fromkeys(_of_table("_SENTENCES", Scope(path, None)), shown(path))
    return {shape: at for shape, at in found.items() if IN_WORDS.search(shape)}


def written() -> set[str]:
    """The shapes of every text of the product, whatever it is for."""
    nodes = [node for path in modules() for node in ast.walk(parsed(path))]
    plain = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    return plain | {_joined(node) for node in nodes if isinstance(node, ast.JoinedStr)}


def answered() -> dict[str, str]:
    """The shapes of the codes and remedies of the hub's refusals, and where each is said."""
    found: dict[str, str] = {}
    for path in modules():
        for call, scope in _calls(path):
            if path.parent.name == "hub" and _name(call.func) == "Problem":
                for text in (call.args[1], call.args[3]):
                    found |= dict.fromkeys(_shapes(text, scope), f"{shown(path)}:{call.lineno}")
    return found


def _loaded(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        yield from _loaded(node)


@cache
def _calls(path: Path) -> list[tuple[ast.Call, Scope]]:
    """Every call of a module, with the innermost function around it."""
    found: list[tuple[ast.Call, Scope]] = []

    def walk(node: ast.AST, function: Function | None) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                found.append((child, Scope(path, function)))
            walk(child, child if isinstance(child, Function) else function)

    walk(parsed(path), None)
    return found


def _shapes(text: ast.expr, scope: Scope) -> Iterator[str]:
    """Yield the shapes that an expression can have; of an expression that is no text, those of its parts."""
    match text:
        case ast.Constant(value=str() as value):
            if value:
                yield value
        case ast.JoinedStr(values=parts):
            yield _joined(text)
            for part in parts:
                if isinstance(part, ast.FormattedValue):
                    yield from _shapes(part.value, scope)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            for first in [*_shapes(left, scope)] or [VALUE]:
                yield from (first + last for last in [*_shapes(right, scope)] or [VALUE])
        case ast.Call(func=ast.Attribute(value=ast.Name() as inner, attr="rstrip")):
            yield from _shapes(inner, scope)
        case ast.Name(id=name):
            yield from _named(name, scope)
        case _:
            yield from _chosen(text, scope)


def _chosen(text: ast.expr, scope: Scope) -> Iterator[str]:
    """Yield the shapes of an expression that takes one of several."""
    match text:
        case ast.IfExp(body=one, orelse=other):
            yield from (*_shapes(one, scope), *_shapes(other, scope))
        case ast.BoolOp(values=several) | ast.List(elts=several):
            for each in several:
                yield from _shapes(each, scope)
        case ast.Subscript(value=ast.Name(id=name)):
            yield from _of_table(name, scope)


def _joined(text: ast.JoinedStr) -> str:
    return "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in text.values)


def _raised(node: ast.AST, *, is_place: bool) -> list[ast.expr]:
    """The text of a ValueError, and where it is a place of such texts, any that is put together."""
    if isinstance(node, ast.Call) and _name(node.func) == "ValueError":
        return node.args[:1]
    return [node] if is_place and isinstance(node, ast.JoinedStr) else []


def _of_table(name: str, scope: Scope) -> Iterator[str]:
    for value in _assigned(name, parsed(scope.path).body):
        if isinstance(value, ast.Dict):
            for each in value.values:
                yield from _shapes(each, scope)


def _named(name: str, scope: Scope) -> Iterator[str]:
    """Yield the shapes of a name: of what is put into it here or in the module, or of what callers give."""
    if scope.function is not None:
        names = [each.arg for each in scope.function.args.args]
        if name in names:
            yield from _given(scope.function, names.index(name), name, scope.path)
        for value in _assigned(name, list(ast.walk(scope.function))):
            yield from _shapes(value, scope)
    for value in _assigned(name, parsed(scope.path).body):
        yield from _shapes(value, Scope(scope.path, None))


def _given(function: Function, at: int, name: str, path: Path) -> Iterator[str]:
    """Yield the shapes that callers give as an argument: those of its module, and of modules that import it."""
    names = {dotted(path), f"{dotted(path)}.{function.name}"}
    for place in (each for each in reached() if each == path or imported(each) & names):
        for call, scope in _calls(place):
            if _name(call.func) == function.name and scope.function is not function:
                bound = at - (isinstance(call.func, ast.Attribute) and function.args.args[0].arg in {"self", "cls"})
                for text in (*call.args[bound : bound + 1], *(e.value for e in call.keywords if e.arg == name)):
                    yield from _shapes(text, scope)


def _assigned(name: str, nodes: list[ast.stmt] | list[ast.AST]) -> Iterator[ast.expr]:
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    yield from (
                        value for part, value in zip(target.elts, node.value.elts, strict=True) if _name(part) == name
                    )
                elif _name(target) == name:
                    yield node.value


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
