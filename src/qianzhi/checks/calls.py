"""Function calls in a parsed expression: their names, and their arguments in the order of the rule language."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

# Functions that sqlglot knows by name, with the order of their arguments.
CALLS: Final[dict[type[exp.Expr], tuple[str, tuple[str, ...]]]] = {
    exp.Length: ("length", ("this",)),
    exp.Coalesce: ("coalesce", ("this", "expressions")),
    exp.Lower: ("lower", ("this",)),
    exp.Upper: ("upper", ("this",)),
    exp.Replace: ("replace", ("this", "expression", "replacement")),
    exp.Substring: ("substr", ("this", "start", "length")),
    exp.Abs: ("abs", ("this",)),
    exp.Round: ("round", ("this", "decimals")),
    exp.Date: ("date", ("this",)),
    exp.Year: ("year", ("this",)),
    exp.Month: ("month", ("this",)),
    exp.RegexpLike: ("regexp_like", ("this", "expression")),
}


def called(node: exp.Expr) -> tuple[str, list[exp.Expr]]:
    """Return the name of a call, in lower case, and its arguments."""
    if isinstance(node, exp.Anonymous):
        return node.name.lower(), list(node.expressions)
    name, order = CALLS[type(node)]
    arguments: list[exp.Expr] = []
    for part in order:
        value = node.args.get(part)
        arguments += value if isinstance(value, list) else [value] if value is not None else []
    return name, arguments
