"""A bundle: made with the index that pip is set to, installed without any."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from qianzhi.errors import ConfigurationError
from qianzhi.runtime import bundle
from qianzhi.runtime.bundle import PLATFORMS, Bundle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the bundle of this machine is one for Linux"),
]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle for this machine."""
    import platform

    folder = tmp_path_factory.mktemp("bundle") / "out"
    return bundle.make(f"manylinux_{platform.machine()}", folder, python_version=PYTHON)


def install(folder: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing that would lead pip to an index."""
    return subprocess.run(
        ["sh", str(folder / "install.sh"), str(target)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "PIP_INDEX_URL": "https://127.0.0.1:9/"},
    )


def test_it_installs_without_any_index(made: Bundle, tmp_path: Path) -> None:
    """Into a fresh environment; the product runs from there and can make its own wheel again."""
    ended = install(made.folder, tmp_path / "there")
    assert ended.returncode == 0, ended.stderr
    program = tmp_path / "there" / "bin" / "python"
    text = (
        "from pathlib import Path; from qianzhi.runtime.bundle import lock, wheel;"
        "print(len(lock.parse(lock.text())), wheel.make(Path('.')).name)"
    )
    told = subprocess.run([program, "-c", text], capture_output=True, text=True, check=True, cwd=tmp_path)
    count, name = told.stdout.split()
    assert (int(count) >= len(made.wheels) - 1, name in made.wheels) == (True, True)
    ours = next(each for each in made.folder.rglob(name))
    assert _names(tmp_path / name) == _names(ours)


def test_what_was_changed_on_the_way_is_refused(made: Bundle, tmp_path: Path) -> None:
    """Before anything of it is run; so is what is missing."""
    copy = tmp_path / "copy"
    shutil.copytree(made.folder, copy, copy_function=_link)
    victim = next((copy / "wheels").glob("typer-*.whl"))
    content = victim.read_bytes()
    victim.unlink()
    assert install(copy, tmp_path / "there").returncode == 1
    victim.write_bytes(content[:-1] + b"x")
    ended = install(copy, tmp_path / "there")
    assert (ended.returncode, "changed on the way" in ended.stderr) == (1, True)
    assert not (tmp_path / "there").exists()


def test_it_names_no_registry(made: Bundle) -> None:
    """Neither the one that pip is set to here nor any other; digests are all that leads to a file."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    hosts = {urlsplit(url).hostname for url in re.findall(r"https?://[^'\"\s]+", told)} - {None}
    for file in made.folder.iterdir():
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert not [host for host in hosts if host and host in text]
            assert "://" not in text


def test_its_manifest_names_every_wheel(made: Bundle) -> None:
    """With platform, release and digests; the sums cover every file but themselves."""
    said = json.loads((made.folder / "manifest.json").read_bytes())
    assert (said["product"], said["python"], len(said["wheels"])) == ("qianzhi", PYTHON, len(made.wheels))
    listed = {line.split("  ", 1)[1] for line in (made.folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()}
    there = {path.relative_to(made.folder).as_posix() for path in made.folder.rglob("*") if path.is_file()}
    assert listed == there - {"SHA256SUMS"}


@pytest.mark.parametrize(
    ("platform", "python_version"), [("plan9", "3.11"), ("win_amd64", "2.7"), ("win_amd64", "3.11; rm")]
)
def test_what_is_no_platform_is_refused(platform: str, python_version: str, tmp_path: Path) -> None:
    """Before anything is fetched."""
    with pytest.raises(ConfigurationError):
        bundle.make(platform, tmp_path / "out", python_version=python_version)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_anything_is_refused(tmp_path: Path) -> None:
    """Its sums would cover what is not of the bundle."""
    (tmp_path / "old").touch()
    with pytest.raises(ConfigurationError, match="not empty"):
        bundle.make("win_amd64", tmp_path)


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=lambda each: each.key)
def test_every_platform_has_its_script(platform: bundle.platforms.Platform) -> None:
    """It verifies first, and reaches for no index; that of Windows is plain ASCII, as its PowerShell reads it."""
    text = (Path(bundle.__file__).parent / platform.script).read_text(encoding="ascii")
    assert text.index("SHA256SUMS") < text.index("-m venv") < text.index("--no-index")
    assert "--require-hashes" in text
    assert "://" not in text


def _names(wheel: Path) -> set[str]:
    import zipfile

    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)
