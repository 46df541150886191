"""The staging table of a dataset, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from qianzhi.specs.formats import ValueType

if TYPE_CHECKING:
    from qianzhi.specs.formats import Format
    from qianzhi.specs.model import Dataset, Field

_INTEGER_DIGITS_MAX: Final = 9
"""PostgreSQL's integer holds every number of nine digits."""


def staging_ddl(dataset: Dataset, schema: str) -> list[str]:
    """
    Return the statements that create the staging table `schema`.`name` with its comments; none ends with a semicolon.

    Every column is a nullable text, so that a bad value is a finding and no INSERT error; its comment holds what was
    published. Names are lower-case, so that nobody needs to quote them; `id` is last, so that nobody needs to skip it.
    """
    table = f"{identifier(schema)}.{identifier(dataset.name)}"
    columns = [f"    {identifier(field.name)} text" for field in dataset.fields]
    columns.append("    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    title = f"{dataset.title} · {'必须提供' if dataset.obliged else '非必须提供'} · {dataset.source}"
    return [
        f"CREATE TABLE {table} (\n" + ",\n".join(columns) + "\n)",
        f"COMMENT ON TABLE {table} IS {literal(title)}",
        *(
            f"COMMENT ON COLUMN {table}.{identifier(field.name)} IS {literal(column_comment(field))}"
            for field in dataset.fields
        ),
    ]


def column_comment(field: Field) -> str:
    """Return what was published of a field: title, type, whether it is required, code system."""
    parts = [field.title, published_type(field.format), "必填" if field.required else "选填"]
    if field.codes is not None:
        parts.append(f"值域 {field.codes}")
    return " · ".join(parts)


def published_type(notation: Format) -> str:
    """Return the SQL type that says the same as the notation."""
    match notation.type:
        case ValueType.DATE:
            return "date"
        case ValueType.DATETIME:
            return "timestamp"
        case ValueType.FLAG:
            return "char(1)"
        case ValueType.DECIMAL:
            return f"numeric({notation.length_max},{notation.scale})"
        case ValueType.INTEGER:
            fits = notation.length_max is not None and notation.length_max <= _INTEGER_DIGITS_MAX
            return "integer" if fits else f"numeric({notation.length_max})"
        case ValueType.TEXT:
            return _text_type(notation)


def _text_type(notation: Format) -> str:
    if notation.length_max is None:
        return "text"
    kind = "char" if notation.length_min == notation.length_max else "varchar"
    return f"{kind}({notation.length_max})"


def identifier(name: str) -> str:
    """Return `name` in lower case, quoted: the same column that the unquoted name means."""
    return '"' + name.lower().replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as a SQL literal under `standard_conforming_strings`."""
    return "'" + text.replace("'", "''") + "'"
