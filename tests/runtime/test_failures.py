from __future__ import annotations

import json

import psycopg
import pytest

from qianzhi.errors import OperatorError
from qianzhi.runtime.failures import CAUSES_MAX, describe

PERSON = "Zhang San 110101199003070000"


def test_our_own_errors_keep_their_words() -> None:
    """What happened and the remedy are written to be read."""
    described = describe(OperatorError("The disk is full.", remedy="Make room."))

    assert described == {"error": "OperatorError", "what": "The disk is full.", "remedy": "Make room."}


def test_the_text_of_any_other_exception_is_left_out() -> None:
    """A text of others may hold values; type and place say enough."""
    with pytest.raises(ValueError, match=PERSON) as raised:
        raise ValueError(PERSON)

    described = describe(raised.value)
    assert described["error"] == "ValueError"
    assert "test_failures.py" in str(described["frames"])
    assert PERSON not in json.dumps(described)


def test_a_database_error_keeps_its_code_and_the_names_of_objects(database: str) -> None:
    """PostgreSQL quotes values in message, detail and context; code, table and constraint are enough to act on."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE people (name text CONSTRAINT one_of_each UNIQUE)")
        connection.execute("INSERT INTO people VALUES (%s)", [PERSON])
        with pytest.raises(psycopg.errors.UniqueViolation, match=PERSON) as raised:
            connection.execute("INSERT INTO people VALUES (%s)", [PERSON])

    described = describe(raised.value)
    assert described.pop("frames")
    assert described == {
        "error": "UniqueViolation",
        "sqlstate": "23505",
        "schema": "public",
        "table": "people",
        "constraint": "one_of_each",
    }


def test_a_full_disk_is_told_from_a_missing_file_without_naming_it() -> None:
    """An error of the operating system keeps its code; a file may be named after a person."""
    assert describe(FileNotFoundError(2, "No such file", f"/images/{PERSON}.jpg")) == {
        "error": "FileNotFoundError",
        "code": "ENOENT",
    }


def test_causes_are_described_up_to_a_bound() -> None:
    """What an exception came from is told, but not without end."""
    error: Exception = ValueError(PERSON)
    for _ in range(10):
        later = KeyError(PERSON)
        later.__cause__ = error
        error = later

    described = describe(error)
    assert described["causes"] == [{"error": "KeyError"}] * CAUSES_MAX
