"""Named, described queries of a `.sql` file that lies next to the code which runs them."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import LiteralString, NoReturn

from qianzhi.errors import SpecError

_NAME = "-- name:"
_COMMENT = "--"


class Queries:
    """
    The statements of one file, each an attribute; an unknown name raises SpecError.

    They are shipped with the package, hence as trusted as literals of its code.
    """

    def __init__(self, file: str, statements: dict[str, str]) -> None:
        self._file = file
        self._statements = statements

    def __getattr__(self, name: str) -> LiteralString:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._statements:
            raise SpecError(f"{self._file} has no query {name!r}.", remedy=f"It has: {', '.join(self.names())}.")
        return self._statements[name]

    def names(self) -> tuple[str, ...]:
        """List the names in the order of the file."""
        return tuple(self._statements)


@cache
def load(package: str, name: str) -> Queries:
    """
    Read a file of a package once.

    A query is a line `-- name: <snake_case>`, one or more comment lines that say what it does, and the statement.
    Raises SpecError when the file is absent, a name repeats, or a query lacks a description or a statement.
    """
    file = f"{package}/{name}"
    resource = resources.files(package).joinpath(name)
    if not resource.is_file():
        raise SpecError(f"{file} does not exist.", remedy="Put the file of queries next to the package's modules.")
    return Queries(file, _parse(file, resource.read_text(encoding="utf-8")))


def _parse(file: str, text: str) -> dict[str, str]:
    head, *blocks = f"\n{text}".split(f"\n{_NAME}")
    if any(line and not line.startswith(_COMMENT) for line in map(str.strip, head.splitlines())):
        _refuse(file, "has a statement before its first name", "Begin every query with a line '-- name: <snake_case>'.")
    statements: dict[str, str] = {}
    for block in blocks:
        name, statement = _parse_block(file, block)
        if name in statements:
            _refuse(file, f"names {name!r} twice", "Give every query its own name.")
        statements[name] = statement
    return statements


def _parse_block(file: str, block: str) -> tuple[str, str]:
    name, *lines = block.strip().splitlines()
    name = name.strip()
    if not (name.isidentifier() and name.islower()):
        _refuse(file, f"has the query name {name!r}", "Write names in lower snake case.")
    described = 0
    while described < len(lines) and lines[described].strip().startswith(_COMMENT):
        described += 1
    statement = "\n".join(lines[described:]).strip().removesuffix(";").rstrip()
    if not any(line.strip().strip(_COMMENT) for line in lines[:described]):
        _refuse(file, f"does not describe {name!r}", "Say in a comment line below the name what the query does.")
    if not statement:
        _refuse(file, f"has no statement for {name!r}", "Write the statement below its description.")
    return name, statement


def _refuse(file: str, what: str, remedy: str) -> NoReturn:
    raise SpecError(f"{file} {what}.", remedy=remedy)
