from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.acceptance.conftest import leftovers
from tests.acceptance.town import REGULATOR

from qianzhi import regulators

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.town import Said, Town


def test_the_demo_accounts_for_every_row(demo: tuple[Path, Said]) -> None:
    """It exits 0, and of each dataset says staged = accepted + rejected + held."""
    home, said = demo
    assert said.code == 0, said.errors
    told = json.loads((home / "demo.json").read_text(encoding="utf-8"))
    assert told.keys() == {"regulators"}
    datasets = told["regulators"][REGULATOR]
    assert list(datasets) == [dataset.name for dataset in regulators.regulator(REGULATOR).datasets]
    for tally in datasets.values():
        assert tally.keys() >= {"staged", "submitted", "accepted", "rejected", "held"}
        assert tally["staged"] >= 10
        assert tally["staged"] == tally["accepted"] + tally["rejected"] + tally["held"]
        assert tally["accepted"] <= tally["submitted"] <= tally["staged"]


def test_the_demo_plays_faults_too(demo: tuple[Path, Said]) -> None:
    """There are accepted, rejected and held rows to look at."""
    told = json.loads((demo[0] / "demo.json").read_text(encoding="utf-8"))["regulators"][REGULATOR].values()
    assert all(sum(tally[name] for tally in told) for name in ("accepted", "rejected", "held"))


def test_the_demo_leaves_no_process(demo: tuple[Path, Said]) -> None:
    """Played once, it ends with everything it began."""
    assert leftovers(demo[0]) == []


def test_the_gateway_goes_on_from_there(demo: tuple[Path, Said], town: Town) -> None:
    """A cycle on the home that the demo left tells the same numbers."""
    told = json.loads((demo[0] / "demo.json").read_text(encoding="utf-8"))
    assert town.call("gateway", "cycle", "--json").json == told
