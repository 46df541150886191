"""
Rule expressions: SQL text to a Polars expression, by a white-list.

The tree that sqlglot reads is walked node by node; a node, function, field or argument that is not named here
is refused, so nothing can reach an aggregate, a window, a subquery, a cast or the clock.
The result is True where the rule holds, False where it is broken, null where SQL does not know; null passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from qianzhi.checks import operands
from qianzhi.checks.calls import CALLS, called
from qianzhi.checks.functions import call, like
from qianzhi.checks.numerals import INTEGER_DIGITS_MAX
from qianzhi.checks.operands import Kind, Operand, alike, compare, member, truth
from qianzhi.errors import SpecError
from qianzhi.specs.formats import ValueType
from qianzhi.specs.model import RuleKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qianzhi.specs.model import CodeSystem, Dataset, Regulator

CHECK_CHARACTERS_MAX: Final = 4_000
"""A rule is a sentence; what is longer is no rule, and could exhaust the stack of the parser."""

AS_OF: Final = "as_of"
_RAW: Final = "raw:"  # no field name holds a colon

_KINDS: Final = {
    ValueType.TEXT: (Kind.TEXT, pl.String()),
    ValueType.INTEGER: (Kind.INTEGER, pl.Int64()),
    ValueType.DATE: (Kind.DATE, pl.Date()),
    ValueType.DATETIME: (Kind.DATETIME, pl.Datetime("us")),
    ValueType.FLAG: (Kind.BOOLEAN, pl.Boolean()),
}

# The forms that the compiler only recognises, with what they take: another module or an end evaluates them.
_FORMS: Final = {
    RuleKind.STATE: {
        "key_is_new": 0,
        "key_is_held": 0,
        "in_order": 0,
        "not_repeated": 0,
        "no_children": 0,
        "consistent": 2,
    },
    RuleKind.SENDER: {"institution_is_sender": 0, "image_readable": 1, "evidence_served": 1},
}


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A compiled condition over `evaluated` columns; `raw_fields` are the raw texts it looks at."""

    holds: pl.Expr
    raw_fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class AtMost:
    """Among the rows with equal `key`, at most `limit` meet `condition`."""

    limit: int
    condition: RowCheck
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A state or sender rule: its form and arguments, as another module evaluates it."""

    name: str
    arguments: tuple[str, ...]


Check = RowCheck | AtMost | Form


def compile_check(text: str, dataset: Dataset, regulator: Regulator, kind: RuleKind, *, code: str = "") -> Check:
    """
    Compile the check of one rule; `code` names the rule in errors.

    SpecError names rule, dataset and the piece that is not in the rule language.
    """
    try:
        return _compiled(text, dataset, regulator.codes, kind)
    except SpecError as error:
        rule = f"Rule {code} of {dataset.name}" if code else f"A condition of {dataset.name}"
        raise SpecError(f"{rule}: {error.what}", remedy=error.remedy) from error


def evaluated(typed: pl.DataFrame, raw: pl.DataFrame, raw_fields: frozenset[str], as_of: object) -> pl.DataFrame:
    """Return the frame that compiled checks read: the typed columns, `as_of`, and the raw texts they look at."""
    # A literal column would do, but functions of one forget the height of the frame.
    moment = pl.repeat(as_of, typed.height, dtype=pl.Datetime("us"), eager=True).alias(AS_OF)
    return typed.with_columns(moment, *(raw[name].alias(_RAW + name) for name in sorted(raw_fields)))


def _compiled(text: str, dataset: Dataset, codes: Mapping[str, CodeSystem], kind: RuleKind) -> Check:
    tree = _tree(text)
    match kind:
        case RuleKind.ROW:
            return _row_check(tree, dataset, codes)
        case RuleKind.BATCH:
            return _at_most(tree, dataset, codes)
        case _:
            return _form(tree, dataset, kind)


def _tree(text: str) -> exp.Expr:
    if len(text) > CHECK_CHARACTERS_MAX:
        raise SpecError(
            f"The check has {len(text)} characters.", remedy=f"Keep it under {CHECK_CHARACTERS_MAX}, or split the rule."
        )
    try:
        return sqlglot.parse_one(text, read="postgres", into=exp.Condition)
    except (SqlglotError, RecursionError) as error:
        raise SpecError(
            f"{text!r} is not a SQL condition.", remedy="Correct its syntax; quote a field named like a SQL word."
        ) from error


def _row_check(tree: exp.Expr, dataset: Dataset, codes: Mapping[str, CodeSystem]) -> RowCheck:
    compiler = _Compiler(dataset, codes)
    try:
        operand = compiler.compile(tree)
    except RecursionError as error:
        raise SpecError("The condition is nested too deeply.", remedy="Split the rule.") from error
    if operand.kind is not Kind.BOOLEAN:
        raise SpecError(f"The condition gives {operand.kind}.", remedy="Write a comparison or another condition.")
    check = RowCheck(operand.expr, frozenset(compiler.raw_fields))
    _try(check, dataset)
    return check


def _try(check: RowCheck, dataset: Dataset) -> None:
    """Run once over no rows: what Polars refuses must come to light while loading, not with the first batch."""
    typed = pl.DataFrame(schema={field.name: _field_kind(dataset, field.name)[1] for field in dataset.fields})
    raw = pl.DataFrame(schema={field.name: pl.String() for field in dataset.fields})
    try:
        dtype = evaluated(typed, raw, check.raw_fields, None).select(check.holds.alias("holds")).schema["holds"]
    except pl.exceptions.PolarsError as error:
        raise SpecError(f"The condition cannot be evaluated: {error}", remedy="Correct it.") from error
    if dtype != pl.Boolean:
        raise SpecError(f"The condition gives {dtype}.", remedy="Write a comparison or another condition.")


def _field_kind(dataset: Dataset, name: str) -> tuple[Operand, pl.DataType]:
    form = dataset.field(name).format
    column = pl.col(name)
    whole = form.length_max or INTEGER_DIGITS_MAX
    if form.type is ValueType.DECIMAL:
        return Operand(column, Kind.DECIMAL, whole - form.scale, form.scale), pl.Decimal(38, form.scale)
    kind, dtype = _KINDS[form.type]
    return Operand(column, kind, min(whole, INTEGER_DIGITS_MAX) if kind is Kind.INTEGER else 0), dtype


def _at_most(tree: exp.Expr, dataset: Dataset, codes: Mapping[str, CodeSystem]) -> AtMost:
    arguments = _arguments(tree, {"at_most"})
    match arguments:
        case [exp.Literal(is_string=False) as limit, condition, *key] if key and limit.name.isdigit():
            names = tuple(_field(part, dataset) for part in key)
            return AtMost(int(limit.name), _row_check(condition, dataset, codes), names)
    raise SpecError(
        f"{_shown(tree)} is not a batch rule.", remedy="Write at_most(n, condition, KEYFIELD, …), with a literal n."
    )


def _form(tree: exp.Expr, dataset: Dataset, kind: RuleKind) -> Form:
    forms = _FORMS[kind]
    arguments = _arguments(tree, set(forms))
    name = tree.name
    if len(arguments) != forms[name]:
        raise SpecError(f"{name} has {len(arguments)} arguments.", remedy=f"Give it {forms[name]}.")
    if name == "consistent":
        return Form(name, tuple(_field_list(argument, dataset) for argument in arguments))
    return Form(name, tuple(_field(argument, dataset) for argument in arguments))


def _arguments(tree: exp.Expr, names: set[str]) -> list[exp.Expr]:
    if not isinstance(tree, exp.Anonymous) or tree.name not in names:
        raise SpecError(f"{_shown(tree)} is not a rule of this kind.", remedy=f"Use one of {', '.join(sorted(names))}.")
    return list(tree.expressions)


def _field(node: exp.Expr, dataset: Dataset) -> str:
    if not isinstance(node, exp.Column) or node.table:
        raise SpecError(f"{_shown(node)} is not a field.", remedy="Name a field of the dataset.")
    if node.name not in {field.name for field in dataset.fields}:
        raise SpecError(f"The field {node.name} does not exist.", remedy="Name a field of the dataset.")
    return node.name


def _field_list(node: exp.Expr, dataset: Dataset) -> str:
    names = node.name.split(",") if isinstance(node, exp.Literal) and node.is_string else [""]
    for name in names:
        _field(exp.column(name), dataset)
    return ",".join(names)


class _Compiler:
    """One walk over one tree."""

    def __init__(self, dataset: Dataset, codes: Mapping[str, CodeSystem]) -> None:
        self._dataset = dataset
        self._codes = codes
        self.raw_fields: set[str] = set()

    def compile(self, node: exp.Expr) -> Operand:
        """Return the operand of a node; SpecError when it is not in the rule language."""
        compile_node = _NODES.get(type(node))
        allowed = _ARGUMENTS.get(type(node), {"this", "expression"})
        if compile_node is None or {name for name, value in node.args.items() if value} - allowed:
            raise SpecError(
                f"{_shown(node)} is not in the rule language.",
                remedy="Use comparisons, AND, OR, NOT, arithmetic, IN, LIKE, CASE and the listed functions.",
            )
        return compile_node(self, node)

    def column(self, node: exp.Expr) -> Operand:
        if node.name == AS_OF and not node.args.get("table"):
            return Operand(pl.col(AS_OF), Kind.DATETIME)
        return _field_kind(self._dataset, _field(node, self._dataset))[0]

    def literal(self, node: exp.Expr) -> Operand:
        return operands.text(node.name) if node.args.get("is_string") else operands.number(node.name)

    def boolean(self, node: exp.Expr) -> Operand:
        return truth(pl.lit(bool(node.args["this"])))

    def null(self, _node: exp.Expr) -> Operand:
        return operands.NULL

    def interval(self, node: exp.Expr) -> Operand:
        return operands.interval(node.name, node.text("unit"))

    def inner(self, node: exp.Expr) -> Operand:
        return self.compile(node.this)

    def negative(self, node: exp.Expr) -> Operand:
        return operands.negative(self.compile(node.this))

    def inverse(self, node: exp.Expr) -> Operand:
        return truth(~self._condition(node.this))

    def both(self, node: exp.Expr) -> Operand:
        return truth(self._condition(node.this) & self._condition(node.expression))

    def either(self, node: exp.Expr) -> Operand:
        return truth(self._condition(node.this) | self._condition(node.expression))

    def between(self, node: exp.Expr) -> Operand:
        value = self.compile(node.this)
        low = compare(">=", value, self.compile(node.args["low"]))
        high = compare("<=", value, self.compile(node.args["high"]))
        return truth(low.expr & high.expr)

    def member(self, node: exp.Expr) -> Operand:
        options = [self.compile(option) for option in node.expressions]
        if any(option.literal is None and option.kind is not Kind.NULL for option in options):
            raise SpecError(f"{_shown(node)} lists more than literals.", remedy="List literals, or write OR.")
        return member(self.compile(node.this), options)

    def is_null(self, node: exp.Expr) -> Operand:
        if not isinstance(node.expression, exp.Null):
            raise SpecError(f"{_shown(node)} is not in the rule language.", remedy="Use IS NULL or IS NOT NULL.")
        expr = self.compile(node.this).expr
        return truth(expr.is_not_null() if node.args.get("negate") else expr.is_null())

    def like(self, node: exp.Expr) -> Operand:
        found = like(self.compile(node.this), self.compile(node.expression))
        return truth(~found.expr) if node.args.get("negate") else found

    def case(self, node: exp.Expr) -> Operand:
        subject = self.compile(node.this) if node.this else None
        branches: list[exp.If] = node.args["ifs"]
        whens = [
            self._condition(branch.this) if subject is None else compare("=", subject, self.compile(branch.this)).expr
            for branch in branches
        ]
        default = node.args.get("default")
        results = [self.compile(branch.args["true"]) for branch in branches]
        *thens, otherwise = alike(*results, self.compile(default) if default else operands.NULL)
        expr = otherwise.expr
        for when, then in reversed(list(zip(whens, thens, strict=True))):
            expr = pl.when(when).then(then.expr).otherwise(expr)
        return Operand(expr, otherwise.kind, otherwise.whole, otherwise.scale)

    def function(self, node: exp.Expr) -> Operand:
        name, arguments = called(node)
        if name == "raw":
            return Operand(self._raw(arguments), Kind.TEXT)
        if name == "blank":
            stripped = self._raw(arguments).str.strip_chars()
            return truth(stripped.is_null() | (stripped == ""))
        return call(name, [self.compile(argument) for argument in arguments], self._codes)

    def _raw(self, arguments: Sequence[exp.Expr]) -> pl.Expr:
        if len(arguments) != 1:
            raise SpecError("raw and blank take one field.", remedy="Write raw(FIELD) or blank(FIELD).")
        name = _field(arguments[0], self._dataset)
        self.raw_fields.add(name)
        return pl.col(_RAW + name)

    def _condition(self, node: exp.Expr) -> pl.Expr:
        operand = self.compile(node)
        if operand.kind not in {Kind.BOOLEAN, Kind.NULL}:
            raise SpecError(f"{_shown(node)} is no condition but {operand.kind}.", remedy="Compare it with something.")
        return operand.expr


def _shown(node: exp.Expr) -> str:
    return node.sql(dialect="postgres")


def _comparison(sign: str) -> Callable[[_Compiler, exp.Expr], Operand]:
    return lambda compiler, node: compare(sign, compiler.compile(node.this), compiler.compile(node.expression))


def _arithmetic(
    operation: Callable[[Operand, Operand], Operand],
) -> Callable[[_Compiler, exp.Expr], Operand]:
    return lambda compiler, node: operation(compiler.compile(node.this), compiler.compile(node.expression))


_NODES: Final[dict[type[exp.Expr], Callable[[_Compiler, exp.Expr], Operand]]] = {
    exp.Column: _Compiler.column,
    exp.Literal: _Compiler.literal,
    exp.Boolean: _Compiler.boolean,
    exp.Null: _Compiler.null,
    exp.Interval: _Compiler.interval,
    exp.Paren: _Compiler.inner,
    exp.Neg: _Compiler.negative,
    exp.Not: _Compiler.inverse,
    exp.And: _Compiler.both,
    exp.Or: _Compiler.either,
    exp.EQ: _comparison("="),
    exp.NEQ: _comparison("<>"),
    exp.LT: _comparison("<"),
    exp.LTE: _comparison("<="),
    exp.GT: _comparison(">"),
    exp.GTE: _comparison(">="),
    exp.Add: _arithmetic(operands.sum_),
    exp.Sub: _arithmetic(operands.difference),
    exp.Mul: _arithmetic(operands.product),
    exp.Div: _arithmetic(operands.quotient),
    exp.Between: _Compiler.between,
    exp.In: _Compiler.member,
    exp.Is: _Compiler.is_null,
    exp.Like: _Compiler.like,
    exp.Case: _Compiler.case,
    exp.Anonymous: _Compiler.function,
    **dict.fromkeys(CALLS, _Compiler.function),
}

_ARGUMENTS: Final[dict[type[exp.Expr], set[str]]] = {
    exp.Literal: {"this", "is_string"},
    exp.Interval: {"this", "unit"},
    exp.Between: {"this", "low", "high"},
    exp.In: {"this", "expressions"},
    exp.Is: {"this", "expression", "negate"},
    exp.Like: {"this", "expression", "negate"},
    exp.Case: {"this", "ifs", "default"},
    exp.Anonymous: {"this", "expressions"},
    exp.Div: {"this", "expression", "typed", "safe"},
    **{node: set(order) for node, (_, order) in CALLS.items()},
}
