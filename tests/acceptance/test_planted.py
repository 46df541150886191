from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from tests.faults.invariant import assert_each_row_once

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.town import Said, Town

SEEDS = (7, 8)
HELD, REJECTED, WARNED = "held", "rejected", "warned"
LEDGER = ("arrived", "attempts", "receipts", "outcomes", "findings", "key_states", "held", "batches", "cycles")
HUB_LEDGER = ("batches", "findings", "key_states", "facts", "blobs")


def test_the_demo_finds_what_it_planted(demo: tuple[Path, Said], town: Town) -> None:
    """Every planted fault is found as announced, and on no other row is there as much as a warning."""
    file = demo[0] / "gateway" / "expected.json"
    assert_agreement(town, file)
    faulty = {(entry["dataset"], entry["row_id"]) for entry in json.loads(file.read_text(encoding="utf-8"))}
    found = town.call("gateway", "findings", "--json").json
    assert {(finding["dataset"], finding["row_id"]) for finding in found} == faulty


@pytest.mark.parametrize("seed", SEEDS)
def test_exactly_the_planted_faults_are_found(town: Town, seed: int) -> None:
    """For any hospital, what is planted is found on the whole way, and an error only where one is planted."""
    begin_anew(town)
    expected = town.home / f"expected-{seed}.json"
    arguments = ("--people", "50", "--days", "2", "--seed", str(seed), "--faults", "0.4", "--expected", expected)
    said = town.call("synth", *arguments, "--json")
    assert said.code == 0, said.errors
    tallies = town.cycle()
    assert {dataset: tally["staged"] for dataset, tally in tallies.items()} == said.json["rows"]
    assert_agreement(town, expected)
    assert_each_row_once(town.books)


def assert_agreement(town: Town, file: Path) -> None:
    """Assert that planted and found agree, both ways, and that each faulty row ends as announced."""
    planted = json.loads(file.read_text(encoding="utf-8"))
    assert planted
    found = town.call("gateway", "findings", "--json").json
    assert {_told(entry) for entry in planted} - {_told(finding) for finding in found} == set()
    errors = {_told(finding) for finding in found if finding["severity"] == "error"}
    assert errors - {_told(entry) for entry in planted} == set()
    places = _places(town)
    assert [entry for entry in planted if places[entry["dataset"], entry["row_id"]] != entry["outcome"]] == []
    ended = {HELD, REJECTED}
    assert {row for row, place in places.items() if place in ended} == {
        (entry["dataset"], entry["row_id"]) for entry in planted if entry["outcome"] in ended
    }


def begin_anew(town: Town) -> None:
    """Empty both ends of rows, as no product would."""
    datasets = [("guangdong", name) for name in town.books.datasets]
    for dsn, ledger in ((town.books.gateway_dsn, LEDGER), (town.books.hub_dsn, HUB_LEDGER)):
        tables = [sql.Identifier(*name) for name in (*(("qianzhi", table) for table in ledger), *datasets)]
        with psycopg.connect(dsn) as connection:
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(sql.SQL(", ").join(tables)))


def _told(told: dict[str, Any]) -> tuple[object, ...]:
    return tuple(told[name] for name in ("dataset", "row_id", "code", "class", "field", "severity"))


def _places(town: Town) -> dict[tuple[str, int], str]:
    """Return what became of each row: accepted rows are those with a warning, or none."""
    places = dict.fromkeys(
        ((dataset, row_id) for dataset in town.books.datasets for (row_id,) in _ids(town, dataset)), WARNED
    )
    rejected = town.ask_gateway(
        "SELECT dataset, row_id FROM qianzhi.outcomes JOIN qianzhi.lanes USING (lane_id) WHERE outcome = 'rejected'"
    )
    held = town.ask_gateway("SELECT dataset, row_id FROM qianzhi.held JOIN qianzhi.lanes USING (lane_id)")
    return places | dict.fromkeys(rejected, REJECTED) | dict.fromkeys(held, HELD)


def _ids(town: Town, dataset: str) -> list[tuple[int]]:
    with psycopg.connect(town.books.gateway_dsn) as connection:
        return connection.execute(sql.SQL("SELECT id FROM {}").format(sql.Identifier("guangdong", dataset))).fetchall()
