from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from tests.acceptance.town import ACCEPTED
from tests.faults.invariant import assert_each_row_once

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Demo
    from tests.acceptance.town import Seen, Town

SEEDS = (7, 8)
WARNED = "warned"  # goes its way with a warning
LEDGER = (
    "arrived", "attempts", "receipts", "outcomes", "findings", "key_states", "held", "batches", "cycles",
    "promised_images",
)  # fmt: skip
HUB_LEDGER = ("batches", "findings", "key_states", "facts", "blobs", "promised_images")


def test_the_demo_finds_what_it_planted(demo: Demo) -> None:
    """Every planted fault is found as announced, and on no other row is there as much as a warning."""
    assert demo.seen is not None
    planted = assert_agreement(demo.home / "gateway" / "expected.json", demo.seen)
    faulty = {(entry["dataset"], entry["row_id"]) for entry in planted}
    assert {(finding["dataset"], finding["row_id"]) for finding in demo.seen.findings} == faulty


@pytest.mark.parametrize("seed", SEEDS)
def test_exactly_the_planted_faults_are_found(town: Town, seed: int) -> None:
    """For any hospital, what is planted is found on the whole way, and an error only where one is planted."""
    begin_anew(town)
    expected = town.home / f"expected-{seed}.json"
    arguments = ("--people", "50", "--days", "2", "--seed", str(seed), "--faults", "0.4", "--expected", expected)
    said = town.call("synth", *arguments, "--json")
    assert said.code == 0, said.errors
    seen = town.seen()
    assert {dataset: tally["staged"] for dataset, tally in seen.tallies.items()} == said.json["rows"]
    assert_agreement(expected, seen)
    assert_each_row_once(town.books)


def assert_agreement(file: Path, seen: Seen) -> list[dict[str, Any]]:
    """Assert that planted and found agree, both ways, and that each row ends as announced; return what was planted."""
    planted: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    assert planted
    told = {_told(entry) for entry in planted}
    assert told - {_told(finding) for finding in seen.findings} == set()
    assert {_told(finding) for finding in seen.findings if finding["severity"] == "error"} - told == set()
    outcomes = {(entry["dataset"], entry["row_id"]): entry["outcome"] for entry in planted}
    ended = {row: outcome for row, outcome in outcomes.items() if outcome != WARNED}
    assert {row: place for row, place in seen.places.items() if place != ACCEPTED} == ended
    return planted


def begin_anew(town: Town) -> None:
    """Empty both ends of rows, as no product would."""
    datasets = [("guangdong", name) for name in town.books.datasets]
    for dsn, ledger in ((town.books.gateway_dsn, LEDGER), (town.books.hub_dsn, HUB_LEDGER)):
        tables = [sql.Identifier(*name) for name in (*(("qianzhi", table) for table in ledger), *datasets)]
        with psycopg.connect(dsn) as connection:
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(sql.SQL(", ").join(tables)))


def _told(told: dict[str, Any]) -> tuple[object, ...]:
    return tuple(told[name] for name in ("dataset", "row_id", "code", "class", "field", "severity"))
