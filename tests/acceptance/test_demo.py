from __future__ import annotations

from typing import TYPE_CHECKING

from tests.acceptance.town import REGULATOR

from qianzhi import regulators

if TYPE_CHECKING:
    from tests.acceptance.conftest import Demo


def test_the_demo_accounts_for_every_row(demo: Demo) -> None:
    """It exits 0, and of each dataset says staged = accepted + rejected + held."""
    assert demo.said.code == 0, demo.said.errors
    assert demo.told.keys() == {"regulators"}
    datasets = demo.told["regulators"][REGULATOR]
    assert list(datasets) == [dataset.name for dataset in regulators.regulator(REGULATOR).datasets]
    for tally in datasets.values():
        assert list(tally) == ["staged", "submitted", "accepted", "rejected", "held"]
        assert tally["staged"] >= 10
        assert tally["staged"] == tally["accepted"] + tally["rejected"] + tally["held"]
        assert tally["accepted"] <= tally["submitted"] <= tally["staged"]


def test_the_demo_plays_faults_too(demo: Demo) -> None:
    """There are accepted, rejected and held rows to look at."""
    tallies = demo.told["regulators"][REGULATOR].values()
    assert all(sum(tally[name] for tally in tallies) for name in ("accepted", "rejected", "held"))


def test_the_demo_leaves_no_process(demo: Demo) -> None:
    """Played once, it ends with everything it began."""
    assert demo.left == []


def test_the_gateway_goes_on_from_there(demo: Demo) -> None:
    """A cycle on the home that the demo left tells the same numbers."""
    assert demo.seen is not None
    assert demo.seen.tallies == demo.told["regulators"][REGULATOR]
