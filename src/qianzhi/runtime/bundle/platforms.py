"""The platforms that a bundle can be made for: pip's tags, and what markers of requirements say there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PYTHON_VERSION: Final = "3.11"
GLIBC_MAX: Final = 28  # of the oldest systems that are served: RHEL 8, Kylin V10, Debian 10
GLIBC_MIN: Final = 5
_OLD_NAMES: Final = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


@dataclass(frozen=True, slots=True)
class Platform:
    """One kind of machine; `tags` are what wheels for it may be called, `script` is what installs there."""

    key: str
    tags: tuple[str, ...]
    sys_platform: str
    system: str
    machine: str
    script: str

    def environment(self, python_version: str) -> dict[str, str]:
        """Return what the markers of requirements are compared with."""
        return {
            "sys_platform": self.sys_platform,
            "platform_system": self.system,
            "platform_machine": self.machine,
            "os_name": "nt" if self.sys_platform == "win32" else "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "python_version": python_version,
            "python_full_version": f"{python_version}.0",
        }


def _manylinux(machine: str) -> tuple[str, ...]:
    tags = []
    for minor in range(GLIBC_MAX, GLIBC_MIN - 1, -1):
        tags.append(f"manylinux_2_{minor}_{machine}")
        if minor in _OLD_NAMES:
            tags.append(f"{_OLD_NAMES[minor]}_{machine}")
    return tuple(tags)


PLATFORMS: Final = {
    each.key: each
    for each in (
        Platform("win_amd64", ("win_amd64",), "win32", "Windows", "AMD64", "install.ps1"),
        Platform("manylinux_x86_64", _manylinux("x86_64"), "linux", "Linux", "x86_64", "install.sh"),
        Platform("manylinux_aarch64", _manylinux("aarch64"), "linux", "Linux", "aarch64", "install.sh"),
    )
}
