"""
Who runs the embedded PostgreSQL.

PostgreSQL refuses to run as root. Started by root, its programs run as an unprivileged account instead: the owner of
existing files, else an account named by the setting, else `qianzhi`, else `nobody`. Where that account may not
walk to the files (a home below a 0700 folder), its programs keep one capability, CAP_DAC_READ_SEARCH, rather than
that any folder outside the cluster's own be opened. A user namespace would let them in too, but as the owner of every
file of root, with write access; and containers mostly forbid it.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qianzhi.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CANDIDATES = ("qianzhi", "nobody")
_CAPABILITY = "dac_read_search"
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP")
_SYSTEM_SID, _ADMINISTRATORS_SID = "S-1-5-18", "S-1-5-32-544"


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the operating system other than the one that runs this process."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended, and what it printed."""

    code: int
    output: str


def account_of(files: Path, wanted: str | None) -> Account | None:
    """Choose the account that PostgreSQL runs as with these files (which may be absent yet); None: the present one."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    owner = files.stat().st_uid if files.exists() else 0
    candidates = (wanted,) if wanted else _CANDIDATES
    for entry in pwd.getpwall():
        if owner and entry.pw_uid == owner:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in () if owner else candidates:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        f"PostgreSQL may not run as root, and no account of {candidates} exists or owns its files.",
        remedy="Create a system account 'qianzhi', or run the product as an ordinary user.",
    )


def give(path: Path, account: Account | None) -> None:
    """Make a file, or a folder with all it holds, the account's own."""
    if sys.platform == "win32" or account is None:
        return
    inside = path.rglob("*") if path.is_dir() else ()
    for each in (path, *inside):
        if each.lstat().st_uid != account.uid:
            os.chown(each, account.uid, account.gid, follow_symlinks=False)


def make_private(folder: Path) -> None:
    """Create a folder that only its owner (on Windows: the user, the system and the administrators) may open."""
    if sys.platform != "win32":
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    programs = Path(os.environ["SYSTEMROOT"]) / "System32"
    whoami: list[str | Path] = [programs / "whoami.exe", "/user", "/fo", "csv", "/nh"]
    printed = subprocess.run(whoami, check=True, capture_output=True, text=True, encoding="mbcs").stdout
    user = next(csv.reader([printed.strip()]))[1]
    # The user by name beside the administrators: pg_ctl drops the administrators' group before it starts the server.
    grants = [f"*{sid}:(OI)(CI)F" for sid in (user, _SYSTEM_SID, _ADMINISTRATORS_SID)]
    icacls: list[str | Path] = [programs / "icacls.exe", folder, "/inheritance:r", "/grant:r", *grants]
    subprocess.run(icacls, check=True, capture_output=True)


def run(
    command: Sequence[str | Path],
    *,
    account: Account | None,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """
    Run a program as an account, in a folder, and wait for its end.

    It sees nothing of this process's environment but what finds programs; `environment` is added. The output goes
    through a file: a server that the program leaves behind would hold a pipe open for ever.
    """
    arguments = [*_prefix(account, Path(command[0]), folder), *map(str, command)]
    inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    flags = 0
    if sys.platform == "win32":  # a Ctrl-C at our console is not for the server
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    with tempfile.TemporaryFile() as printed:
        ended = subprocess.run(
            arguments,
            check=False,
            cwd=folder,
            env={**inherited, "LC_ALL": "C", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            creationflags=flags,
        )
        printed.seek(0)
        return Outcome(ended.returncode, printed.read().decode("utf-8", errors="replace").strip())


def _prefix(account: Account | None, program: Path, folder: Path) -> list[str]:
    """Give the words before a command that make it run as the account, with no more than reaching its files takes."""
    if account is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ConfigurationError(
            "PostgreSQL may not run as root, and the program setpriv (util-linux) is missing.",
            remedy="Install util-linux, or run the product as an ordinary user.",
        )
    drop = [setpriv, f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--no-new-privs"]
    plain = [*drop, "--inh-caps=-all", "--bounding-set=-all"]
    # access(2), by which PostgreSQL looks for its programs, forgets capabilities without this bit.
    reading = [*drop, "--securebits=+no_setuid_fixup"]
    reading += [f"{option}=-all,+{_CAPABILITY}" for option in ("--inh-caps", "--ambient-caps", "--bounding-set")]
    for prefix in (plain, reading):
        if _reaches(prefix, program, folder):
            return [*prefix, "--"]
    raise ConfigurationError(
        f"The account {account.name!r}, which PostgreSQL runs as, may not reach {folder} or {program}.",
        remedy="Choose a home that every user may walk to (such as one below /var/lib), grant the capability "
        "CAP_DAC_READ_SEARCH, or run the product as an ordinary user who owns the home.",
    )


def _reaches(prefix: Sequence[str], program: Path, folder: Path) -> bool:
    test = ["sh", "-c", 'test -x "$0" && test -w "$1" && test -x "$1"', str(program), str(folder)]
    probe = subprocess.run([*prefix, "--", *test], check=False, capture_output=True)
    return probe.returncode == 0
