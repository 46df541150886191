#!/usr/bin/env python3
"""
Writes what the reference says out of the product itself: settings, commands, regulators, findings, HTTP, ledger.

`python docs/generate.py` writes the pages, `python docs/generate.py --check` only names those that are stale.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import fields
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from qianzhi import regulators
from qianzhi.checks import catalogue as catalogue_of
from qianzhi.checks import parse, structure
from qianzhi.checks.catalogue import QUARANTINE_CODE
from qianzhi.cli import app
from qianzhi.ledger.tally import PUBLIC, Tally
from qianzhi.runtime.reference import every_setting
from qianzhi.specs.model import ErrorClass, RuleKind, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qianzhi.runtime.reference import SettingEntry
    from qianzhi.specs.model import CodeSystem, Dataset, Field, Reference, Regulator, Rule

    Texts = dict[str, ast.expr | None]  # what a name of a module stands for

DOCS: Final = Path(__file__).resolve().parent
CODES_SHOWN_MAX: Final = 60
"""A longer code list is linked instead of printed."""

HEAD: Final = "<!-- Written by docs/generate.py (`make docs`): change the product, not this page. -->\n"
_BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- /generated -->)", re.DOTALL)
_ENUM: Final = re.compile(r"CREATE TYPE qianzhi\.(\w+) AS ENUM \((.*?)\);", re.DOTALL)
_ADDED: Final = re.compile(r"ALTER TYPE qianzhi\.(\w+) ADD VALUE ('\w+')")
_TABLE: Final = re.compile(r"CREATE TABLE qianzhi\.(\w+) \((.*?)\n\)([^;]*);", re.DOTALL)
_COLUMN: Final = re.compile(r"    ([a-z_]+) (.*?),?")
_LATER: Final = re.compile(r"ALTER TABLE qianzhi\.(\w+) ADD COLUMN (\w+) ([^;]+);")
_COMMENT: Final = re.compile(r"COMMENT ON (?:TABLE|COLUMN|TYPE) qianzhi\.([\w.]+) IS\s+((?:'(?:[^']|'')*'\s*)+);")
_LITERAL: Final = re.compile(r"'((?:[^']|'')*)'")

_BY_STATUS: Final = "error where the code system is found, else warning"

# What the product itself says of every field, with a field whose sentences stand as the example.
STRUCTURAL: Final = (
    (structure.MISSING_CODE, ErrorClass.MISSING, "error", "a required field is missing or blank", "XM"),
    (parse.FORMAT_CODE, ErrorClass.LENGTH, "error", "a text has a wrong length, a number too many digits", "XM"),
    (parse.FORMAT_CODE, ErrorClass.FORMAT, "error", "a value cannot be read by its format", "CSRQ"),
    (structure.DOMAIN_CODE, ErrorClass.DOMAIN, _BY_STATUS, "a code is not in its code system", "XBDM"),
    (structure.FLAG_CODE, ErrorClass.DOMAIN, _BY_STATUS, "a flag is none of its signs (code systems FLAG-…)", None),
    (structure.CONTROL_CODE, ErrorClass.FORMAT, "warning", "a text holds control characters", "XM"),
    (QUARANTINE_CODE, ErrorClass.FORMAT, "error", "the row cannot be sealed or delivered: an operator must look", None),
    (
        catalogue_of.REPLY_CODE,
        ErrorClass.BUSINESS,
        "error",
        "the official console did not take the record; its own code and reason end the sentence, and may say the class",
        None,
    ),
)

CLASSES: Final = {
    ErrorClass.MISSING: "a value is missing",
    ErrorClass.LENGTH: "length",
    ErrorClass.FORMAT: "format or type",
    ErrorClass.DOMAIN: "not in the code system",
    ErrorClass.CHECK_DIGIT: "identity number or organisation code",
    ErrorClass.INTEGRITY: "a record that is referred to is not accepted",
    ErrorClass.DUPLICATE: "duplicate",
    ErrorClass.FILE: "image",
    ErrorClass.INSTITUTION: "institution",
    ErrorClass.TIME: "order of times",
    ErrorClass.BUSINESS: "content",
    ErrorClass.NAME: "a name does not agree with its code or record",
}

KINDS: Final = {
    RuleKind.ROW: "sees one row",
    RuleKind.BATCH: "sees the rows that are sent together",
    RuleKind.STATE: "sees what is already held; judged by the hub, and by the gateway as far as it knows",
    RuleKind.SENDER: "sees who sends, and what lies on the sender's machine",
}


def pages() -> dict[str, str]:
    """Return every generated page, whole, by its path below `docs`."""
    made = {
        "reference/settings.md": settings_page(),
        "reference/cli.md": cli_page(),
        "reference/findings.md": findings_page(),
        "reference/ledger.md": ledger_page(),
        "reference/http.md": with_blocks("reference/http.md", {"requests": requests(), "problems": problems()}),
    }
    return made | {f"reference/regulators/{key}.md": regulator_page(known) for key, known in _regulators().items()}


def stale() -> list[str]:
    """Return the paths of the pages that are not what the product says."""
    return [path for path, text in pages().items() if _read(path) != text]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; empty without rows."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(columns)} |", "|" + "---|" * len(columns), *lines, ""]) if lines else ""


def code(text: object) -> str:
    """Return a text as code; nothing stays nothing."""
    return f"`{text}`" if str(text) else ""


def prose(text: str) -> str:
    """Return a text in which `<` is a sign and no tag; within code it is one already."""
    parts = text.split("`")
    return "`".join(part if at % 2 else part.replace("<", "&lt;") for at, part in enumerate(parts))


def with_blocks(path: str, blocks: dict[str, str]) -> str:
    """Return a page written by hand with its generated blocks replaced."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n{found[3]}", _read(path))


def _regulators() -> dict[str, Regulator]:
    return {key: regulators.regulator(key) for key in regulators.discover()}


def _read(path: str) -> str:
    file = DOCS / path
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _cell(value: object) -> str:
    return prose(str(value)).replace("\n", " ").replace("|", "\\|")


# Settings and commands


def settings_page() -> str:
    """Return the page of all settings."""
    parts = [
        "# Settings",
        HEAD,
        "Settings stand in `<home>/qianzhi.toml`; an environment variable goes over the file.",
        "Lists in an environment variable are separated by commas.",
        "An unknown name is refused, with the nearest known one; a refusal names the key and never the value.",
        "Relative paths start at the home.\n",
    ]
    for section, entries in groupby(every_setting(), lambda entry: entry.name.rpartition(".")[0]):
        parts += [f"## {code(f'[{section}]')}\n", *(_setting(entry) for entry in entries)]
    return "\n".join(parts)


def _setting(entry: SettingEntry) -> str:
    default = "none; it must be set" if entry.default is None else code(entry.default) or "not set"
    unit = f", in {entry.unit}" if entry.unit else ""
    return (
        f"### {code(entry.name)}\n\n{prose(entry.sentence)}\n\n"
        f"* Type: {entry.type}{unit}\n* Default: {default}\n* Environment: {code(entry.variable)}\n"
    )


def cli_page() -> str:
    """Return the page of all commands."""
    parts = [
        "# Commands",
        HEAD,
        "Exit codes: 0 all is well, 1 something is wrong or not all is as it should be, 2 not a command.",
        "Errors are told on standard error in two lines: what happened, and what to do.",
        "Every command that reports takes `--json`; the shapes of `cycle`, `demo` and `status` are [below](#json).",
        "Without it a table is made to fit the terminal; in a file or a pipe nothing is broken into lines.",
        "`qianzhi --version` prints the version.\n",
    ]
    for names, command in commands():
        parts.append(f"## {names}\n\n{command.help}\n\n{_parameters(command)}")
    return "\n".join([*parts, *_json_shapes()])


def _json_shapes() -> Iterator[str]:
    counts = ", ".join(f'"{name}": …' for name in PUBLIC)
    every = ", ".join(f'"{each.name}": …' for each in fields(Tally))
    yield "## JSON\n"
    yield "`qianzhi gateway cycle --json`, and `qianzhi demo --json <file>` in its file:\n"
    yield f'```json\n{{"regulators": {{"guangdong": {{"person": {{{counts}}}, …}}}}}}\n```\n'
    yield "With exit code 0, `staged` = `accepted` + `rejected` + `held` of each dataset that is submitted;"
    yield "what is missing in that sum is open."
    yield "`submitted` - `accepted` were rejected by the regulator; the rest of `rejected` ended at the gateway."
    yield "In front of an official machine `delivered` stands beside them where it is not 0, belongs to the sum, and is"
    yield "submitted: the rows are there, and nobody has said anything of them.\n"
    yield "`qianzhi gateway status --json`:\n"
    keys = ", ".join(f'"{name}": …' for name in ("kind", "cut_off", "started_at"))
    trouble = ("dataset", "batch_id", "row_count", "outcome", "attempted_at", "next_attempt_at")
    troubles = ", ".join(f'"{name}": …' for name in trouble)
    found = ", ".join(f'"{name}": …' for name in ("destination", "cut_off", "checked_at", "rows", "errors"))
    yield "\n".join(
        (
            "```json",
            '{"destinations": {"hub": {',
            '  "regulator": "guangdong",',
            f'  "datasets": {{"person": {{{every}}}, …}},',
            f'  "last_cycle": {{{keys}, "finished_at": …}},',
            f'  "running_cycle": {{{keys}}},',
            f'  "troubles": [{{{troubles}}}],',
            '  "images": {"image_count": …, "byte_count": …, "troubled_count": …},',
            f'  "reminder": {{{found}}}',
            "}}}",
            "```\n",
        )
    )
    yield "`last_cycle` is the one that was finished last, `running_cycle` one that is under way or was broken off;"
    yield "both may be null. `troubles` are the batches that wait for another attempt, and why."
    yield "`reminder` is what the check ahead of the cut-off found, or null."
    yield "What is counted says [Connect a HIS](../howto/connect-a-his.md#learn-what-became-of-a-row).\n"


def commands(command: Any = None, path: str = "qianzhi") -> Iterator[tuple[str, Any]]:  # noqa: ANN401  (typer's own)
    """Yield every command that is not hidden with its whole name."""
    command = command or typer.main.get_command(app)
    for name, inner in getattr(command, "commands", {}).items():
        if inner.hidden:
            continue
        if hasattr(inner, "commands"):
            yield from commands(inner, f"{path} {name}")
        else:
            yield f"{path} {name}", inner


def _parameters(command: Any) -> str:  # noqa: ANN401  (typer's own)
    rows = [
        (
            ", ".join(map(code, [*parameter.opts, *parameter.secondary_opts]))
            if parameter.param_type_name == "option"
            else code(parameter.name.upper()),
            f"{parameter.help} (`{parameter.envvar}`)" if parameter.envvar else parameter.help,
            _default(parameter),
        )
        for parameter in command.params
        if not parameter.hidden
    ]
    return table(("Option or argument", "What it says", "Default"), rows)


def _default(parameter: Any) -> str:  # noqa: ANN401  (typer's own)
    if parameter.required:
        return "required"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    return "" if parameter.default is None or parameter.default is False else code(parameter.default)


# Regulators


def regulator_page(regulator: Regulator) -> str:
    """Return the page of one regulator: datasets, fields, rules, code systems, replies."""
    proposed = sum(field.status is Status.PROPOSED for dataset in regulator.datasets for field in dataset.fields)
    fields = sum(len(dataset.fields) for dataset in regulator.datasets)
    criteria, schedule = regulator.criteria, regulator.schedule
    parts = [
        f"# {regulator.name.zh} — {regulator.name.en}",
        HEAD,
        f"* Key: {code(regulator.key)}, edition {regulator.edition}",
        f"* Account of the hospital's systems: {code(regulator.sender)}, schema {code(regulator.key)}",
        f"* Pushing ends at {schedule.cut_off:%H:%M}, the cycle begins at {schedule.cycle:%H:%M} (Asia/Shanghai)",
        f"* Acceptance: {criteria.days} days in a row, {criteria.rows_per_dataset} rows a day of each dataset",
        f"* Share of them accepted: {criteria.accepted_share:.0%}",
        f"* {len(regulator.datasets)} datasets, {fields} fields, {proposed} of them proposed",
        *(f"* Source: {source}" for source in regulator.sources),
        "\n`found` stands in a source; `proposed` is ours until the official text is at hand.",
        "An `error` rejects the record; a `warning` lets it go its way and tells people.",
        f"Every field is also checked by what [findings](../findings.md) lists: {_structural_codes()}.\n",
        "## Datasets\n",
        "Parents stand before the datasets that refer to them.\n",
        table(
            ("Dataset", "Title", "Obliged", "Key", "Fields", "Rules"),
            map(_listed, regulator.datasets),
        ),
        *(_dataset(dataset) for dataset in regulator.datasets),
        "## Code systems\n",
        *(_code_system(system, regulator.key) for system in regulator.codes.values()),
        *_replies(regulator),
    ]
    return "\n".join(parts)


def _listed(dataset: Dataset) -> tuple[object, ...]:
    name, key = f"[{dataset.name}](#{dataset.name})", ", ".join(map(code, dataset.key))
    return name, dataset.title, _yes(dataset.obliged), key, len(dataset.fields), len(dataset.rules)


def _structural_codes() -> str:
    return ", ".join(dict.fromkeys(code for code, *_ in STRUCTURAL))


def _dataset(dataset: Dataset) -> str:
    change = dataset.change
    shared = "; ".join(", ".join(group) for group in dataset.shared)
    facts = [
        f"## {dataset.name}\n",
        f"{dataset.title}. {dataset.source}.\n",
        f"* Key: {', '.join(map(code, dataset.key))}",
        f"* What happened: {code(change.field)} — {change.new} new, {change.modify} modify, {change.revoke} revoke",
        f"* When it happened: {code(dataset.occurred_at)}",
        *([f"* Children repeat: {shared}"] if shared else []),
        *(["* Kept by people, by form and workbook"] if dataset.resource else []),
        f"\n### Fields of {dataset.name}\n",
        table(
            ("Field", "Title", "Format", "Required", "Code system", "Status", "Note"),
            (_field(field) for field in dataset.fields),
        ),
    ]
    if dataset.references:
        facts += [f"### References of {dataset.name}\n", *(_reference(each, dataset) for each in dataset.references)]
    return "\n".join([*facts, f"### Rules of {dataset.name}\n", *(_rule(rule, dataset) for rule in dataset.rules)])


def _field(field: Field) -> tuple[object, ...]:
    marks = [word for word, said in (("personal", field.personal), ("image", field.image)) if said]
    note = "; ".join([*marks, *filter(None, (field.note, field.source))])
    codes = f"[{field.codes}](#{_anchor(field.codes)})" if field.codes else ""
    name, form = code(field.name), code(field.format.notation)
    return name, field.title, form, _yes(field.required), codes, field.status.value, note


def _reference(reference: Reference, dataset: Dataset) -> str:
    on = ", ".join(f"`{here}` → `{there}`" for here, there in reference.on.items())
    lines = [
        f"#### {dataset.name} {reference.code} → {reference.to} ({reference.blamed})\n",
        f"{reference.title}. {reference.severity.value}, {reference.status.value}, {reference.source}.\n",
        f"* By {on}",
        *([f"* Unless {code(reference.unless)}"] if reference.unless else []),
        f"* Remedy: {reference.remedy.en} {reference.remedy.zh}",
        *(
            f"* {repeat.code}: {', '.join(map(code, repeat.fields))} as there "
            f"({repeat.title}; {repeat.error_class.value}, {repeat.severity.value}, {repeat.status.value}). "
            f"{repeat.remedy.en} {repeat.remedy.zh}"
            for repeat in reference.repeats
        ),
        "",
    ]
    return "\n".join(lines)


def _rule(rule: Rule, dataset: Dataset) -> str:
    return (
        f"#### {dataset.name} {rule.code}\n\n"
        f"{rule.title.en}. {rule.title.zh}。\n\n"
        f"* {rule.kind.value}, **{rule.severity.value}**, {rule.error_class.value}, {rule.status.value}; "
        f"blames `{rule.field}`; {rule.source}\n"
        f"* Check: `{' '.join(rule.check.split())}`\n"
        f"* Remedy: {rule.remedy.en} {rule.remedy.zh}\n"
    )


def _code_system(system: CodeSystem, key: str) -> str:
    lines = [f"### {system.key}\n", f"{system.title}. {system.status.value}, {system.source}."]
    if system.loose:
        lines.append(f"Not held against a sender: {', '.join(sorted(system.loose))}.")
    if system.check:
        lines.append(f"\nNo list: a code is judged by {code(system.check)}.\n")
    elif len(system.codes) > CODES_SHOWN_MAX:
        folder = f"src/qianzhi/regulators/{key}/codes"
        lines.append(f"\n{len(system.codes)} codes, listed in [{folder}](../../../{folder}).\n")
    else:
        lines += ["", table(("Code", "Name"), ((code(each), name) for each, name in system.codes.items()))]
    return "\n".join(lines)


def _replies(regulator: Regulator) -> Iterator[str]:
    if regulator.replies:
        yield "## Replies\n"
        yield table(("Reply", "Verdict"), regulator.replies.items())


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.replace(" ", "-")


def _yes(said: bool) -> str:  # noqa: FBT001  (a cell of a table)
    return "yes" if said else ""


# Findings


def findings_page() -> str:
    """Return the page of what a finding says, and of the codes that belong to no regulator's file."""
    parts = [
        "# Findings",
        HEAD,
        "A finding says what is wrong with which field of which row.",
        "With `--json`, `qianzhi gateway findings` and `qianzhi gateway check` print a list of objects:\n",
        table(("Key", "What it says"), _FINDING_KEYS),
        "A code is stable; sentences may be worded better. An `error` rejects the record, a `warning` never does.\n",
        "## Said of every field\n",
        table(
            ("Code", "Class", "Severity", "What"),
            ((_link(code_, class_), class_.value, severity, what) for code_, class_, severity, what, _ in STRUCTURAL),
        ),
        *_structural(),
        "## Said by a regulator's files\n",
        "Rules and references carry their codes (`V05.1`, `V30`, …) in the regulator's folder:\n",
        *(f"* [{known.name.en}](regulators/{key}.md)" for key, known in _regulators().items()),
        "\n## Kinds of rules\n",
        table(("Kind", "What it sees"), ((code(kind.value), what) for kind, what in KINDS.items())),
        "## Error classes\n",
        table(("Class", "What is wrong"), ((each.value, CLASSES[each]) for each in ErrorClass)),
    ]
    return "\n".join(parts)


_FINDING_KEYS: Final = (
    ("`dataset`", "the dataset, as the regulator spells it"),
    ("`row_id`", "the column `id` of the staged row"),
    ("`code`", "the structural check, rule or reference"),
    ("`class`", "E01 … E12"),
    ("`field`", "the field blamed, as the regulator spells it"),
    ("`value`", "its raw text, cut at 200 characters; may be null"),
    ("`reason`", "why this was found, in the language asked for"),
    ("`remedy`", "what to do about it"),
    ("`severity`", "`error` or `warning`"),
)


def _heading(code_: str, class_: ErrorClass) -> str:
    return f"{code_} {class_.value}"


def _link(code_: str, class_: ErrorClass) -> str:
    return f"[{code_}](#{_anchor(_heading(code_, class_))})"


def _structural() -> Iterator[str]:
    regulator = next(iter(_regulators().values()))
    sentences = catalogue_of.catalogue(regulator)
    dataset = next(each for each in regulator.datasets if any(field.name == "XBDM" for field in each.fields))
    for code_, class_, severity, what, field in STRUCTURAL:
        yield f"### {_heading(code_, class_)}\n\n{what[0].upper()}{what[1:]}. Severity: {severity}.\n"
        if field is not None:
            said = sentences.explain(dataset.name, code_, class_.value, field)
            yield f"For example {code(f'{dataset.name}.{field}')}:\n"
            yield f"* {said.reason.en}. {said.remedy.en}\n* {said.reason.zh}。{said.remedy.zh}\n"


# HTTP


def requests() -> str:
    """Return what can be asked of the hub, from its own description."""
    from qianzhi.hub.desk import Desk
    from qianzhi.hub.intake import build

    described: dict[str, Any] = build(Desk.__new__(Desk))._app.openapi()  # type: ignore[attr-defined]  # noqa: SLF001
    rows = [
        (
            code(f"{method.upper()} {path}"),
            said["description"],
            ", ".join(code(each["name"]) for each in said.get("parameters", ()) if each["in"] == "query"),
        )
        for path, methods in described["paths"].items()
        for method, said in methods.items()
    ]
    return table(("Request", "What it does", "Query"), rows)


def problems() -> str:
    """Return every refusal of the hub, read off the places that make one."""
    found: dict[tuple[int, str], tuple[str, str]] = {}
    for module in sorted(resources.files("qianzhi.hub").iterdir(), key=lambda each: each.name):
        if module.name.endswith(".py"):
            nodes = list(ast.walk(ast.parse(module.read_text(encoding="utf-8"))))
            texts = dict(_named_text(node) for node in nodes if isinstance(node, ast.Assign | ast.AnnAssign))
            for node in nodes:
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    found |= _problem(node.func.id, node.args, texts)
    rows = [(status, code(name), *said) for (status, name), said in sorted(found.items())]
    return table(("Status", "Code", "What happened", "Remedy"), rows)


def _named_text(node: ast.Assign | ast.AnnAssign) -> tuple[str, ast.expr | None]:
    target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    return ast.unparse(target), node.value


def _problem(maker: str, said: list[ast.expr], texts: Texts) -> dict[tuple[int, str], tuple[str, str]]:
    from http import HTTPStatus

    if maker == "_apart":
        said = [ast.parse("HTTPStatus.CONFLICT", mode="eval").body, *said]
    elif maker != "Problem":
        return {}
    status, name, detail, remedy = said
    if not isinstance(status, ast.Attribute) or not isinstance(name, ast.Constant):
        return {}
    return {(HTTPStatus[status.attr].value, str(name.value)): (_sentence(detail, texts), _sentence(remedy, texts))}


def _sentence(expression: ast.expr | None, texts: Texts) -> str:
    """Return a text as it stands in the code, with … for what is put in."""
    if isinstance(expression, ast.Name):
        expression = texts.get(expression.id)
    if isinstance(expression, ast.Constant):
        return str(expression.value)
    if isinstance(expression, ast.JoinedStr):
        parts = expression.values
        return "".join("…" if isinstance(part, ast.FormattedValue) else _sentence(part, texts) for part in parts)
    return "(said in the answer)"


# Ledger


def ledger_page() -> str:
    """Return the page of the product's own tables, read off the scripts that create them."""
    parts = [
        "# The ledger",
        HEAD,
        "The product's own tables stand in the schema `qianzhi` of each end's database.",
        "They may be read; nothing but the product writes them.",
        "Columns without a remark mean what their name says.\n",
    ]
    for end in ("gateway", "hub"):
        folder = resources.files("qianzhi.ledger") / "migrations" / end
        scripts = sorted(folder.iterdir(), key=lambda each: each.name)
        text = "\n".join(script.read_text(encoding="utf-8") for script in scripts)
        parts += [f"## Of the {end}\n", *_end(text, end)]
    parts += ["## What a sender may read\n", *_views()]
    return "\n".join(parts)


def _views() -> Iterator[str]:
    from qianzhi.ledger import views

    yield "Views in the schema of the regulator, such as `guangdong.findings`."
    yield "The sender (`us_pos`) reads these and nothing behind them; they show its regulator's datasets only."
    yield "How to ask them: [Read results by SQL](../howto/read-results-by-sql.md).\n"
    for view in views.VIEWS:
        yield f"### view {view}\n\n{prose(views.REMARKS[view])}\n"
        columns = [
            (name.partition(".")[2], said) for name, said in views.REMARKS.items() if name.startswith(f"{view}.")
        ]
        yield table(("Column", "Remark"), [(code(name), said) for name, said in columns])


def _end(text: str, end: str) -> Iterator[str]:
    comments = {
        name: "".join(part.replace("''", "'") for part in _LITERAL.findall(said))
        for name, said in _COMMENT.findall(text)
    }
    for name, body, rest in _TABLE.findall(text):
        partitioned = f" Partitioned: {rest.strip().lower()}." if "PARTITION BY" in rest else ""
        yield f"### {end}: {name}\n"
        if said := comments.get(name, "") + partitioned:
            yield f"{prose(said.strip())}\n"
        columns = [found.groups() for line in body.splitlines() if (found := _COLUMN.fullmatch(line))]
        columns += [(column, kind) for owner, column, kind in _LATER.findall(text) if owner == name]
        rows = [(code(column), code(kind), comments.get(f"{name}.{column}", "")) for column, kind in columns]
        yield table(("Column", "Type", "Remark"), rows)
    added = _ADDED.findall(text)
    for name, values in _ENUM.findall(text):
        every = _LITERAL.findall(", ".join([values, *(value for owner, value in added if owner == name)]))
        yield f"### {end}: type {name}\n\n{', '.join(map(code, every))}\n"
        if name in comments:
            yield f"{prose(comments[name])}\n"


def main() -> int:
    """Write the pages, or name the stale ones."""
    behind = stale()
    if "--check" in sys.argv[1:]:
        sys.stdout.writelines(f"stale: docs/{path}\n" for path in behind)
        return 1 if behind else 0
    for path, text in pages().items():
        (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
        (DOCS / path).write_text(text, encoding="utf-8", newline="\n")
    sys.stdout.writelines(f"written: docs/{path}\n" for path in behind)
    return 0


if __name__ == "__main__":
    sys.exit(main())
