"""Versions: of the product, of PostgreSQL, and of the rules, here and at the hub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from qianzhi.gateway.diagnosis import Diagnosis, ill, note, well
from qianzhi.specs.model import Text

POSTGRESQL_TESTED_MAX: Final = 18
_NEXT_MAJOR: Final = 10_000
_SHOWN_CHARACTERS: Final = 12


@dataclass(frozen=True, slots=True)
class Edition:
    """A set of rules: the regulator's name for it, and the digest over its files."""

    edition: str
    ruleset: str

    @property
    def shown(self) -> str:
        """The words for a person."""
        return f"{self.edition} ({self.ruleset[:_SHOWN_CHARACTERS]})"


def product(version: str, python: str) -> Diagnosis:
    """Return which release this is."""
    return well("version", f"qianzhi {version}，Python {python}。", f"qianzhi {version}, Python {python}.")


def postgresql(server_version: int) -> Diagnosis:
    """Return which PostgreSQL answers (as libpq numbers it). Pure."""
    major = server_version // _NEXT_MAJOR
    if major > POSTGRESQL_TESTED_MAX:
        return note(
            "database",
            Text(f"PostgreSQL {major} 可以连接，但未经测试。", f"PostgreSQL {major} answers, but was not tested."),
            Text(f"使用 PostgreSQL 14 至 {POSTGRESQL_TESTED_MAX}。", f"Use PostgreSQL 14 to {POSTGRESQL_TESTED_MAX}."),
        )
    return well("database", f"PostgreSQL {major} 可以连接。", f"PostgreSQL {major} answers.")


def edition(destination: str, ours: Edition, theirs: Edition | None) -> Diagnosis:
    """Return whether both ends judge by the same rules. Pure."""
    title = f"edition of {destination}"
    if theirs is None:
        return note(
            title,
            Text(f"本端为 {ours.shown}；对方没有说明。", f"Here it is {ours.shown}; the destination does not say."),
            Text("请对方运维升级，或告知其版本。", "Ask its operator to upgrade, or which one it is."),
        )
    if ours == theirs:
        return well(title, f"两端一致：{ours.shown}。", f"The same at both ends: {ours.shown}.")
    return ill(
        title,
        Text(f"本端为 {ours.shown}，对方为 {theirs.shown}。", f"Here it is {ours.shown}, there {theirs.shown}."),
        Text(
            "把较旧的一端升级，然后重新运行其 init；此前对方会拒收。",
            "Upgrade the older end and repeat its init; until then what is sent is refused.",
        ),
    )
