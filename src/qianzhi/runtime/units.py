"""What makes an end start with its machine: a systemd unit, or a task of the Windows scheduler. Texts only, no I/O."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from qianzhi.errors import ConfigurationError
from qianzhi.runtime.parts import SERVICE_STOP_SECONDS_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from qianzhi.runtime.home import End

STOP_SECONDS: Final = int(SERVICE_STOP_SECONDS_MAX) + 60  # PostgreSQL may take so long, and the rest is quick
RESTART_SECONDS: Final = 5
TASK_RESTART_MINUTES: Final = 1  # the shortest that the scheduler of Windows knows
TASK_RESTARTS_MAX: Final = 999
TASKS_MAX: Final = 2048
FILES_MAX: Final = 65_536
MEMORY_PERCENT_MAX: Final = 80
SYSTEM_SID: Final = "S-1-5-18"
NAMESPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_CONTROL: Final = "Cc"

# What a process that has been taken over could still do without these: become another account, write outside of the
# data directory, load code into the kernel, look at other processes, speak anything but IP.
_HARDENING: Final = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
"""


@dataclass(frozen=True, slots=True)
class Unit:
    """
    One end as its machine starts it.

    `account` is who runs it (Linux: required for the system's own units; Windows: the machine itself where None);
    `is_user` makes it a service of the person who is signed in.
    """

    end: End
    home: PurePath
    python: PurePath
    account: str | None = None
    is_user: bool = False

    @property
    def name(self) -> str:
        """The name of the unit, and of the task."""
        return f"qianzhi-{self.end.value}"

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows the program."""
        return ("-m", "qianzhi", self.end.value, "run", "--home", str(self.home))


def systemd(unit: Unit) -> str:
    """Return the text of a `.service` file. Raises ConfigurationError for a path that no unit can name."""
    words = " ".join(map(_word, (str(unit.python), *unit.arguments)))
    lines = [
        "# Written by `qianzhi … service`; put changes into a drop-in (systemctl edit).",
        "[Unit]",
        f"Description=qianzhi {unit.end.value}",
        *([] if unit.is_user else ["Wants=network-online.target", "After=network-online.target"]),
        "",
        "[Service]",
        "Type=exec",
        *([] if unit.is_user else [f"User={_plain(unit.account or unit.name)}"]),
        f"ExecStart={words}",
        "Restart=on-failure",
        f"RestartSec={RESTART_SECONDS}",
        "# The supervisor stops its parts in order; what is left after it is killed, and PostgreSQL recovers.",
        "KillMode=mixed",
        f"TimeoutStopSec={STOP_SECONDS}",
        "# A part that is killed for want of memory is started again by the supervisor.",
        "OOMPolicy=continue",
        "UMask=0077",
        "# A dump of a process would hold patients' data.",
        "LimitCORE=0",
        f"LimitNOFILE={FILES_MAX}",
        f"TasksMax={TASKS_MAX}",
        f"MemoryMax={MEMORY_PERCENT_MAX}%",
        *(
            ["NoNewPrivileges=yes"]
            if unit.is_user
            else [*_HARDENING.splitlines(), f"ReadWritePaths={_path(unit.home)}"]
        ),
        "",
        "[Install]",
        f"WantedBy={'default' if unit.is_user else 'multi-user'}.target",
        "",
    ]
    return "\n".join(lines)


def scheduled_task(unit: Unit) -> str:
    """
    Return the XML of a task that runs an end from the start of the machine, or of the user's session.

    To be written as UTF-16. The scheduler's defaults would end it after three days, on battery, and run it with
    less than normal priority.
    """
    task = ET.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
    about = _under(task, "RegistrationInfo")
    _under(about, "Description", f"qianzhi {unit.end.value}")
    _under(_under(_under(task, "Triggers"), "LogonTrigger" if unit.is_user else "BootTrigger"), "Enabled", "true")
    principal = _under(_under(task, "Principals"), "Principal")
    principal.set("id", "Author")
    if unit.account is not None:
        _under(principal, "UserId", _plain(unit.account))
        _under(principal, "LogonType", "InteractiveToken" if unit.is_user else "S4U")
    elif not unit.is_user:
        _under(principal, "UserId", SYSTEM_SID)
    _under(principal, "RunLevel", "LeastPrivilege" if unit.is_user or unit.account else "HighestAvailable")
    settings = _under(task, "Settings")
    for name, value in _TASK_SETTINGS:
        _under(settings, name, value)
    restart = _under(settings, "RestartOnFailure")
    _under(restart, "Interval", f"PT{TASK_RESTART_MINUTES}M")
    _under(restart, "Count", str(TASK_RESTARTS_MAX))
    actions = _under(task, "Actions")
    actions.set("Context", "Author")
    run = _under(actions, "Exec")
    _under(run, "Command", _plain(str(unit.python)))
    _under(run, "Arguments", _command_line(unit.arguments))
    ET.indent(task)
    return f'<?xml version="1.0" encoding="UTF-16"?>\n{ET.tostring(task, encoding="unicode")}\n'


_TASK_SETTINGS: Final = (
    ("MultipleInstancesPolicy", "IgnoreNew"),
    ("DisallowStartIfOnBatteries", "false"),
    ("StopIfGoingOnBatteries", "false"),
    ("StartWhenAvailable", "true"),
    ("RunOnlyIfNetworkAvailable", "false"),
    ("Enabled", "true"),
    ("ExecutionTimeLimit", "PT0S"),
    ("Priority", "5"),
)


def _under(parent: ET.Element, name: str, text: str | None = None) -> ET.Element:
    child = ET.SubElement(parent, name)
    child.text = text
    return child


def _plain(text: str) -> str:
    """Return a text that holds no control character: in a unit it would begin a line of its own."""
    if any(unicodedata.category(each) == _CONTROL for each in text):
        raise ConfigurationError(
            "A path or an account of the service holds a control character.", remedy="Choose another one."
        )
    return text


def _word(text: str) -> str:
    r"""Quote a word of ExecStart: specifiers begin with %, variables with $, escapes with \."""
    escaped = _plain(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != text or any(each in text for each in " '") else text


def _path(path: PurePath) -> str:
    """Quote a path of a setting, in which no variable is replaced."""
    escaped = _plain(str(path)).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if any(each in escaped for each in " '\"\\") else escaped


def _command_line(words: Sequence[str]) -> str:
    """Join words as Windows takes them apart; a file name there has no quotation mark."""
    return " ".join(f'"{word}"' if " " in _plain(word) else word for word in words)
