from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qianzhi.errors import OperatorError
from qianzhi.runtime import keyfile
from qianzhi.runtime.keyfile import KeyFile
from qianzhi.runtime.vault import Vault

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
NAME = "blob 00"
SECRET = b"a photograph of somebody" * 10
STILL = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    """A key file with one version."""
    path = tmp_path / "keys" / "at-rest.key"
    path.parent.mkdir()
    keyfile.make(path, now=NOW)
    return path


@pytest.fixture
def vault(key_path: Path) -> Vault:
    """A vault that encrypts."""
    return Vault(KeyFile(key_path))


@STILL
@given(st.binary(max_size=1_500), st.booleans())
def test_whatever_is_written_comes_back(vault: Vault, tmp_path: Path, content: bytes, plain: bool) -> None:
    """With a key and without one; what was written without a key stays readable with one."""
    path = tmp_path / "file"
    (Vault() if plain else vault).write(path, NAME, content)
    assert vault.read(path, NAME) == content
    assert vault.byte_count(path) == len(content)
    assert (Vault() if plain else vault).is_current(path)


def test_nothing_of_the_content_is_on_the_disk(vault: Vault, tmp_path: Path) -> None:
    """Neither in the file nor beside it, and only the owner opens it."""
    vault.write(tmp_path / "file", NAME, SECRET)
    on_disk = [each for each in tmp_path.iterdir() if each.is_file()]
    assert [each.name for each in on_disk] == ["file"]
    assert SECRET[:24] not in on_disk[0].read_bytes()
    assert os.name == "nt" or stat.S_IMODE(on_disk[0].stat().st_mode) == 0o600


def test_without_its_key_nothing_is_written_in_the_clear(vault: Vault, key_path: Path, tmp_path: Path) -> None:
    """A key file that is gone stops the writing, names itself, and what it had written waits for its return."""
    vault.write(tmp_path / "file", NAME, SECRET)
    away = key_path.rename(tmp_path / "away")
    with pytest.raises(OperatorError, match="cannot be read") as caught:
        vault.write(tmp_path / "other", NAME, SECRET)
    assert str(key_path) in caught.value.what
    with pytest.raises(OperatorError, match="cannot be read"):
        vault.read(tmp_path / "file", NAME)
    assert not (tmp_path / "other").exists()
    away.rename(key_path)
    assert vault.read(tmp_path / "file", NAME) == SECRET


def test_an_encrypted_file_without_any_key_file_asks_for_it(vault: Vault, tmp_path: Path) -> None:
    """Who took the setting away learns which one is missing."""
    vault.write(tmp_path / "file", NAME, SECRET)
    with pytest.raises(OperatorError, match="no key file is set") as caught:
        Vault().read(tmp_path / "file", NAME)
    assert "gateway.encryption.key_file" in caught.value.remedy


def test_a_file_in_the_place_of_another_is_refused(vault: Vault, tmp_path: Path) -> None:
    """A name is part of what is authenticated."""
    vault.write(tmp_path / "one", "blob 01", SECRET)
    vault.write(tmp_path / "two", "blob 02", b"x")
    (tmp_path / "one").replace(tmp_path / "two")
    with pytest.raises(OperatorError, match="put in the place of another"):
        vault.read(tmp_path / "two", "blob 02")


def test_after_a_rotation_the_new_version_writes_and_every_one_reads(
    vault: Vault, key_path: Path, tmp_path: Path
) -> None:
    """A process that runs notices by itself."""
    vault.write(tmp_path / "old", "old", b"1")
    keyfile.rotate(key_path, now=NOW)
    vault.write(tmp_path / "new", "new", b"2")
    assert (vault.read(tmp_path / "old", "old"), vault.read(tmp_path / "new", "new")) == (b"1", b"2")
    assert (vault.is_current(tmp_path / "old"), vault.is_current(tmp_path / "new")) == (False, True)
    first, second = KeyFile(key_path).versions
    assert first.key_id != second.key_id
    key_path.write_text(f"{NOW.isoformat()} {_line(key_path, second.key_id)}\n", encoding="ascii")
    with pytest.raises(OperatorError, match=first.key_id.hex()):
        vault.read(tmp_path / "old", "old")


def test_a_key_file_is_never_made_over_another(key_path: Path) -> None:
    """What the first one encrypted would be lost."""
    before = key_path.read_bytes()
    with pytest.raises(OperatorError, match="is there already"):
        keyfile.make(key_path, now=NOW)
    assert key_path.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has access lists instead of modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_read_or_change_is_not_used(key_path: Path, vault: Vault, mode: int) -> None:
    """It is its owner's only when it is made, and has to stay so."""
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600
    key_path.chmod(mode)
    with pytest.raises(OperatorError, match="by others than its owner") as caught:
        vault.write(key_path.with_name("file"), NAME, SECRET)
    assert "chmod 600" in caught.value.remedy


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("=", "A", 1),
        lambda text: text[:-20],
        lambda text: "".join(text.rsplit(" ", 1)),
        lambda text: "\n".join(line for line in text.splitlines() if line.startswith("#")),
        lambda _text: "",
        lambda _text: "钥匙",
    ],
)
def test_a_damaged_key_file_is_refused_and_its_key_never_told(key_path: Path, damage: object) -> None:
    """A key that does not fit its id would encrypt what nobody could read again."""
    text = key_path.read_text(encoding="ascii")
    key_path.write_text(damage(text), encoding="utf-8")  # type: ignore[operator]
    with pytest.raises(OperatorError, match="cannot be used") as caught:
        KeyFile(key_path).versions  # noqa: B018 - reading is the act
    assert text.split()[-1][:20] not in str(caught.value)


def test_no_secret_is_shown_with_its_key(key_path: Path) -> None:
    """A key in a message or a log says which one it is and no more."""
    key = KeyFile(key_path).newest
    assert repr(key.secret) not in repr(key)
    assert key.made_at == NOW


def _line(path: Path, key_id: bytes) -> str:
    (found,) = [line for line in path.read_text(encoding="ascii").splitlines() if key_id.hex() in line]
    return found.partition(" ")[2]
