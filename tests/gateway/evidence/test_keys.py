from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qianzhi.errors import ConfigurationError
from qianzhi.gateway.evidence import keys

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_a_key_has_sixty_four_characters_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    """The first call makes it, the next ones give the same."""
    file = tmp_path / "keys.json"
    made = keys.ensure_key(file, 64, NOW)

    assert len(made.key) == 64
    assert made.key.isalnum()
    assert keys.ensure_key(file, 64, NOW + DAY) == made
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_old_key_counts_until_the_overlap_ends(tmp_path: Path) -> None:
    """The regulator needs days to enter the new one."""
    file = tmp_path / "keys.json"
    old = keys.ensure_key(file, 64, NOW)
    new = keys.rotate(file, 64, NOW, overlap=14 * DAY)
    ring = keys.KeyRing(file)

    assert new.key != old.key
    assert list(ring.valid(NOW + 13 * DAY)) == [old.key, new.key]
    assert list(ring.valid(NOW + 14 * DAY)) == [new.key]


def test_a_key_that_leaked_is_ended_at_once(tmp_path: Path) -> None:
    """An overlap of nothing, also for keys that were to count longer."""
    file = tmp_path / "keys.json"
    keys.ensure_key(file, 64, NOW)
    keys.rotate(file, 64, NOW, overlap=14 * DAY)
    last = keys.rotate(file, 64, NOW + DAY, overlap=timedelta())

    assert keys.KeyRing(file).valid(NOW + DAY) == [last.key]


def test_no_more_keys_are_kept_than_anybody_needs(tmp_path: Path) -> None:
    """Each more is one more to guess and to compare."""
    file = tmp_path / "keys.json"
    for number in range(10):
        keys.rotate(file, 64, NOW + number * DAY, overlap=100 * DAY)

    assert len(keys.read_keys(file)) == keys.KEYS_MAX


def test_a_running_process_notices_a_new_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And goes on with those it knew while the file is damaged."""
    monkeypatch.setattr(keys, "LOOK_SECONDS", -1.0)
    file = tmp_path / "keys.json"
    old = keys.ensure_key(file, 64, NOW)
    ring = keys.KeyRing(file)
    new = keys.rotate(file, 64, NOW, overlap=DAY)

    assert list(ring.valid(NOW)) == [old.key, new.key]
    file.write_text("{", encoding="utf-8")
    assert list(ring.valid(NOW)) == [old.key, new.key]


@pytest.mark.parametrize("content", ["{", "[1]", '[{"key": "a"}]', '[{"key": "a", "made_at": "x", "ends_at": null}]'])
def test_a_damaged_file_is_told_and_not_replaced(tmp_path: Path, content: str) -> None:
    """A new key would lock the regulator out."""
    file = tmp_path / "keys.json"
    file.write_text(content, encoding="utf-8")

    with pytest.raises(ConfigurationError):
        keys.ensure_key(file, 64, NOW)
