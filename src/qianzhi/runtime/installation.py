"""Installing an end as a service of its machine: the files are written here, the system's own programs do the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qianzhi.errors import ConfigurationError, OperatorError
from qianzhi.runtime.units import Unit, scheduled_task, systemd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qianzhi.runtime.home import End, Home

SYSTEM_UNITS: Final = Path("/etc/systemd/system")
PROGRAM_SECONDS_MAX: Final = 120.0
TASK_ENCODING: Final = "utf-16"  # what the scheduler of Windows reads
_OUTPUT_CHARACTERS_MAX: Final = 500


def unit_of(end: End, home: Home, *, account: str | None, is_user: bool) -> Unit:
    """Return the unit by which this installation of qianzhi runs an end."""
    return Unit(end, home.path, Path(sys.executable), account, is_user)


def text_of(unit: Unit) -> str:
    """Return what would be installed on this system."""
    return scheduled_task(unit) if sys.platform == "win32" else systemd(unit)


def install(unit: Unit, home: Home) -> str:
    """
    Let the end start with the machine, or with the user's session, and start it now; return where that is written.

    Safe to repeat. Raises ConfigurationError where the home is not that of the account, OperatorError where the
    system refuses.
    """
    home.existing(unit.end)
    if sys.platform == "win32":
        return _install_task(unit)
    _require_account(unit, home)
    file = _folder(unit) / f"{unit.name}.service"
    _write(file, systemd(unit))
    _manager(unit, "daemon-reload")
    _manager(unit, "enable", "--now", file.name)
    return str(file)


def uninstall(unit: Unit) -> str:
    """Stop the end and no longer start it with the machine; return what was removed. Its data stay. Safe to repeat."""
    if sys.platform == "win32":
        _call(["schtasks", "/End", "/TN", unit.name], is_needed=False)
        _call(["schtasks", "/Delete", "/TN", unit.name, "/F"], is_needed=False)
        return unit.name
    file = _folder(unit) / f"{unit.name}.service"
    if file.exists():
        _manager(unit, "disable", "--now", file.name)
        file.unlink()
        _manager(unit, "daemon-reload")
    return str(file)


def _install_task(unit: Unit) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "task.xml"
        file.write_text(scheduled_task(unit), encoding=TASK_ENCODING)
        _call(["schtasks", "/Create", "/TN", unit.name, "/XML", str(file), "/F"])
    _call(["schtasks", "/Run", "/TN", unit.name])
    return unit.name


def _folder(unit: Unit) -> Path:
    if not unit.is_user:
        return SYSTEM_UNITS
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def _require_account(unit: Unit, home: Home) -> None:
    """Refuse an account that is unknown, or that does not own the data it would work on."""
    if sys.platform == "win32" or unit.is_user:
        return
    import pwd

    name = unit.account or unit.name
    try:
        owner = pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise ConfigurationError(
            f"There is no account {name!r} on this machine.",
            remedy=f"Create it: useradd --system --home-dir {home.path} {name}",
        ) from error
    if home.path.stat().st_uid != owner:
        raise ConfigurationError(
            f"The data directory {home.path} does not belong to {name!r}.",
            remedy=f"Stop what runs, then: chown -R {name} {home.path}",
        )


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be written: {error.strerror}.", remedy="Do it as root, or use --user."
        ) from error


def _manager(unit: Unit, *words: str) -> None:
    _call(["systemctl", *(["--user"] if unit.is_user else []), *words])


def _call(command: Sequence[str], *, is_needed: bool = True) -> None:
    """Run a program of the system; OperatorError with what it said when it fails."""
    program = shutil.which(command[0])
    if program is None:
        raise ConfigurationError(
            f"There is no {command[0]} on this machine.",
            remedy="Take the text from `service print`, and give it to whatever starts services here.",
        )
    ended = subprocess.run(
        [program, *command[1:]],
        check=False,
        capture_output=True,
        timeout=PROGRAM_SECONDS_MAX,
        stdin=subprocess.DEVNULL,
    )
    if ended.returncode and is_needed:
        said = (ended.stderr or ended.stdout).decode(errors="replace").strip()[-_OUTPUT_CHARACTERS_MAX:]
        raise OperatorError(f"{' '.join(command[:2])} failed: {said}", remedy="Remove the cause it names, then repeat.")
