"""Named queries of a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from qianzhi.db import queries
from qianzhi.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

Load = Callable[[str], queries.Queries]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Loads the given text as a file of a package."""
    package = f"package_{tmp_path.name.replace('-', '_')}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))

    def from_text(text: str) -> queries.Queries:
        (tmp_path / package / "some.sql").write_text(text, encoding="utf-8")
        return queries.load(package, "some.sql")

    yield from_text
    sys.modules.pop(package, None)


def test_a_query_is_an_attribute_without_its_comment_and_semicolon(load: Load) -> None:
    """The statement is what stands between its description and the next name."""
    loaded = load("-- About.\n\n-- name: one\n-- Gives 1.\nSELECT 1;\n\n-- name: two\n-- Gives\n-- 2.\nSELECT\n  2\n")
    assert (loaded.one, loaded.two) == ("SELECT 1", "SELECT\n  2")
    assert loaded.names() == ("one", "two")


def test_an_unknown_name_names_the_file_and_what_it_has(load: Load) -> None:
    """A query that is not in the file is a SpecError which lists those that are."""
    with pytest.raises(SpecError, match=r"some\.sql has no query 'three'.*one"):
        _ = load("-- name: one\n-- Gives 1.\nSELECT 1").three


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-- name: one\nSELECT 1", "does not describe 'one'"),
        ("-- name: one\n--\nSELECT 1", "does not describe 'one'"),
        ("-- name: one\n-- Gives 1.\n", "no statement for 'one'"),
        ("-- name: One\n-- Gives 1.\nSELECT 1", "the query name 'One'"),
        ("SELECT 1\n-- name: one\n-- Gives 1.\nSELECT 1", "before its first name"),
        ("-- name: a\n-- A.\nSELECT 1\n-- name: a\n-- A.\nSELECT 1", "names 'a' twice"),
    ],
)
def test_a_malformed_file_is_refused(load: Load, text: str, complaint: str) -> None:
    """Every query has one name, a description and a statement."""
    with pytest.raises(SpecError, match=complaint):
        load(text)


def test_an_absent_file_is_refused() -> None:
    """A file that does not exist is a SpecError, not an OSError."""
    with pytest.raises(SpecError, match="does not exist"):
        queries.load("qianzhi.db", "absent.sql")


def test_a_file_is_read_once() -> None:
    """Loading again gives the same object."""
    assert queries.load("qianzhi.db", "embedded.sql") is queries.load("qianzhi.db", "embedded.sql")
