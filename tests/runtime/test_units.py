"""What the machine is told to start, read back by parsers, and by systemd where there is one."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qianzhi.errors import ConfigurationError
from qianzhi.runtime.home import End
from qianzhi.runtime.units import NAMESPACE, Unit, scheduled_task, systemd

SYSTEM = Unit(End.GATEWAY, PurePosixPath("/var/lib/qianzhi"), PurePosixPath("/opt/qianzhi/bin/python"), "qianzhi")
USER = Unit(End.HUB, PurePosixPath("/home/a b/100%"), PurePosixPath(sys.executable), is_user=True)
TASK = Unit(End.GATEWAY, PureWindowsPath(r"C:\ProgramData\qian zhi"), PureWindowsPath(r"C:\qianzhi\Scripts\python.exe"))


def read(text: str) -> dict[str, dict[str, list[str]]]:
    """The sections of a unit; a key may be repeated."""
    sections: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in text.split("\n"):
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals
            section.setdefault(name, []).append(value)
    return sections


def test_a_systems_unit_may_do_little_beside_its_work() -> None:
    """It runs as its own account, writes in its data directory only, and comes back when it fails."""
    unit = read(systemd(SYSTEM))
    service = unit["Service"]
    assert set(unit) == {"Unit", "Service", "Install"}
    assert all(len(values) == 1 for values in service.values())
    assert service["ExecStart"] == ["/opt/qianzhi/bin/python -m qianzhi gateway run --home /var/lib/qianzhi"]
    assert service["User"] == ["qianzhi"]
    assert service["ReadWritePaths"] == ["/var/lib/qianzhi"]
    assert service["ProtectSystem"] == ["strict"]
    assert service["NoNewPrivileges"] == ["yes"]
    assert service["Restart"] == ["on-failure"]
    assert service["LimitCORE"] == ["0"]
    assert int(service["TimeoutStopSec"][0]) > 600
    assert unit["Install"]["WantedBy"] == ["multi-user.target"]


def test_a_users_unit_needs_no_rights_of_the_system() -> None:
    """Who is signed in runs it; what only the system's manager can do is not asked for."""
    unit = read(systemd(USER))
    assert "User" not in unit["Service"]
    assert "ProtectSystem" not in unit["Service"]
    assert unit["Install"]["WantedBy"] == ["default.target"]
    assert unit["Service"]["ExecStart"][0].endswith(' hub run --home "/home/a b/100%%"')


@pytest.mark.parametrize("unit", [SYSTEM, USER], ids=["system", "user"])
def test_systemd_itself_takes_the_unit(unit: Unit, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say; without systemd the parser above has to do."""
    text = systemd(Unit(unit.end, PurePosixPath("/"), PurePosixPath(sys.executable), "root", unit.is_user))
    file = tmp_path / "qianzhi-test.service"
    file.write_text(text, encoding="utf-8")
    program = shutil.which("systemd-analyze")
    if program is None:
        assert set(read(text)) == {"Unit", "Service", "Install"}
        return
    scope = ["--user"] if unit.is_user else []
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    ended = subprocess.run(
        [program, *scope, "verify", "--man=no", str(file)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert [line for line in ended.stderr.splitlines() if "qianzhi-test" in line] == []


@given(
    st.text(st.characters(max_codepoint=0x9FFF, exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1)
)
def test_any_home_comes_back_as_one_word(name: str) -> None:
    """Blanks, quotes, per cent and dollar signs are the path's own."""
    home = PurePosixPath("/srv") / name
    (line,) = read(systemd(Unit(End.HUB, home, PurePosixPath("/usr/bin/python3"), "qianzhi")))["Service"]["ExecStart"]
    words = shlex.split(line.replace("%%", "%").replace("$$", "$"))
    assert words[-1] == str(home)


@pytest.mark.parametrize("home", ["/srv/a\nExecStartPre=/bin/evil", "/srv/a\rb"])
def test_a_path_with_a_line_end_is_refused(home: str) -> None:
    """It would write a line of its own into the unit."""
    unit = Unit(End.HUB, PurePosixPath(home), PurePosixPath("/usr/bin/python3"), "qianzhi")
    for write in (systemd, scheduled_task):
        with pytest.raises(ConfigurationError):
            write(unit)


def test_the_task_of_windows_never_ends_by_itself() -> None:
    """It starts at boot as the machine, goes on without limit of time or battery, and comes back when it fails."""
    text = scheduled_task(TASK)
    root = ET.fromstring(text.encode("utf-16"))  # noqa: S314 - written above
    said = {each.tag.removeprefix(f"{{{NAMESPACE}}}"): each.text for each in root.iter()}
    assert root.tag == f"{{{NAMESPACE}}}Task"
    # The order that the scheduler's schema prescribes.
    order = ["RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"]
    assert [each.tag.removeprefix(f"{{{NAMESPACE}}}") for each in root] == order
    assert "BootTrigger" in said
    assert said["UserId"] == "S-1-5-18"
    assert (said["ExecutionTimeLimit"], said["StopIfGoingOnBatteries"]) == ("PT0S", "false")
    assert (said["Interval"], said["Count"]) == ("PT1M", "999")
    assert said["Command"] == r"C:\qianzhi\Scripts\python.exe"
    assert said["Arguments"] == r'-m qianzhi gateway run --home "C:\ProgramData\qian zhi"'


def test_a_task_of_another_account_has_no_more_rights_than_that() -> None:
    """No password is kept with it."""
    root = ET.fromstring(  # noqa: S314 - ours
        scheduled_task(Unit(TASK.end, TASK.home, TASK.python, r".\qian<zhi>")).encode("utf-16")
    )
    said = {each.tag.removeprefix(f"{{{NAMESPACE}}}"): each.text for each in root.iter()}
    assert (said["UserId"], said["LogonType"], said["RunLevel"]) == (r".\qian<zhi>", "S4U", "LeastPrivilege")
