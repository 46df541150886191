"""The service log as people read it: newest first, filtered, and never a whole file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qianzhi.gateway.views import journal
from qianzhi.gateway.views.journal import Wanted

if TYPE_CHECKING:
    from pathlib import Path

BEGAN = datetime(2026, 11, 20, 3, tzinfo=UTC)


def entry(part: str, number: int, level: str = "info", **details: object) -> bytes:
    """One line as a part of the gateway writes it."""
    at = (BEGAN + timedelta(seconds=number)).isoformat(timespec="milliseconds")
    return orjson.dumps(
        {"timestamp": at, "level": level, "component": part, "event": f"{part}:line:{number}", **details}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two parts that took turns; one of them has set two files aside."""
    worker = [entry("worker", n, "warning" if n % 10 == 0 else "info", rows=n) for n in range(0, 300, 2)]
    (tmp_path / "worker.log.2").write_bytes(b"\n".join(worker[:50]) + b"\n")
    (tmp_path / "worker.log.1").write_bytes(b"\n".join(worker[50:100]) + b"\n")
    (tmp_path / "worker.log").write_bytes(b"\n".join(worker[100:]) + b"\n")
    health = [entry("health", n, "error" if n == 151 else "debug") for n in range(1, 300, 2)]
    (tmp_path / "health.log").write_bytes(b"not ours\n" + b"\n".join(health) + b'\n{"timestamp": 3}\n\xff\xfe\n')
    return tmp_path


def numbers(excerpt: journal.Excerpt) -> list[int]:
    """The numbers of the lines."""
    return [int(line.event.rpartition(":")[2]) for line in excerpt.lines]


def test_the_newest_lines_of_all_parts_come_first(folder: Path) -> None:
    """Lines of several parts and of files that were set aside stand in the order of their time."""
    assert journal.parts(folder) == ["health", "worker"]
    assert numbers(journal.read(folder, limit=5)) == [299, 298, 297, 296, 295]
    every = journal.read(folder, limit=1000)
    assert numbers(every) == list(range(299, -1, -1))
    assert not every.is_bounded
    assert journal.read(folder, limit=299).is_bounded


def test_lines_are_chosen_by_part_level_time_and_text(folder: Path) -> None:
    """Each filter by itself, and all at once."""
    assert numbers(journal.read(folder, Wanted(parts=frozenset({"health"})), limit=2)) == [299, 297]
    assert numbers(journal.read(folder, Wanted(level="error"))) == [151]
    assert numbers(journal.read(folder, Wanted(level="warning"), limit=3)) == [290, 280, 270]
    since, until = BEGAN + timedelta(seconds=10), BEGAN + timedelta(seconds=13)
    assert numbers(journal.read(folder, Wanted(since=since, until=until))) == [12, 11, 10]
    assert numbers(journal.read(folder, Wanted(text="LINE:17"), limit=1000)) == [*range(179, 169, -1), 17]
    assert numbers(journal.read(folder, Wanted(frozenset({"worker"}), "warning", since, text="line:20"))) == [200, 20]
    (line,) = journal.read(folder, Wanted(text="line:42")).lines
    assert (line.part, line.level, dict(line.details)) == ("worker", "info", {"rows": 42})


def test_no_more_is_read_than_its_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter that finds nothing gives up after so many bytes of a part, and says that there may be more."""
    monkeypatch.setattr(journal, "PART_BYTES_MAX", 1000)
    found = journal.read(folder, Wanted(parts=frozenset({"worker"})), limit=1000)
    assert numbers(found) == list(range(298, 298 - 2 * len(found.lines), -2))
    assert 5 < len(found.lines) < 15
    assert found.is_bounded
    assert journal.read(folder, Wanted(text="nowhere")).is_bounded


def test_a_folder_without_logs_has_no_lines(tmp_path: Path) -> None:
    """Before the first start there is nothing to read."""
    assert journal.read(tmp_path).lines == []
    (tmp_path / "empty.log").touch()
    assert journal.read(tmp_path).lines == []


@settings(max_examples=30, deadline=None)
@given(block=st.integers(1, 400), lengths=st.lists(st.integers(0, 300), max_size=12))
def test_lines_of_any_length_are_read_whole(
    tmp_path_factory: pytest.TempPathFactory, block: int, lengths: list[int]
) -> None:
    """However blocks fall, no line is cut, lost or doubled."""
    folder = tmp_path_factory.mktemp("logs")
    lines = [entry("worker", n, said="字" * length) for n, length in enumerate(lengths)]
    (folder / "worker.log").write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "BLOCK_BYTES", block)
        found = journal.read(folder, limit=100)
    assert [len(str(line.details["said"])) for line in found.lines] == lengths[::-1]
