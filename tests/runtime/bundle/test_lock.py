"""The lock, narrowed to a platform that is not this one."""

from __future__ import annotations

import pytest

from qianzhi.errors import SpecError
from qianzhi.runtime.bundle import lock
from qianzhi.runtime.bundle.platforms import PLATFORMS

WINDOWS, LINUX = (PLATFORMS[key].environment("3.11") for key in ("win_amd64", "manylinux_x86_64"))
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("marker", "on_windows", "on_linux"),
    [
        ("sys_platform == 'win32'", True, False),
        ("implementation_name != 'pypy' and sys_platform != 'cygwin' and sys_platform != 'win32'", False, True),
        ("implementation_name != 'pypy'", True, True),
        ("python_version < '3.9'", False, False),  # as numbers: 3.11 is the greater
        ("python_full_version >= '3.11'", True, True),
        ("(os_name == 'nt' or platform_system == 'Darwin') and python_version >= '3.10'", True, False),
        ("'linux' in sys_platform", False, True),
        ("platform_machine not in 'x86_64 aarch64'", True, False),
    ],
)  # fmt: skip
def test_markers_are_judged_by_the_platform_asked_for(marker: str, *, on_windows: bool, on_linux: bool) -> None:
    """Pip would judge them by the machine that it runs on."""
    assert (lock.is_true(marker, WINDOWS), lock.is_true(marker, LINUX)) == (on_windows, on_linux)


@pytest.mark.parametrize(
    "marker",
    ["extra == 'x'", "__import__('os')", "sys_platform", "sys_platform < 'x'", "1 == 1", "python_version < 'x'"],
)  # fmt: skip
def test_what_is_no_marker_is_refused(marker: str) -> None:
    """Nothing of it is ever run."""
    with pytest.raises(SpecError):
        lock.is_true(marker, LINUX)


@pytest.mark.parametrize(
    "line", ["polars", "polars==2.1", f"polars>=2 --hash={DIGEST}", "polars==2 --hash=md5:00", f"-e . --hash={DIGEST}",
             f"polars @ file:///x --hash={DIGEST}", f"polars==2 --index-url x --hash={DIGEST}"]
)  # fmt: skip
def test_a_line_without_version_or_digest_is_refused(line: str) -> None:
    """Whatever else pip would take."""
    with pytest.raises(SpecError):
        lock.parse(f"# made\n{line}\n")


def test_the_lock_of_this_release_is_read() -> None:
    """Every package of it, each with digests; Windows needs colorama and has no uvloop."""
    requirements = lock.parse(lock.text())
    names = [{each.pin.partition("==")[0] for each in lock.needed(requirements, at)} for at in (WINDOWS, LINUX)]
    assert len(requirements) == lock.text().count("==") - lock.text().count(" == ")
    assert names[0] - names[1] == {"colorama"}
    assert names[1] - names[0] == {"uvloop"}
    assert all(";" not in each.line for each in requirements)
