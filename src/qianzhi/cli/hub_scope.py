"""Whom a command of the hub is about: its session, the regulator that is meant, the institution that is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qianzhi.cli.terminal import require_known

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from qianzhi.db.server import Session
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.settings import Settings

RegulatorOption = Annotated[
    str | None, typer.Option("--regulator", help="The regulator, where the hub serves several.")
]
CodeArgument = Annotated[str, typer.Argument(help="The code that the platform gave the institution (机构标识).")]


def session_of(home: Home, settings: Settings) -> AbstractContextManager[Session]:
    """Open a session of the hub's database, committed at the end."""
    from qianzhi.hub import assembly

    return assembly.session(home, settings, application="qianzhi hub")


def regulator_of(settings: Settings, named: str | None) -> str:
    """Return the regulator that is named, or the only one. Raises ConfigurationError where that is not clear."""
    from qianzhi.errors import ConfigurationError
    from qianzhi.hub import assembly

    served = assembly.regulators(settings)
    require_known("--regulator", named, served)
    if named is not None:
        return named
    if len(served) == 1:
        return served[0]
    raise ConfigurationError("It is not clear which regulator is meant.", remedy=f"Name one of: {', '.join(served)}.")
