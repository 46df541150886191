"""A synthetic hospital's day: what the demo says, and that what was planted is what is found."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from tests.acceptance.conftest import Person

DATASETS = 12
FINDING = {"dataset", "row_id", "code", "class", "field", "value", "reason", "remedy", "severity"}


def test_every_staged_row_is_accounted_for(played: tuple[Person, dict[str, Any]]) -> None:
    """Accepted, rejected or held: the three make up what was staged, in each of the twelve datasets."""
    _, said = played
    guangdong = said["regulators"]["guangdong"]
    assert len(guangdong) == DATASETS
    for dataset, counts in guangdong.items():
        assert counts["staged"] > 0, dataset
        assert counts["staged"] == counts["accepted"] + counts["rejected"] + counts["held"], dataset
        assert counts["submitted"] <= counts["staged"], dataset
    assert sum(counts["rejected"] for counts in guangdong.values()) > 0
    assert sum(counts["held"] for counts in guangdong.values()) > 0


def test_the_demo_counts_what_the_hospitals_tables_hold(played: tuple[Person, dict[str, Any]]) -> None:
    """Counted by psql's protocol as us_pos, not by the product; a row or two may have come since from other tests."""
    person, said = played
    with _database(person), psycopg.connect(person.types("gateway", "dsn", "--role", "us_pos").strip()) as session:
        for dataset, counts in said["regulators"]["guangdong"].items():
            row = session.execute(f'SELECT count(*) FROM "{dataset}"').fetchone()
            assert row is not None
            assert counts["staged"] <= row[0] <= counts["staged"] + 5


def test_what_was_planted_is_what_is_found(played: tuple[Person, dict[str, Any]]) -> None:
    """Each fault gives the finding that was written down when it was planted, and no good row is found at fault."""
    person, _ = played
    expected = json.loads((person.home / "gateway" / "expected.json").read_text(encoding="utf-8"))
    found = person.asks("gateway", "findings")
    assert all(set(finding) == FINDING for finding in found)
    assert all(finding["reason"] and finding["remedy"] for finding in found)

    wanted = {(each["dataset"], each["row_id"], each["code"], each["class"], each["field"]) for each in expected}
    got = {(each["dataset"], each["row_id"], each["code"], each["class"], each["field"]) for each in found}
    assert wanted - got == set()
    faulty = {(each["dataset"], each["row_id"]) for each in expected}
    assert {(dataset, row_id) for dataset, row_id, *_ in got} - faulty == set()


def test_outcomes_are_those_that_were_foreseen(played: tuple[Person, dict[str, Any]]) -> None:
    """As many rows are held, and as many at least rejected, as faults of that kind were planted."""
    person, said = played
    expected = json.loads((person.home / "gateway" / "expected.json").read_text(encoding="utf-8"))
    outcomes = Counter((each["dataset"], each["outcome"]) for each in expected)
    for dataset, counts in said["regulators"]["guangdong"].items():
        assert counts["held"] == outcomes[dataset, "held"], dataset
        assert counts["rejected"] >= outcomes[dataset, "rejected"], dataset


def _database(person: Person) -> Any:
    from qianzhi.gateway.service import database
    from qianzhi.runtime.home import Home
    from qianzhi.runtime.sources import load_settings

    place = Home(person.home)
    return database(place, load_settings(place))
