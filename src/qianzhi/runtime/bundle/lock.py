"""The lock of requirements: read, and narrowed to what one platform needs."""

from __future__ import annotations

import ast
import operator
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import qianzhi
from qianzhi.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PACKAGED: Final = "requirements.txt"  # in the wheel; put there when it is built
_PIN: Final = re.compile(r"(?P<pin>[A-Za-z0-9._-]+(?:\[[A-Za-z0-9,._-]+\])?==[^\s;]+)\s*(?:;\s*(?P<marker>.+))?")
_HASH: Final = re.compile(r"--hash=(sha256:[0-9a-f]{64})")
_EQUALITY: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {ast.Eq: operator.eq, ast.NotEq: operator.ne}
_SIGNS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    **_EQUALITY,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_VERSIONS: Final = frozenset({"python_version", "python_full_version"})


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package of one version, with the digests of its files."""

    pin: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def line(self) -> str:
        """The requirement as pip reads it, without its marker."""
        return " ".join([self.pin, *(f"--hash={each}" for each in self.hashes)])


def text() -> str:
    """Return the lock that this release was made with: of the installed package, or of the tree it stands in."""
    packaged = resources.files(qianzhi).joinpath(PACKAGED)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    tree = Path(qianzhi.__file__).parents[2] / "requirements" / "runtime.txt"
    if tree.is_file():
        return tree.read_text(encoding="utf-8")
    raise SpecError("The lock of requirements is missing.", remedy="Install qianzhi from its wheel, or use its tree.")


def parse(lock: str) -> list[Requirement]:
    """Return the requirements of a lock. Raises SpecError for a line without version or digest."""
    return list(_requirements(lock))


def needed(requirements: list[Requirement], environment: Mapping[str, str]) -> list[Requirement]:
    """Return those that a platform needs. Raises SpecError for a marker that cannot be read."""
    return [each for each in requirements if not each.marker or is_true(each.marker, environment)]


def is_true(marker: str, environment: Mapping[str, str]) -> bool:
    """Tell whether a marker (PEP 508) holds; pip itself judges by the machine it runs on. Raises SpecError."""
    try:
        found = _value(ast.parse(marker, mode="eval").body, environment)
    except (SyntaxError, KeyError, ValueError) as error:
        raise _unreadable(marker) from error
    if not isinstance(found, bool):
        raise _unreadable(marker)
    return found


def _requirements(lock: str) -> Iterator[Requirement]:
    lines = [line for line in lock.splitlines() if line.strip() and not line.strip().startswith("#")]
    for block in "\n".join(lines).replace("\\\n", " ").splitlines():
        said, *options = re.split(r"\s+(?=--)", block.strip())
        found, hashes = _PIN.fullmatch(said.strip()), [_HASH.fullmatch(each.strip()) for each in options]
        if found is None or not hashes or not all(hashes):
            raise SpecError(
                f"The lock has a line without version or digest: {said[:60]}.", remedy="Compile it anew: make lock."
            )
        yield Requirement(
            found["pin"], (found["marker"] or "").strip(), tuple(each[1] for each in hashes if each is not None)
        )


def _value(node: ast.expr, environment: Mapping[str, str]) -> str | bool:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return environment[name]
        case ast.BoolOp(op=junction, values=values):
            found = [_value(each, environment) for each in values]
            return all(found) if isinstance(junction, ast.And) else any(found)
        case ast.Compare(left=left, ops=[sign], comparators=[right]):
            ordered = any(isinstance(each, ast.Name) and each.id in _VERSIONS for each in (left, right))
            return _compared(str(_value(left, environment)), sign, str(_value(right, environment)), ordered=ordered)
    raise ValueError(ast.dump(node))


def _compared(left: str, sign: ast.cmpop, right: str, *, ordered: bool) -> bool:
    if isinstance(sign, ast.In | ast.NotIn):
        return (left in right) == isinstance(sign, ast.In)
    known = _SIGNS if ordered else _EQUALITY
    compare = known[type(sign)]
    return compare(_version(left), _version(right)) if ordered else compare(left, right)


def _version(text: str) -> tuple[int, ...]:
    numbers = [int(part) for part in text.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _unreadable(marker: str) -> SpecError:
    return SpecError(f"The marker {marker!r} of the lock cannot be read.", remedy="Compile the lock anew: make lock.")
