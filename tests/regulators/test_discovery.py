"""Regulators are found in shipped folders, in installed packages and among imported editions."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from qianzhi import regulators
from qianzhi.errors import ConfigurationError, SpecError
from qianzhi.regulators import keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGULATOR = """
key = "{key}"
name = {{ zh = "测试平台", en = "Test platform" }}
edition = "{edition}"
sources = ["test"]
schedule = {{ cut_off = "02:00", cycle = "03:00" }}
criteria = {{ days = 5, rows_per_dataset = 10, accepted_share = 1.0 }}
sender = "his"
capabilities = ["rows"]
datasets = ["person"]
"""

PERSON = """
name = "person"
title = "个人"
source = "test"
obliged = true
key = ["JGDM"]
institution = "JGDM"
change = { field = "JGDM", new = "1", modify = "2", revoke = "3" }
occurred_at = "JGDM"
fields = [{ name = "JGDM", title = "机构代码", format = "AN..30", status = "found" }]
"""


@pytest.fixture(autouse=True)
def nothing_imported() -> Iterator[None]:
    """Each test begins and ends without imported editions and without kept regulators."""
    regulators.use(None)
    yield
    regulators.use(None)


def write_folder(folder: Path, key: str, edition: str = "V1") -> None:
    """Write a regulator's folder with an adapter that cannot be imported."""
    (folder / "datasets").mkdir(parents=True)
    (folder / "regulator.toml").write_text(REGULATOR.format(key=key, edition=edition), encoding="utf-8")
    (folder / "datasets" / "person.toml").write_text(PERSON, encoding="utf-8")
    (folder / "deliver.py").write_text("raise RuntimeError", encoding="utf-8")


def install(site: Path, package: str, key: str) -> None:
    """Put what an installer leaves behind into `site`: the package's metadata with its entry point."""
    metadata = site / f"{package}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(f"[qianzhi.regulators]\n{key} = {package}\n", encoding="utf-8")


def test_imported_edition_is_found(tmp_path: Path) -> None:
    """A folder under the data directory is a regulator; other folders there are not."""
    write_folder(tmp_path / "elsewhere", "elsewhere")
    (tmp_path / "notes").mkdir()
    regulators.use(tmp_path)
    assert "elsewhere" in keys()
    assert "notes" not in keys()
    assert regulators.regulator("elsewhere").name.en == "Test platform"


def test_installed_package_is_found_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point names a package whose folder is read; its code is not run."""
    write_folder(tmp_path / "qianzhi_elsewhere", "elsewhere")
    (tmp_path / "qianzhi_elsewhere" / "__init__.py").write_text("raise RuntimeError", encoding="utf-8")
    install(tmp_path, "qianzhi_elsewhere", "elsewhere")
    monkeypatch.syspath_prepend(tmp_path)
    assert "elsewhere" in keys()
    assert "elsewhere" in regulators.discover()
    assert regulators.regulator("elsewhere").edition == "V1"
    assert "qianzhi_elsewhere" not in sys.modules


def test_imported_edition_comes_before_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds the official text replaces what is installed."""
    site, editions = tmp_path / "site", tmp_path / "editions"
    write_folder(site / "qianzhi_elsewhere", "elsewhere")
    install(site, "qianzhi_elsewhere", "elsewhere")
    write_folder(editions / "elsewhere", "elsewhere", edition="V2")
    monkeypatch.syspath_prepend(site)
    assert regulators.regulator("elsewhere").edition == "V1"
    regulators.use(editions)
    assert regulators.regulator("elsewhere").edition == "V2"


def test_missing_package_does_not_stop_the_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that was removed halfway is named when it is asked for, and only then."""
    install(tmp_path, "qianzhi_removed", "removed")
    monkeypatch.syspath_prepend(tmp_path)
    assert "removed" in keys()
    with pytest.raises(ConfigurationError, match="'qianzhi_removed', which is not installed"):
        regulators.regulator("removed")


def test_broken_folder_does_not_stop_the_listing(tmp_path: Path) -> None:
    """Listing parses nothing."""
    write_folder(tmp_path / "broken", "broken")
    (tmp_path / "broken" / "regulator.toml").write_text("=", encoding="utf-8")
    regulators.use(tmp_path)
    assert "broken" in keys()
    with pytest.raises(SpecError, match=r"regulator\.toml: it is not TOML"):
        regulators.regulator("broken")


def test_unknown_key_is_refused(tmp_path: Path) -> None:
    """The known keys are the remedy."""
    write_folder(tmp_path / "elsewhere", "elsewhere")
    regulators.use(tmp_path)
    with pytest.raises(ConfigurationError, match="'nowhere'") as caught:
        regulators.regulator("nowhere")
    assert "elsewhere" in caught.value.remedy


def test_folder_with_another_key_is_refused(tmp_path: Path) -> None:
    """A folder is called as its key."""
    write_folder(tmp_path / "elsewhere", "other")
    regulators.use(tmp_path)
    with pytest.raises(SpecError, match="says that its key is 'other'"):
        regulators.regulator("elsewhere")


def test_directory_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    """A gateway without imported editions has no such directory yet."""
    before = keys()
    regulators.use(tmp_path / "editions")
    assert keys() == before


def test_regulator_is_parsed_once(tmp_path: Path) -> None:
    """The same value is given until another directory is used."""
    write_folder(tmp_path / "elsewhere", "elsewhere")
    regulators.use(tmp_path)
    first = regulators.regulator("elsewhere")
    assert regulators.regulator("elsewhere") is first
    regulators.use(tmp_path)
    assert regulators.regulator("elsewhere") is not first


def test_every_shipped_regulator_is_in_order() -> None:
    """What is shipped is parsed without a complaint."""
    for key in keys():
        assert regulators.regulator(key).key == key


def test_listing_imports_no_adapter() -> None:
    """Only the discovery itself is imported by a listing."""
    program = (
        "import sys; from qianzhi import regulators; regulators.keys();"
        "print([m for m in sys.modules if m.startswith('qianzhi.regulators.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, encoding="utf-8")
    assert done.stdout.strip() == "[]"
